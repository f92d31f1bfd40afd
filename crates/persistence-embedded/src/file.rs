//! The files: how a connection is set up, and how a file's format is known and upgraded.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;
use crate::log;

/// A kind of file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What SQLite's header says of it.
    pub(crate) application_id: i64,
    /// The upgrades: the one at `i` makes format `i + 1` of format `i`. Format 0 is an empty file. What stands here is
    /// never changed, only added to.
    pub(crate) upgrades: &'static [&'static str],
}

/// `catalogue.db`.
pub(crate) const CATALOGUE: Kind =
    Kind { application_id: 0x434C_4D43, upgrades: &[include_str!("schema/catalogue_1.sql")] };

/// `worlds/<incarnation>.db`.
pub(crate) const WORLD: Kind = Kind {
    application_id: 0x434C_4D57,
    upgrades: &[
        include_str!("schema/world_1.sql"),
        include_str!("schema/world_2.sql"),
        include_str!("schema/world_3.sql"),
        include_str!("schema/world_4.sql"),
        include_str!("schema/world_5.sql"),
        include_str!("schema/world_6.sql"),
        include_str!("schema/world_7.sql"),
        include_str!("schema/world_8.sql"),
        include_str!("schema/world_9.sql"),
    ],
};

/// What has to be on the disk before a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The write.
    Disk,
    /// Nothing: the store ends with the process.
    None,
}

impl Durability {
    fn synchronous(self) -> &'static str {
        match self {
            Self::Disk => "FULL",
            Self::None => "OFF",
        }
    }
}

/// Prepared statements that a connection keeps; all there are fit.
const STATEMENTS: usize = 128;
/// How long a connection waits for another one that holds a lock. Only SQLite's own recovery ever does for long.
const BUSY: Duration = Duration::from_secs(5);
/// The bytes that the log may keep on the disk once it was moved.
const LOG_BYTES: i64 = 64 << 20;
/// The bytes of a file that are read through the page cache of the host, without a copy.
const MAPPED_BYTES: i64 = 1 << 30;
/// The KiB of pages that a connection itself keeps. More of them make writes no faster: the host has the others, and where a commit has balanced a
/// tree, SQLite looks through all that it keeps.
const WRITER_CACHE_KIB: i64 = 8 << 10;
const READER_CACHE_KIB: i64 = 4 << 10;

/// Opens a file for reading and writing, upgrading it where it is older than this server.
pub(crate) fn open(path: &Path, kind: Kind, durability: Durability) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, kind, durability, flags).map_err(|error| error.at(path))
}

/// Opens a world's file for its writer, which sees to the log apart from its commits.
pub(crate) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let db = open(path, WORLD, durability)?;
    db.pragma_update(None, "wal_autocheckpoint", 0).map_err(|error| OpenError::sql(path, &error))?;
    Ok(db)
}

/// Opens a file that a writer has open, to move its log into it.
pub(crate) fn open_mover(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let db = connection(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&db)?;
    db.pragma_update(None, "synchronous", durability.synchronous())?;
    Ok(db)
}

/// Makes the file where there is none, and opens it.
pub(crate) fn create(path: &Path, kind: Kind, durability: Durability) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, kind, durability, flags).map_err(|error| error.at(path))
}

/// Opens a file that [`open`] has opened before, for reading.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    // Opened as one that writes, for one that cannot asks the host for a lock with every read.
    let db = connection(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&db)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    db.pragma_update(None, "mmap_size", 0)?;
    Ok(db)
}

/// Lets a connection read the file through the page cache of the host, or no more.
pub(crate) fn map(db: &Connection, mapped: bool) -> rusqlite::Result<()> {
    db.pragma_update(None, "mmap_size", if mapped { MAPPED_BYTES } else { 0 })
}

/// Opens a file that no other process has: the directory is this one's. So the connections to it find their locks and the index of
/// the log in memory, and ask the host for neither with every read.
#[cfg(unix)]
fn connection(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")
}

#[cfg(not(unix))]
fn connection(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, flags)
}

enum Refused {
    Sql(rusqlite::Error),
    Newer { found: i64, known: usize },
    NotAStore(&'static str),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Refused {
    fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Sql(error) => OpenError::sql(path, &error),
            Self::Newer { found, known } => OpenError::Newer { path: path.to_owned(), found, known },
            Self::NotAStore(why) => OpenError::NotAStore { path: path.to_owned(), why },
        }
    }
}

