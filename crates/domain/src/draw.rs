//! Draws by name: chance without a generator.
//!
//! A draw is a pure function of the world's seed, the machine's id, the ordinal of the state entered, the purpose and the
//! attempt. Whoever asks, whenever, in whatever order, gets the same numbers; so the interleaving of requests to
//! different machines cannot change what happens to one.

use crate::id::{FaultId, MachineId, ScheduleId};
use crate::seed::Seed;

/// What a draw is for. Draws of different purposes share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What happens next to a machine that enters a state, and when.
    NextStep,
    /// Whether a fault matches.
    Fault(FaultId),
    /// When an entry of the schedule reaches a machine that it told.
    Schedule(ScheduleId),
}

/// The name of a draw within a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawName {
    /// The machine drawn for.
    pub machine: MachineId,
    /// How many states the machine has entered, with this one.
    pub ordinal: u32,
    /// What the draw is for.
    pub purpose: Purpose,
    /// How many draws of this name came before.
    pub attempt: u32,
}

/// The source of a world's draws: its seed, made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws {
    key: [u8; 32],
}

impl Draws {
    /// The draws of a world with this seed.
    pub fn new(seed: Seed) -> Self {
        Self { key: *seed.key("draws").as_bytes() }
    }

    /// The draw with this name: BLAKE3, keyed with the seed, of the name.
    pub fn draw(&self, name: &DrawName) -> Draw {
        let mut text = [0; 33];
        text[..12].copy_from_slice(name.machine.as_bytes());
        text[12..16].copy_from_slice(&name.ordinal.to_be_bytes());
        text[17..21].copy_from_slice(&name.attempt.to_be_bytes());
        let named = match name.purpose {
            Purpose::NextStep => {
                text[16] = 1;
                &text[..21]
            }
            Purpose::Fault(fault) => {
                text[16] = 2;
                text[21..].copy_from_slice(fault.as_bytes());
                &text[..]
            }
            Purpose::Schedule(entry) => {
                text[16] = 3;
                text[21..].copy_from_slice(entry.as_bytes());
                &text[..]
            }
        };
        let hash = blake3::keyed_hash(&self.key, named);
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Draw { words }
    }
}

/// Four independent, uniform words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    words: [u64; 4],
}

impl Draw {
    /// The draw of these words, for tests of what draws decide.
    #[cfg(test)]
    pub(crate) fn of(words: [u64; 4]) -> Self {
        Self { words }
    }

    /// A number from 0 to 999,999, each as likely, for odds.
    pub(crate) fn millionth(&self) -> u32 {
        u32::try_from(below(self.words[0], 1_000_000)).unwrap_or(0)
    }

    /// A number from 0 to `n` − 1, each as likely.
    pub(crate) fn below(&self, n: u64) -> u64 {
        below(self.words[1], n)
    }

    /// A fraction, above 0 and at most 1.
    pub(crate) fn fraction(&self) -> f64 {
        unit(self.words[1])
    }

    /// A standard normal variate, by the Box–Muller transform (G. E. P. Box, M. E. Muller, "A Note on the Generation of
    /// Random Normal Deviates", 1958). Its functions come from `libm`, so it is the same on every platform.
    pub(crate) fn normal(&self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(unit(self.words[1])));
        radius * libm::cos(2.0 * std::f64::consts::PI * unit(self.words[2]))
    }
}

fn below(word: u64, n: u64) -> u64 {
    ((u128::from(word) * u128::from(n)) >> 64) as u64
}

/// Maps a word to (0, 1] by its upper 53 bits.
fn unit(word: u64) -> f64 {
    ((word >> 11) + 1) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> DrawName {
        DrawName { machine: MachineId::from_bytes([7; 12]), ordinal: 1, purpose: Purpose::NextStep, attempt: 0 }
    }

    #[test]
    fn a_draw_is_a_known_value_of_its_name() {
        let draw = Draws::new(Seed::new(42).unwrap()).draw(&name());
        assert_eq!(
            draw.words,
            [
                14_261_662_882_871_968_056,
                12_794_864_384_459_271_150,
                16_063_667_419_082_808_852,
                14_333_347_091_087_330_707
            ]
        );
    }

    #[test]
    fn every_part_of_a_name_matters() {
        let draws = Draws::new(Seed::new(42).unwrap());
        let other_machine = DrawName { machine: MachineId::from_bytes([8; 12]), ..name() };
        let fault = |number| DrawName { purpose: Purpose::Fault(FaultId::from_bytes([number; 12])), ..name() };
        assert_ne!(draws.draw(&fault(1)), draws.draw(&fault(2)));
        let others = [other_machine, DrawName { ordinal: 2, ..name() }, DrawName { attempt: 1, ..name() }, fault(1)];
        for other in others {
            assert_ne!(draws.draw(&other), draws.draw(&name()));
        }
        assert_ne!(Draws::new(Seed::new(43).unwrap()).draw(&name()), draws.draw(&name()));
    }

    #[test]
    fn extremes_stay_in_bounds() {
        for word in [0, u64::MAX] {
            let draw = Draw { words: [word; 4] };
            assert!(draw.millionth() < 1_000_000);
            assert!(draw.below(10) < 10);
            assert!(draw.fraction() > 0.0 && draw.fraction() <= 1.0);
            assert!(draw.normal().is_finite());
        }
    }
}
