//! The records of machines, in memory: a machine that was read or written lately is read without asking SQLite.
//!
//! Rows are numbered in the order in which machines were made, so the cache is an array: a row's place is its number, modulo
//! [`Cache::ROWS`]. Two rows that share a place displace each other. Memory is taken for [`CHUNK`] rows at a time, so a small fleet takes
//! little of it, and one of any size at most 100 MB.
//!
//! # What is in it is what is committed
//! Before a commit, the writer takes out whatever the commit changes, and puts in what it wrote once that is committed, before anybody is
//! told ([`Cache::change`]). Meanwhile the file is asked. Whoever read the file puts in what it found only where nothing was committed since
//! before it began ([`Cache::still`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cloudm_domain::MachineId;
use parking_lot::RwLock;

/// The records of machines of one world, by the numbers of their rows.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Odd while a commit is under way.
    commits: AtomicU64,
    chunks: OnceLock<Box<[RwLock<Taken>]>>,
}

/// Places that lie side by side, once there is something in one of them.
type Taken = Option<Box<[Row; CHUNK]>>;

/// How many.
const CHUNK: usize = 256;

/// The record of a row, where there is one in this place.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Which of the rows that share the place it is: its number, divided by [`Cache::ROWS`].
    lap: u32,
    /// The length of the record; 0 where there is none.
    length: u8,
    record: [u8; Row::LONGEST],
}

/// What a commit makes of a row.
#[derive(Debug)]
pub(crate) struct Written {
    number: i64,
    row: Row,
}

impl Row {
    /// The longest record that there is place for: that of a machine with a name of 20 characters and two short tags. A row takes 96 bytes.
    const LONGEST: usize = 91;
    const NONE: Self = Self { lap: 0, length: 0, record: [0; Self::LONGEST] };

    fn new(lap: u32, record: &[u8]) -> Self {
        let mut row = Self { lap, ..Self::NONE };
        if let (Some(place), Ok(length)) = (row.record.get_mut(..record.len()), u8::try_from(record.len())) {
            place.copy_from_slice(record);
            row.length = length;
        }
        row
    }

    fn is_none(&self) -> bool {
        self.length == 0
    }

    /// The record; empty where there is none.
    fn record(&self) -> &[u8] {
        self.record.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Written {
    /// A row of this number has this record.
    pub(crate) fn record(number: i64, record: &[u8]) -> Self {
        let lap = place(number).map_or(0, |(lap, _, _)| lap);
        Self { number, row: Row::new(lap, record) }
    }

    /// No row has this number any more.
    pub(crate) fn nothing(number: i64) -> Self {
        Self { number, row: Row::NONE }
    }
}

impl Cache {
    /// The rows for which there is a place.
    const ROWS: usize = 1 << 20;

    /// What `read` makes of the record of the row of this number, where that is here and begins with this id.
    pub(crate) fn get<T>(&self, number: i64, id: MachineId, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (lap, chunk, row) = place(number)?;
        let chunk = self.chunks.get()?.get(chunk)?.read();
        let row = chunk.as_ref()?.get(row).filter(|row| row.lap == lap)?;
        Some(row.record()).filter(|record| record.starts_with(id.as_bytes())).map(read)
    }

    /// How many commits there were, where none is under way: to be asked before a row is read that is to be [kept](Cache::keep).
    pub(crate) fn still(&self) -> Option<u64> {
        Some(self.commits.load(Ordering::SeqCst)).filter(|commits| commits.is_multiple_of(2))
    }

    /// Keeps the record of a row that was read from the file, where nothing was committed since.
    pub(crate) fn keep(&self, since: Option<u64>, number: i64, record: &[u8]) {
        let Written { number, row } = Written::record(number, record);
        if !row.is_none() {
            self.set(number, row, || since.is_some() && self.still() == since);
        }
    }

    /// Takes out what a commit is about to change, which is under way for as long as this lives.
    pub(crate) fn change(&self, written: Vec<Written>) -> Changing<'_> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        written.iter().for_each(|written| self.set(written.number, Row::NONE, || true));
        Changing { cache: self, written }
    }

    /// Takes out all, and gives back the memory.
    pub(crate) fn clear(&self) {
        self.chunks.get().into_iter().flatten().for_each(|chunk| *chunk.write() = None);
    }

    /// Puts a row, or nothing, into the place of this number, where that `holds` once nobody else can change it.
    fn set(&self, number: i64, value: Row, holds: impl FnOnce() -> bool) {
        let Some((_, chunk, row)) = place(number) else { return };
        let chunks = self.chunks.get_or_init(|| (0..Self::ROWS / CHUNK).map(|_| RwLock::default()).collect());
        let Some(chunk) = chunks.get(chunk) else { return };
        let mut chunk = chunk.write();
        // For nothing no memory is taken.
        if !holds() || chunk.is_none() && value.is_none() {
            return;
        }
        if let Some(row) = chunk.get_or_insert_with(|| Box::new([Row::NONE; CHUNK])).get_mut(row) {
            *row = value;
        }
    }
}

/// Which of the rows that share a place this one is, its chunk, and its place there; nothing where a number is no row's.
fn place(number: i64) -> Option<(u32, usize, usize)> {
    let number = usize::try_from(number).ok()?;
    let lap = u32::try_from(number / Cache::ROWS).ok()?;
    Some((lap, number % Cache::ROWS / CHUNK, number % CHUNK))
}

/// A commit that is under way.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    cache: &'a Cache,
    written: Vec<Written>,
}

