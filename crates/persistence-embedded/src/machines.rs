//! The machines of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    BulkWrite, Commit, CommitError, MachineCount, MachinePage, MachineQuery, MachineStore, MachineWrite, PlacedMachine,
    StoreError,
};
use cloudm_domain::{ClusterId, Instant, Machine, MachineId, Name};
use rusqlite::{Connection, Params, params};

use crate::bulk::Bulk;
use crate::error::DbError;
use crate::machine_row::{self, COLUMNS, Columns};
use crate::world::OpenWorld;
use crate::writer::millis;
use crate::{answers, bulk, clusters, counts, events, list, sql};

/// The machines of one world.
pub(crate) struct Machines(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl MachineStore for Machines {
    async fn get(&self, id: MachineId) -> Result<Option<PlacedMachine>, StoreError> {
        self.0.read(|db| placed(db, id))
    }

    async fn holder(&self, cluster: ClusterId, name: &Name) -> Result<Option<Machine>, StoreError> {
        self.0.read(|db| one(db, sql::MACHINE_HOLDER, params![cluster.as_bytes(), name.as_str()]))
    }

    async fn id_used(&self, id: MachineId) -> Result<bool, StoreError> {
        self.0.read(|db| events::id_used(db, id))
    }

    async fn list(&self, query: &MachineQuery) -> Result<MachinePage, StoreError> {
        let (query, incarnation) = (query.clone(), self.0.incarnation());
        self.0.read_on_thread(move |readers| readers.read_moment(|db| list::page(db, incarnation, &query))).await
    }

    async fn due(&self, until: Instant, limit: usize) -> Result<Vec<Machine>, StoreError> {
        self.0.read_on_thread(move |readers| readers.read(|db| due(db, until, limit))).await
    }

    async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        self.0.read(next_due)
    }

    async fn counts(&self) -> Result<Vec<MachineCount>, StoreError> {
        self.0.read_on_thread(|readers| readers.read(counts::all)).await
    }

    async fn commit_all(&self, writes: Vec<BulkWrite>) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        if writes.len() > MachineQuery::MAX_EXAMINED {
            return Err(DbError::Misused("so many machines are not written at once").into());
        }
        let instant = writes.iter().flat_map(|write| &write.events).map(|event| event.at).max();
        self.0.write(instant, move |db| Ok(bulk::write_all(db, &writes)?)).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let base = self.0.base();
        let instant = commit.events.iter().map(|event| event.at).max();
        self.0.write(instant, move |db| write(db, &commit, base.wall.now())).await
    }
}

fn placed(db: &Connection, id: MachineId) -> Result<Option<PlacedMachine>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_GET)?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(PlacedMachine { machine: machine_row::read(row)?, cluster: clusters::read(row, COLUMNS)? }))
}

/// The machine with this id, also where its cluster exists no more.
pub(crate) fn read(db: &Connection, id: MachineId) -> Result<Option<Machine>, DbError> {
    one(db, sql::MACHINE_READ, [id.as_bytes()])
}

fn one(db: &Connection, sql: &str, values: impl Params) -> Result<Option<Machine>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(machine_row::read).transpose()
}

fn due(db: &Connection, until: Instant, limit: usize) -> Result<Vec<Machine>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_DUE)?;
    let mut rows = statement.query([millis(until), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut machines = Vec::new();
    while let Some(row) = rows.next()? {
        machines.push(machine_row::read(row)?);
    }
    Ok(machines)
}

fn next_due(db: &Connection) -> Result<Option<Instant>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_NEXT_DUE)?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| Columns(row).instant(0)).transpose()
}

fn write(db: &Connection, commit: &Commit, wall: u64) -> Result<(), CommitError> {
    if let Some(answer) = &commit.keep
        && answers::is_kept(db, &answer.key, wall)?
    {
        return Err(CommitError::KeyTaken);
    }
    let old = match &commit.write {
        MachineWrite::Create(_) => None,
        MachineWrite::Update { expected, machine } => Some(expect(db, machine.id, *expected)?),
        MachineWrite::Remove { id, expected } => Some(expect(db, *id, *expected)?),
    };
    let new = match &commit.write {
        MachineWrite::Create(machine) | MachineWrite::Update { machine, .. } => Some(machine),
        MachineWrite::Remove { .. } => None,
    };
    if !commit.is_whole() {
        return Err(bulk::torn().into());
    }
    let mut bulk = Bulk::new(db);
    bulk.change(old.as_ref(), new, &commit.events)??;
    bulk.finish()?;
    commit.keep.iter().try_for_each(|answer| answers::put(db, answer))?;
    Ok(())
}

/// The machine, where it has the expected version.
fn expect(db: &Connection, id: MachineId, expected: u64) -> Result<Machine, CommitError> {
    read(db, id)?.filter(|machine| machine.version == expected).ok_or(CommitError::Conflict)
}
