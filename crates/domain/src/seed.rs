//! The seed of a world, from which everything that happens by chance follows.

/// A seed that is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a seed is a whole number from 0 to {}", Seed::MAX)]
pub struct InvalidSeed;

/// The seed of a world: a whole number below 2⁵³, so that every JSON reader holds it exactly.
///
/// The seed of a world never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u64", into = "u64"))]
pub struct Seed(u64);

impl Seed {
    /// The greatest seed.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The seed of this number.
    ///
    /// # Errors
    /// When it is greater than [`Seed::MAX`].
    pub fn new(number: u64) -> Result<Self, InvalidSeed> {
        if number > Self::MAX { Err(InvalidSeed) } else { Ok(Self(number)) }
    }

    /// A seed from random bits, of which it takes the lower 53.
    pub fn from_random(bits: u64) -> Self {
        Self(bits & Self::MAX)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The hash key for one use of this seed; uses with different names share nothing.
    pub(crate) fn key(self, purpose: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("cloudm 2026 seed");
        hasher.update(&self.0.to_be_bytes());
        hasher.update(purpose.as_bytes());
        hasher.finalize()
    }
}

impl TryFrom<u64> for Seed {
    type Error = InvalidSeed;

    fn try_from(number: u64) -> Result<Self, InvalidSeed> {
        Self::new(number)
    }
}

impl From<Seed> for u64 {
    fn from(seed: Seed) -> u64 {
        seed.0
    }
}
