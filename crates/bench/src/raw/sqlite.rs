//! A world's file with the tables and indexes of the embedded store, and nothing of the store around it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::requests::Shuffle;

/// A column for each field of a machine, as a program would have it, and as the store had it up to format 6. That a machine is one
/// record since then is part of what is compared.
const SCHEMA: [&str; 6] = [
    include_str!("../../../persistence-embedded/src/schema/world_1.sql"),
    include_str!("../../../persistence-embedded/src/schema/world_2.sql"),
    include_str!("../../../persistence-embedded/src/schema/world_3.sql"),
    include_str!("../../../persistence-embedded/src/schema/world_4.sql"),
    include_str!("../../../persistence-embedded/src/schema/world_5.sql"),
    include_str!("../../../persistence-embedded/src/schema/world_6.sql"),
];

/// The id of the cluster that all machines are in.
pub(crate) const CLUSTER: [u8; 12] = [7; 12];
/// The second that ids begin with.
const FIRST_SECOND: u64 = 1_900_000_000;
/// How many machines are made in one second.
const A_SECOND: u64 = 10_000;

/// A file with machines.
pub(crate) struct Raw {
    pub(crate) db: Connection,
    pub(crate) reader: Connection,
    /// In order, for those that were loaded.
    pub(crate) ids: Vec<[u8; 12]>,
    /// Whether each was turned: stopped, or given the other tag.
    pub(crate) stopped: Vec<bool>,
    pub(crate) tagged: Vec<bool>,
    pub(crate) shuffle: Shuffle,
    /// How many were made one by one.
    pub(crate) made: u64,
    path: PathBuf,
    _directory: TempDir,
}

impl Raw {
    /// An empty one, in a directory of its own below `scratch`.
    pub(crate) fn empty(scratch: &Path) -> Result<Self> {
        let directory = tempfile::tempdir_in(scratch)?;
        let path = directory.path().join("raw.db");
        let db = writer(&path)?;
        for sql in SCHEMA {
            db.execute_batch(sql)?;
        }
        db.execute("INSERT INTO clusters VALUES (?, 'c1', 'A', 1, 0, 0)", [CLUSTER])?;
        let reader = reader(&path)?;
        let (ids, stopped, tagged) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { db, reader, ids, stopped, tagged, shuffle: Shuffle::new(1), made: 0, path, _directory: directory })
    }

    /// The bytes on the disk, with all of the log in the file.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(std::fs::metadata(&self.path)?.len())
    }
}

/// As `file.rs` of the store opens it.
fn writer(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    set_up(&db, 32 << 10)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 8_000)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

fn reader(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&db, 4 << 10)?;
    Ok(db)
}

fn set_up(db: &Connection, cache_kib: i64) -> Result<()> {
    db.set_prepared_statement_cache_capacity(128);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "cache_size", -cache_kib)?;
    db.pragma_update(None, "mmap_size", 1 << 30)?;
    Ok(())
}

/// The instant at which the machine with this number was made.
pub(crate) fn made_at(number: u64) -> i64 {
    i64::try_from(FIRST_SECOND * 1_000 + number * 1_000 / A_SECOND).unwrap_or(i64::MAX)
}

/// The id of the machine with this number, in the order of the numbers.
pub(crate) fn id_in_order(number: u64) -> [u8; 12] {
    id(number, number)
}

/// An id as the server makes it: in order by the second only.
pub(crate) fn id_by_second(number: u64) -> [u8; 12] {
    id(number, Shuffle::new(number).next())
}

fn id(number: u64, rest: u64) -> [u8; 12] {
    let second = u32::try_from(FIRST_SECOND + number / A_SECOND).unwrap_or(u32::MAX);
    let mut id = [0; 12];
    let bytes = second.to_be_bytes().into_iter().chain(rest.to_be_bytes());
    id.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_creation() {
        assert!(id_in_order(1) < id_in_order(2) && id_in_order(A_SECOND - 1) < id_in_order(A_SECOND));
        assert!(id_by_second(A_SECOND - 1) < id_by_second(A_SECOND));
        assert!(made_at(1) <= made_at(2) && made_at(0) < made_at(A_SECOND));
    }
}
