//! Connections that read a world.

use std::path::PathBuf;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::error::DbError;
use crate::file;

/// Read-only connections to one file, opened as they are needed. A connection is used by one thread at a time and never
/// across an await, so there are never more than there are threads.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// The most connections that are kept while nobody uses them.
    const MAX_IDLE: usize = 16;

    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Reads by one statement, which sees one moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let idle = self.idle.lock().pop();
        let db = idle.map_or_else(|| file::open_reader(&self.path), Ok)?;
        let result = read(&db);
        // A connection that failed is not trusted again.
        if !matches!(result, Err(DbError::Sql(_))) {
            let mut idle = self.idle.lock();
            if idle.len() < Self::MAX_IDLE {
                idle.push(db);
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
