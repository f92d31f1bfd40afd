//! Where the rows of machines are, as far as that was seen.
//!
//! Rows lie in the order in which machines were made, and an index leads from an id to the number of a row. Among a million machines
//! that index is a second tree of which no cache of the processor holds the leaves. But a million machines are made in batches, and in
//! these ids are numbered as rows are ([`MachineId::in_batch`]): of one row of a batch is known where the ones beside it are. So that is
//! kept for stretches of [`Stretch::MACHINES`], as many as a fleet operation writes at once, and the index is left alone.
//!
//! What is kept is a guess. Whoever takes one asks for the row of that number **and** that id, and asks the index where there is none.
//! So nothing depends on it: a machine may have gone, or not be of a batch, a change may have been undone, and its number may be another
//! one's by now.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use cloudm_domain::MachineId;
use parking_lot::RwLock;

/// The numbers of the rows of machines, by ids.
#[derive(Debug, Default)]
pub(crate) struct Numbers(RwLock<Box<[Stretch]>>);

/// Machines of a batch whose rows lie side by side.
#[derive(Debug, Default)]
struct Stretch {
    /// Which machines these are. Where two write here at the same time, what is kept may be of both, and a wrong guess.
    name: AtomicU64,
    /// The number that the row of the first one has, or would have.
    first: AtomicI64,
}

impl Numbers {
    /// How many stretches are kept: those of two million machines, in 128 KiB.
    const STRETCHES: usize = 1 << 13;

    /// The number that the row of a machine may have.
    pub(crate) fn guess(&self, id: MachineId) -> Option<i64> {
        let (name, stretches) = (name(id), self.0.read());
        let stretch = stretches.get(place(name))?;
        let first = stretch.first.load(Ordering::Relaxed);
        (stretch.name.load(Ordering::Relaxed) == name).then(|| first.wrapping_add(within(id)))
    }

    /// Keeps the number of a machine's row.
    pub(crate) fn learn(&self, id: MachineId, number: i64) {
        if self.0.read().is_empty() {
            let mut stretches = self.0.write();
            if stretches.is_empty() {
                *stretches = (0..Self::STRETCHES).map(|_| Stretch::default()).collect();
            }
        }
        let (name, stretches) = (name(id), self.0.read());
        if let Some(stretch) = stretches.get(place(name)) {
            stretch.first.store(number.wrapping_sub(within(id)), Ordering::Relaxed);
            stretch.name.store(name, Ordering::Relaxed);
        }
    }

    /// Forgets all, and gives back the memory.
    pub(crate) fn clear(&self) {
        *self.0.write() = Box::default();
    }
}

impl Stretch {
    /// The machines of a stretch.
    const MACHINES: u32 = 256;
}

/// What tells the stretch of a machine from nearly every other one: those of a batch are numbered from a hash of it on.
fn name(id: MachineId) -> u64 {
    let [a, b, c, d, e, f, g, h, i, ..] = *id.as_bytes();
    // Of a machine that is in no batch, this is as random as its id.
    let batch = (u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from(i)).wrapping_mul(ODD);
    batch.wrapping_add(u64::from(id.number_in_batch() / Stretch::MACHINES))
}

/// Where a stretch is kept: those of a batch lie side by side.
fn place(name: u64) -> usize {
    name as usize % Numbers::STRETCHES
}

/// Where in its stretch a machine is.
fn within(id: MachineId) -> i64 {
    i64::from(id.number_in_batch() % Stretch::MACHINES)
}

/// 2^64 divided by the golden ratio, as Knuth's multiplicative hashing has it (The Art of Computer Programming, 6.4).
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine of a number in a batch.
    fn id(batch: u8, number: u32) -> MachineId {
        let mut id = [batch; 12];
        id[9..].copy_from_slice(&number.to_be_bytes()[1..]);
        MachineId::from_bytes(id)
    }

    #[test]
    fn of_one_machine_is_known_where_those_of_its_stretch_are() {
        let numbers = Numbers::default();
        assert_eq!(numbers.guess(id(1, 300)), None);
        numbers.learn(id(1, 300), 1_000);
        for (machine, number) in [(256, 956), (300, 1_000), (511, 1_211)] {
            assert_eq!(numbers.guess(id(1, machine)), Some(number));
        }
        assert_eq!([id(1, 255), id(1, 512), id(2, 300)].map(|id| numbers.guess(id)), [None; 3]);
        // Something else was made between.
        numbers.learn(id(1, 301), 2_000);
        assert_eq!(numbers.guess(id(1, 300)), Some(1_999));
    }

    #[test]
    fn two_million_machines_of_a_batch_are_known() {
        let numbers = Numbers::default();
        let stretches = || (0..2_000_000_u32).step_by(256);
        stretches().for_each(|machine| numbers.learn(id(1, machine), i64::from(machine) + 7));
        assert!(stretches().all(|machine| numbers.guess(id(1, machine + 9)) == Some(i64::from(machine) + 16)));
    }

    #[test]
    fn whatever_number_a_row_has_is_kept() {
        let numbers = Numbers::default();
        for number in [i64::MIN, -1, 0, i64::MAX] {
            numbers.learn(id(1, 9), number);
            assert_eq!(numbers.guess(id(1, 9)), Some(number));
        }
    }

    #[test]
    fn what_is_forgotten_takes_no_memory() {
        let numbers = Numbers::default();
        numbers.learn(id(1, 1), 1);
        numbers.clear();
        assert_eq!((numbers.guess(id(1, 1)), numbers.0.read().len()), (None, 0));
    }
}
