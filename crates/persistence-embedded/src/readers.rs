//! Connections that read a world.
//!
//! While nothing is written, they read the file as it lies in the memory of the host. That is a fifth faster than to copy each
//! page, but it does not outlast a commit: SQLite lets go of all of it then, and each page is found anew. So while something is
//! written they copy.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::error::DbError;
use crate::file;

/// Read-only connections to one file, opened as they are needed. A connection is used by one thread at a time and never
/// across an await, so there are never more than there are threads.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    /// Reads since the last commit, up to as many as are needed to call it quiet.
    quiet: AtomicU32,
}

#[derive(Debug)]
struct Reader {
    db: Connection,
    mapped: bool,
}

impl Reader {
    fn map(&mut self, mapped: bool) -> Result<(), DbError> {
        if self.mapped != mapped {
            file::map(&self.db, mapped)?;
            self.mapped = mapped;
        }
        Ok(())
    }
}

impl Readers {
    /// Reads without a commit between them after which none is expected.
    const QUIET: u32 = 256;
    /// The most connections that are kept while nobody uses them.
    const MAX_IDLE: usize = 16;

    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), quiet: AtomicU32::new(0) }
    }

    /// Told of each commit.
    pub(crate) fn written(&self) {
        self.quiet.store(0, Ordering::Relaxed);
    }

    /// Whether it is quiet. Readers that count at the same time may miss one another.
    fn is_quiet(&self) -> bool {
        let reads = self.quiet.load(Ordering::Relaxed);
        if reads < Self::QUIET {
            self.quiet.store(reads + 1, Ordering::Relaxed);
        }
        reads >= Self::QUIET
    }

    /// Reads by one statement, which sees one moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let idle = self.idle.lock().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader { db: file::open_reader(&self.path)?, mapped: false },
        };
        reader.map(self.is_quiet())?;
        let result = read(&reader.db);
        // A connection that failed is not trusted again.
        if !matches!(result, Err(DbError::Sql(_))) {
            let mut idle = self.idle.lock();
            if idle.len() < Self::MAX_IDLE {
                idle.push(reader);
            }
        }
        result
    }

    /// Reads by several statements, which all see one moment.
    pub(crate) fn read_moment<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        self.read(|db| {
            let moment = db.unchecked_transaction()?;
            let result = read(&moment)?;
            moment.commit()?;
            Ok(result)
        })
    }

    /// Closes the connections that nobody uses now.
    pub(crate) fn close(&self) {
        self.idle.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Durability;

    #[test]
    fn the_file_is_mapped_while_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        drop(file::create(&path, file::WORLD, Durability::None).unwrap());
        let readers = Readers::new(path);
        let mapped = || {
            let size = |db: &Connection| Ok(db.pragma_query_value(None, "mmap_size", |row| row.get::<_, i64>(0))?);
            readers.read(size).unwrap() > 0
        };
        for _ in 0..2 {
            assert!((0..Readers::QUIET).all(|_| !mapped()));
            assert!(mapped() && mapped());
            readers.written();
        }
    }
}
