//! What came of fleet operations for each machine.

use cloudm_application::ports::{FleetEntry, FleetResult};
use cloudm_domain::{FleetOutcome, MachineId};
use rusqlite::{Connection, params};

use crate::columns::Columns;
use crate::error::DbError;
use crate::held::Held;
use crate::sql;

/// Writes the results of a batch, each machine's once.
pub(crate) struct Results<'db> {
    operation: i64,
    known: Held<'db>,
    insert: Held<'db>,
    insert_refusal: Held<'db>,
    /// Whether no machine of the batch has a result, or is there twice. That takes one look, where it would be one for each.
    fresh: bool,
}

impl<'db> Results<'db> {
    /// For the results of these entries.
    pub(crate) fn new(db: &'db Connection, operation: i64, entries: &[FleetEntry]) -> Result<Self, DbError> {
        let machine = |entry: &FleetEntry| entry.result.machine;
        let ascending = entries.is_sorted_by(|one, next| machine(one) < machine(next));
        let fresh = match (entries.first(), entries.last()) {
            (Some(first), Some(last)) if ascending => !any(db, operation, machine(first), machine(last))?,
            _ => false,
        };
        Ok(Self {
            operation,
            known: Held::new(db, sql::RESULT_KNOWN),
            insert: Held::new(db, sql::RESULT_INSERT),
            insert_refusal: Held::new(db, sql::REFUSAL_INSERT),
            fresh,
        })
    }

    /// Whether a machine has a result.
    pub(crate) fn knows(&mut self, machine: MachineId) -> Result<bool, DbError> {
        if self.fresh {
            return Ok(false);
        }
        Ok(self.known.get()?.query_row(params![self.operation, machine.as_bytes()], |row| row.get(0))?)
    }

    /// Adds the result of a machine that has none.
    pub(crate) fn insert(&mut self, result: FleetResult) -> Result<(), DbError> {
        let insert = if result.outcome.is_refusal() { &mut self.insert_refusal } else { &mut self.insert };
        insert.execute(params![self.operation, result.machine.as_bytes(), result.outcome.number()])?;
        Ok(())
    }
}

fn any(db: &Connection, operation: i64, first: MachineId, last: MachineId) -> Result<bool, DbError> {
    let range = params![operation, first.as_bytes(), last.as_bytes()];
    Ok(db.prepare_cached(sql::RESULT_ANY)?.query_row(range, |row| row.get(0))?)
}

/// A page of results, those that refused first.
pub(crate) fn page(
    db: &Connection,
    operation: i64,
    after: Option<FleetResult>,
    limit: usize,
) -> Result<Vec<FleetResult>, DbError> {
    let mut results = Vec::new();
    // Before every id.
    let mut last: &[u8] = &[];
    let beyond_refusals = after.as_ref().is_some_and(|after| !after.outcome.is_refusal());
    if let Some(after) = &after {
        last = after.machine.as_bytes();
    }
    if !beyond_refusals {
        read(db, sql::REFUSAL_PAGE, (operation, last), limit, &mut results)?;
        last = &[];
    }
    read(db, sql::RESULT_PAGE, (operation, last), limit, &mut results)?;
    Ok(results)
}

/// Fills `results` up to `limit`.
fn read(
    db: &Connection,
    sql: &str,
    (operation, after): (i64, &[u8]),
    limit: usize,
    results: &mut Vec<FleetResult>,
) -> Result<(), DbError> {
    let missing = i64::try_from(limit.saturating_sub(results.len())).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![operation, after, missing])?;
    while let Some(row) = rows.next()? {
        let outcome =
            FleetOutcome::from_number(Columns(row).number(1)?).map_err(|why| DbError::damaged("an outcome", why))?;
        results.push(FleetResult { machine: MachineId::from_bytes(Columns(row).id(0)?), outcome });
    }
    Ok(())
}

/// Drops at most so many results of an operation; says how many.
pub(crate) fn drop_some(db: &Connection, operation: i64, limit: usize) -> Result<usize, DbError> {
    let mut dropped = 0;
    for sql in [sql::REFUSAL_DROP, sql::RESULT_DROP] {
        let left = i64::try_from(limit.saturating_sub(dropped)).unwrap_or(i64::MAX);
        dropped += db.prepare_cached(sql)?.execute([operation, left])?;
    }
    Ok(dropped)
}
