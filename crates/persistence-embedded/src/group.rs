//! What writes that share a transaction have in common.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use cloudm_domain::{ClusterId, Code, FaultId, PoolSizes};
use rusqlite::Connection;

use crate::cache::Written;
use crate::counts::Deltas;
use crate::error::DbError;
use crate::faults::Matches;
use crate::statements::Statements;

/// A group of writes: its transaction, and what is written once for all of them, before it is committed.
pub(crate) struct Group<'db> {
    db: &'db Connection,
    /// Those that no write has, kept from one to the next.
    statements: Cell<Option<Box<Statements<'db>>>>,
    counts: RefCell<Deltas>,
    matches: RefCell<Matches>,
    written: RefCell<Vec<Written>>,
}

impl<'db> Group<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        let (counts, matches, written) = Default::default();
        Self { db, statements: Cell::default(), counts, matches, written }
    }

    /// The statements of a write. Where it fails, they are gone with it.
    pub(crate) fn statements(&self) -> Box<Statements<'db>> {
        self.statements.take().unwrap_or_else(|| Box::new(Statements::new(self.db)))
    }

    /// Takes what a write changed of the counts, once all else of it is written, its statements, and the rows of machines it wrote.
    pub(crate) fn count(&self, mut statements: Box<Statements<'db>>, mut written: Vec<Written>) {
        self.written.borrow_mut().append(&mut written);
        self.counts.borrow_mut().add_all(statements.rows.finish());
        self.matches.borrow_mut().add_all(statements.events.finish());
        self.statements.set(Some(statements));
    }

    /// By how much what was taken changes the places that are held in a pool.
    pub(crate) fn held(&self, sizes: &PoolSizes, pool: &(Code, Code)) -> Result<i64, DbError> {
        self.counts.borrow().held(self.db, sizes, pool)
    }

    /// By how much it changes those that machines of a type in a cluster hold.
    pub(crate) fn held_in_cluster(&self, sizes: &PoolSizes, cluster: ClusterId, machine_type: &Code) -> i64 {
        self.counts.borrow().held_in_cluster(sizes, cluster, machine_type)
    }

    /// How often what was taken says that a fault matched.
    pub(crate) fn matches_of(&self, fault: FaultId) -> i64 {
        self.matches.borrow().of(fault)
    }

    /// Writes what was taken, and gives the rows of machines that were written.
    pub(crate) fn finish(self) -> Result<Vec<Written>, DbError> {
        self.counts.into_inner().write(self.db)?;
        self.matches.into_inner().write(self.db)?;
        Ok(self.written.into_inner())
    }
}

impl Deref for Group<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