fn connect(path: &Path, kind: Kind, durability: Durability, flags: OpenFlags) -> Result<Connection, Refused> {
    let mut db = connection(path, flags)?;
    set_up(&db)?;
    // Before anything is written: a file of someone else stays as it is.
    let format = identify(&db, kind)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", durability.synchronous())?;
    db.pragma_update(None, "wal_autocheckpoint", log::LONG)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    db.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    upgrade(&mut db, kind, format)?;
    Ok(db)
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan then never depends on a bound value. Else a statement on a table with partial indexes is compiled anew for
    // each value, which takes ten times as long as to run it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

/// The file's format, where it is of this kind and not newer than this server.
fn identify(db: &Connection, kind: Kind) -> Result<usize, Refused> {
    let known = kind.upgrades.len();
    let (application_id, found) = (number(db, "application_id")?, number(db, "user_version")?);
    if application_id == 0 && found == 0 && number(db, "schema_version")? == 0 {
        return Ok(0);
    }
    if application_id != kind.application_id {
        return Err(Refused::NotAStore("it belongs to another program"));
    }
    match usize::try_from(found) {
        Ok(format) if (1..=known).contains(&format) => Ok(format),
        Ok(format) if format > known => Err(Refused::Newer { found, known }),
        _ => Err(Refused::NotAStore("its format has no number")),
    }
}

/// Runs the upgrades that are missing, all or none.
fn upgrade(db: &mut Connection, kind: Kind, format: usize) -> Result<(), Refused> {
    let missing = kind.upgrades.get(format..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    crate::upgrade::teach(db)?;
    let write = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for sql in missing {
        write.execute_batch(sql)?;
    }
    write.pragma_update(None, "application_id", kind.application_id)?;
    write.pragma_update(None, "user_version", i64::try_from(kind.upgrades.len()).unwrap_or(i64::MAX))?;
    write.commit()?;
    if format > 0 {
        tracing::info!(from = format, to = kind.upgrades.len(), path = db.path(), "upgraded a store file");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Kind = Kind { application_id: 7, upgrades: &["CREATE TABLE a (x); INSERT INTO a VALUES (1);"] };
    const SECOND: Kind =
        Kind { application_id: 7, upgrades: &["CREATE TABLE a (x);", "ALTER TABLE a ADD y; UPDATE a SET y = x + 1;"] };
    const BROKEN: Kind = Kind { application_id: 7, upgrades: &["", "ALTER TABLE a ADD y;", "this is no SQL"] };

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        (directory, path)
    }

    #[test]
    fn a_newer_server_upgrades_what_an_older_one_wrote() {
        let (_directory, path) = file();
        drop(create(&path, FIRST, Durability::None).unwrap());
        let db = open(&path, SECOND, Durability::None).unwrap();
        assert_eq!(db.query_row("SELECT y FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
        assert_eq!(number(&db, "user_version").unwrap(), 2);
    }

    #[test]
    fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
        let (_directory, path) = file();
        drop(create(&path, FIRST, Durability::None).unwrap());
        assert!(matches!(open(&path, BROKEN, Durability::None), Err(OpenError::Io { .. })));
        let db = open(&path, FIRST, Durability::None).unwrap();
        assert_eq!(number(&db, "user_version").unwrap(), 1);
        assert!(db.prepare("SELECT y FROM a").is_err());
    }

    #[test]
    fn an_older_server_refuses_what_a_newer_one_wrote() {
        let (_directory, path) = file();
        drop(create(&path, SECOND, Durability::None).unwrap());
        let error = open(&path, FIRST, Durability::None).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("newer version"));
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let (_directory, path) = file();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        drop(other);
        assert!(matches!(create(&path, FIRST, Durability::None), Err(OpenError::NotAStore { .. })));
        assert_eq!(number(&Connection::open(&path).unwrap(), "application_id").unwrap(), 0);

        std::fs::write(&path, "no database at all, only text that is long enough to have a header").unwrap();
        assert!(matches!(create(&path, FIRST, Durability::None), Err(OpenError::NotAStore { .. })));
    }
}
