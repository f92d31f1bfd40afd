//! Ids: 24 lower-case hex digits, 12 bytes, in creation order.
//!
//! An id is the virtual second of creation, big-endian, followed by 8 bytes of a hash of what it names. Ids come from
//! names, not from a generator, so the same commands in a world of the same seed make the same ids.

use std::fmt;
use std::str::FromStr;

use crate::seed::Seed;
use crate::time::Instant;

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 lower-case hex digits")]
pub struct InvalidId;

/// The raw form that every id shares: 12 bytes.
pub type IdBytes = [u8; 12];

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(IdBytes);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: IdBytes) -> Self {
                Self(bytes)
            }

            /// The id's bytes, whose order is the id's order.
            pub const fn as_bytes(&self) -> &IdBytes {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hex(&self.0, &mut [0; 24]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id! {
    /// Names one machine, for ever.
    MachineId
}
id! {
    /// Names one cluster, for ever.
    ClusterId
}
id! {
    /// Names one fleet operation.
    OperationId
}
id! {
    /// Names one fault.
    FaultId
}
id! {
    /// Names one entry of a schedule.
    ScheduleId
}
id! {
    /// Names one life of a world: what a world's name points to until a reset, an import or a delete.
    Incarnation
}

impl MachineId {
    /// The `k`-th id of a machine of this name, in this cluster, made at this instant.
    ///
    /// A store never uses an id twice, so a creator takes the least `k` whose id was never used.
    ///
    /// ```
    /// use cloudm_domain::{ClusterId, Instant, MachineId, Name, Seed};
    /// let (seed, cluster, name) = (Seed::new(7)?, ClusterId::from_bytes([1; 12]), "web-1".parse::<Name>()?);
    /// let at = Instant::DEFAULT_START;
    /// assert_eq!(MachineId::of(seed, cluster, &name, at, 0), MachineId::of(seed, cluster, &name, at, 0));
    /// assert_ne!(MachineId::of(seed, cluster, &name, at, 0), MachineId::of(seed, cluster, &name, at, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(seed: Seed, cluster: ClusterId, name: &crate::Name, at: Instant, k: u32) -> Self {
        Self(derive("machine id", seed, &cluster.0, name.as_str(), at, k))
    }

    /// The private IPv4 address that a machine of this id answers with: `10.` and the last three bytes.
    ///
    /// It is a label: two machines may share one.
    pub fn ip_address(&self) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::new(10, self.0[9], self.0[10], self.0[11])
    }
}

impl MachineId {
    /// The most machines of a batch, whose numbers are three bytes of an id.
    pub const MAX_IN_BATCH: u32 = 0xff_ffff;

    /// The `k`-th id of the machine of this number in a batch whose names are made of `template`, in this cluster, at this
    /// instant. `number` counts from 0, up to [`MachineId::MAX_IN_BATCH`], and takes the last three bytes, so that neighbours in a batch are
    /// neighbours in the order of ids.
    pub fn in_batch(seed: Seed, cluster: ClusterId, template: &str, at: Instant, (k, number): (u32, u32)) -> Self {
        let mut id = derive("batch id", seed, &cluster.0, template, at, k);
        id[9..].copy_from_slice(&number.to_be_bytes()[1..]);
        Self(id)
    }

    /// The number of the machine in its batch, where [`MachineId::in_batch`] made its id.
    pub fn number_in_batch(&self) -> u32 {
        u32::from_be_bytes([0, self.0[9], self.0[10], self.0[11]])
    }
}

impl OperationId {
    /// The `k`-th id of a fleet operation that asks for `work`, accepted at this instant.
    pub fn of(seed: Seed, work: &str, at: Instant, k: u32) -> Self {
        Self(derive("operation id", seed, &[0; 12], work, at, k))
    }
}

impl FaultId {
    /// The id of the fault of this number in a world, counted from 0, that holds from this instant.
    pub fn of(seed: Seed, number: u32, from: Instant) -> Self {
        Self(derive("fault id", seed, &[0; 12], "", from, number))
    }
}

impl ScheduleId {
    /// The `k`-th id of an entry that holds from this instant.
    pub fn of(seed: Seed, k: u32, from: Instant) -> Self {
        Self(derive("schedule id", seed, &[0; 12], "", from, k))
    }
}

impl ClusterId {
    /// The `k`-th id of a cluster of this name, made at this instant.
    pub fn of(seed: Seed, name: &crate::Name, at: Instant, k: u32) -> Self {
        Self(derive("cluster id", seed, &[0; 12], name.as_str(), at, k))
    }
}

fn derive(what: &str, seed: Seed, parent: &IdBytes, name: &str, at: Instant, k: u32) -> IdBytes {
    let mut hasher = blake3::Hasher::new_keyed(seed.key(what).as_bytes());
    hasher.update(parent);
    hasher.update(&k.to_be_bytes());
    hasher.update(name.as_bytes());
    let mut id = [0; 12];
    id[..4].copy_from_slice(&at.second().to_be_bytes());
    hasher.finalize_xof().fill(&mut id[4..]);
    id
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hex<'a>(bytes: &IdBytes, out: &'a mut [u8; 24]) -> &'a str {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Only digits of the table above were written, so this cannot fail.
    std::str::from_utf8(out).unwrap_or_default()
}

fn parse(text: &str) -> Result<IdBytes, InvalidId> {
    let digits: &[u8; 24] = text.as_bytes().try_into().map_err(|_| InvalidId)?;
    let mut id = [0; 12];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(id)
}

fn digit(c: u8) -> Result<u8, InvalidId> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(InvalidId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_batch_are_neighbours() {
        let (seed, cluster, at) = (Seed::new(7).unwrap(), ClusterId::from_bytes([1; 12]), Instant::DEFAULT_START);
        let id = |k, number| MachineId::in_batch(seed, cluster, "web-{n}", at, (k, number));
        let numbers = [0, 1, 255, 256, 65_536, MachineId::MAX_IN_BATCH];
        for pair in numbers.windows(2) {
            assert!(id(0, pair[0]) < id(0, pair[1]));
            assert_eq!(id(0, pair[0]).as_bytes()[..9], id(0, pair[1]).as_bytes()[..9]);
        }
        assert_eq!(numbers.map(|number| id(0, number).number_in_batch()), numbers);
        assert_ne!(id(0, 0), id(1, 0));
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = MachineId::from_bytes([0, 1, 2, 3, 0xab, 0xcd, 0xef, 7, 8, 9, 10, 255]);
        assert_eq!(id.to_string(), "00010203abcdef0708090aff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.ip_address().to_string(), "10.9.10.255");
    }

    #[test]
    fn other_texts_are_not_ids() {
        for text in [
            "",
            "00010203abcdef0708090af",
            "00010203ABCDEF0708090aff",
            "00010203abcdef0708090afg",
            "€0010203abcdef0708090a",
        ] {
            assert_eq!(text.parse::<MachineId>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn an_id_is_a_known_value_of_its_names() {
        let seed = Seed::new(42).unwrap();
        let name = "machine1".parse().unwrap();
        let cluster = ClusterId::of(seed, &"cluster1".parse().unwrap(), Instant::DEFAULT_START, 0);
        assert_eq!(cluster.to_string(), "70dbd8809c404bf3976680b0");
        let machine = MachineId::of(seed, cluster, &name, Instant::DEFAULT_START, 0);
        assert_eq!(machine.to_string(), "70dbd880131237f27bdd20d5");
    }
}
