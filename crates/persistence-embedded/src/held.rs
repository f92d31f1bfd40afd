//! A statement that is run again and again.

use rusqlite::{CachedStatement, Connection, Params};

/// A statement that is prepared when it is first run, and in hand from then on: for many rows, looking for it each time costs
/// more than to run it.
pub(crate) struct Held<'db> {
    db: &'db Connection,
    sql: &'static str,
    statement: Option<CachedStatement<'db>>,
}

impl<'db> Held<'db> {
    pub(crate) fn new(db: &'db Connection, sql: &'static str) -> Self {
        Self { db, sql, statement: None }
    }

    pub(crate) fn get(&mut self) -> rusqlite::Result<&mut CachedStatement<'db>> {
        let statement = match self.statement.take() {
            Some(statement) => statement,
            None => self.db.prepare_cached(self.sql)?,
        };
        Ok(self.statement.insert(statement))
    }

    /// Runs it; says how many rows it changed.
    pub(crate) fn execute(&mut self, values: impl Params) -> rusqlite::Result<usize> {
        self.get()?.execute(values)
    }
}
