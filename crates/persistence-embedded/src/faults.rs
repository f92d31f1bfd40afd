//! How often faults matched.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{FaultMatches, FaultStore, RequestCounted, StoreError};
use cloudm_domain::{FaultId, MachineEvent};
use rusqlite::{Connection, params};

use crate::columns::Columns;
use crate::error::DbError;
use crate::sql;
use crate::world::OpenWorld;
use crate::writer::Undo;

/// How often the faults of one world matched.
pub(crate) struct Faults(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl FaultStore for Faults {
    async fn matches(&self) -> Result<Vec<FaultMatches>, StoreError> {
        self.0.read(|db| {
            let read = |columns: Columns<'_, '_>| {
                let fault = FaultId::from_bytes(columns.id(0)?);
                Ok(FaultMatches { fault, matches: columns.number(1)?, struck: columns.number(2)? })
            };
            all(db, sql::FAULT_MATCHES, read)
        })
    }

    async fn count_request(&self, fault: FaultId, counted: RequestCounted) -> Result<u64, StoreError> {
        let sql = match counted {
            RequestCounted::Drawn => sql::FAULT_REQUEST_DRAWN,
            RequestCounted::Matched => sql::FAULT_REQUEST_MATCHED,
        };
        let count = move |db: &Connection| {
            let counted: i64 = db.prepare_cached(sql)?.query_row([fault.as_bytes()], |row| row.get(0))?;
            u64::try_from(counted - 1).map_err(|why| DbError::damaged("a count", why))
        };
        self.0.write(None, Undo::Savepoint, move |db| count(db).map_err(|error: DbError| error.into())).await
    }

    async fn requests(&self) -> Result<Vec<(FaultId, u64)>, StoreError> {
        let read = |columns: Columns<'_, '_>| Ok((FaultId::from_bytes(columns.id(0)?), columns.number(1)?));
        self.0.read(|db| all(db, sql::FAULT_REQUESTS, read))
    }
}

/// How often a fault matched, as far as it is written.
pub(crate) fn matches_of(db: &Connection, fault: FaultId) -> Result<i64, DbError> {
    let mut statement = db.prepare_cached(sql::FAULT_MATCHES_OF)?;
    let mut rows = statement.query([fault.as_bytes()])?;
    rows.next()?.map_or(Ok(0), |row| Columns(row).number(0))
}

fn all<T>(db: &Connection, sql: &str, read: impl Fn(Columns<'_, '_>) -> Result<T, DbError>) -> Result<Vec<T>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(Columns(row))?);
    }
    Ok(found)
}

/// How often faults matched: summed up over many events, and written once.
#[derive(Debug, Default)]
pub(crate) struct Matches(BTreeMap<FaultId, (i64, i64)>);

impl Matches {
    /// Takes what an event tells.
    pub(crate) fn count(&mut self, event: &MachineEvent) {
        if let Some(told) = event.change.fault_match() {
            let (matches, struck) = self.0.entry(told.fault).or_default();
            *matches += 1;
            *struck += i64::from(told.effect.is_some());
        }
    }

    /// How often a fault matched by these.
    pub(crate) fn of(&self, fault: FaultId) -> i64 {
        self.0.get(&fault).map_or(0, |(matches, _)| *matches)
    }

    /// Adds others.
    pub(crate) fn add_all(&mut self, others: Self) {
        for (fault, more) in others.0 {
            let (matches, struck) = self.0.entry(fault).or_default();
            *matches += more.0;
            *struck += more.1;
        }
    }

    /// Writes them, in the transaction of the events.
    pub(crate) fn write(self, db: &Connection) -> Result<(), DbError> {
        for (fault, (matches, struck)) in self.0 {
            db.prepare_cached(sql::FAULT_MATCHES_ADD)?.execute(params![fault.as_bytes(), matches, struck])?;
        }
        Ok(())
    }
}