impl Changing<'_> {
    /// It is committed: what it wrote may be read.
    pub(crate) fn done(mut self) {
        for Written { number, row } in self.written.drain(..) {
            self.cache.set(number, row, || true);
        }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.cache.commits.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MachineId = MachineId::from_bytes([7; 12]);

    /// The record of the machine of that id, with this at its end.
    fn record(end: &[u8]) -> Vec<u8> {
        [ID.as_bytes(), end].concat()
    }

    /// The end of the record of the row of this number.
    fn end(cache: &Cache, number: i64) -> Option<Vec<u8>> {
        cache.get(number, ID, |record| record[12..].to_vec())
    }

    /// A cache of these rows.
    fn cache_of(rows: &[(i64, &[u8])]) -> Cache {
        let cache = Cache::default();
        rows.iter().for_each(|(number, end)| cache.keep(cache.still(), *number, &record(end)));
        cache
    }

    #[test]
    fn a_row_is_found_by_its_number_and_its_id() {
        let cache = cache_of(&[(1, b"one"), (2, b"two"), (Cache::ROWS as i64 - 1, b"last")]);
        let found = [1, 2, Cache::ROWS as i64 - 1].map(|number| end(&cache, number).unwrap());
        assert_eq!(found, [b"one".to_vec(), b"two".to_vec(), b"last".to_vec()]);
        assert_eq!([0, 3, 1_000, -1, i64::MIN, i64::MAX].map(|number| end(&cache, number)), [const { None }; 6]);
        assert_eq!(cache.get(1, MachineId::from_bytes([8; 12]), <[u8]>::len), None);
    }

    #[test]
    fn rows_that_share_a_place_displace_each_other() {
        let other = 5 + 3 * Cache::ROWS as i64;
        let cache = cache_of(&[(5, b"a"), (other, b"b")]);
        assert_eq!([5, other].map(|number| end(&cache, number)), [None, Some(b"b".to_vec())]);
        let cache = cache_of(&[(other, b"b"), (5, b"a")]);
        assert_eq!([5, other].map(|number| end(&cache, number)), [Some(b"a".to_vec()), None]);
    }

    #[test]
    fn what_is_longer_than_a_place_is_not_kept() {
        let fits = vec![b'x'; Row::LONGEST - 12];
        let cache = cache_of(&[(1, &fits), (2, &[fits.as_slice(), b"x"].concat())]);
        assert_eq!([1, 2].map(|number| end(&cache, number)), [Some(fits.clone()), None]);
        // Nor is what was there before.
        let long = Written::record(1, &record(&[fits.as_slice(), b"x"].concat()));
        cache.change(vec![long]).done();
        assert_eq!(end(&cache, 1), None);
    }

    #[test]
    fn what_a_commit_changes_is_asked_of_the_file_until_it_is_committed() {
        let cache = cache_of(&[(1, b"old"), (2, b"gone"), (3, b"as ever")]);
        let written =
            || vec![Written::record(1, &record(b"new")), Written::nothing(2), Written::record(4, &record(b""))];
        let ends = || [1, 2, 3, 4].map(|number| end(&cache, number).map(|end| String::from_utf8(end).unwrap()));
        let before = cache.still();
        let change = cache.change(written());
        assert_eq!(ends(), [None, None, Some("as ever".into()), None]);
        assert_eq!(cache.still(), None);
        // What is read now may be of before or after.
        for since in [before, None] {
            cache.keep(since, 1, &record(b"old"));
        }
        assert_eq!(end(&cache, 1), None);
        change.done();
        let after = [Some("new".into()), None, Some("as ever".into()), Some(String::new())];
        assert_eq!(ends(), after);
        // Whoever began to read before is late.
        cache.keep(before, 2, &record(b"gone"));
        assert_eq!(ends(), after);
        // Of a commit that failed nobody knows what became.
        drop(cache.change(written()));
        assert_eq!(ends(), [None, None, Some("as ever".into()), None]);
        cache.keep(cache.still(), 1, &record(b"read"));
        assert_eq!(end(&cache, 1), Some(b"read".to_vec()));
    }

    #[test]
    fn of_what_is_written_twice_the_last_counts() {
        let cache = Cache::default();
        let (made, gone) = (|| Written::record(1, &record(b"made")), || Written::nothing(1));
        cache.change(vec![made(), gone()]).done();
        assert_eq!(end(&cache, 1), None);
        cache.change(vec![gone(), made()]).done();
        assert_eq!(end(&cache, 1), Some(b"made".to_vec()));
    }

    #[test]
    fn what_is_forgotten_takes_no_memory() {
        let cache = cache_of(&[(1, b"one"), (300, b"two")]);
        let chunks = || cache.chunks.get().unwrap().iter().filter(|chunk| chunk.read().is_some()).count();
        assert_eq!(chunks(), 2);
        cache.clear();
        assert_eq!((end(&cache, 1), chunks()), (None, 0));
    }

    #[test]
    fn a_row_takes_96_bytes() {
        assert_eq!(size_of::<Row>(), 96);
    }
}
