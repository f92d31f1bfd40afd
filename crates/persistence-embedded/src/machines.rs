//! The machines of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    Commit, CommitError, MachinePage, MachineQuery, MachineStore, MachineWrite, PlacedMachine, StoreError,
};
use cloudm_domain::{ClusterId, Instant, Machine, MachineId, Name};
use rusqlite::{Connection, OptionalExtension, Params, params};

use crate::error::DbError;
use crate::machine_row::{self, COLUMNS, Columns};
use crate::world::OpenWorld;
use crate::writer::millis;
use crate::{answers, clusters, events, list, sql};

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
        let query = query.clone();
        self.0.read_on_thread(move |readers| readers.read_moment(|db| list::page(db, &query))).await
    }

    async fn due(&self, until: Instant, limit: usize) -> Result<Vec<Machine>, StoreError> {
        self.0.read_on_thread(move |readers| readers.read(|db| due(db, until, limit))).await
    }

    async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        self.0.read(next_due)
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
    match &commit.write {
        MachineWrite::Create(machine) => create(db, machine)?,
        MachineWrite::Update { expected, machine } => update(db, *expected, machine)?,
        MachineWrite::Remove { id, expected } => machine_row::delete(db, &expect(db, *id, *expected)?)?,
    }
    if !commit.is_whole() {
        return Err(DbError::Misused("the events of a commit lead from the version before to the version after").into());
    }
    events::append(db, &commit.events)?;
    commit.keep.iter().try_for_each(|answer| answers::put(db, answer))?;
    Ok(())
}

fn create(db: &Connection, machine: &Machine) -> Result<(), CommitError> {
    if events::id_used(db, machine.id)? {
        return Err(CommitError::IdUsed);
    }
    if clusters::get(db, machine.cluster_id)?.is_none() {
        return Err(CommitError::NoCluster);
    }
    check_name(db, machine)?;
    machine_row::insert(db, machine)?;
    Ok(())
}

fn update(db: &Connection, expected: u64, machine: &Machine) -> Result<(), CommitError> {
    let old = expect(db, machine.id, expected)?;
    if old.name != machine.name {
        check_name(db, machine)?;
    }
    machine_row::update(db, &old, machine)?;
    Ok(())
}

/// The machine, where it has the expected version.
fn expect(db: &Connection, id: MachineId, expected: u64) -> Result<Machine, CommitError> {
    read(db, id)?.filter(|machine| machine.version == expected).ok_or(CommitError::Conflict)
}

fn check_name(db: &Connection, machine: &Machine) -> Result<(), CommitError> {
    if !machine.holds_name() {
        return Ok(());
    }
    match holder(db, machine)? {
        Some(holder) if holder != *machine.id.as_bytes() => Err(CommitError::NameTaken),
        _ => Ok(()),
    }
}

fn holder(db: &Connection, machine: &Machine) -> Result<Option<[u8; 12]>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_NAME_HELD)?;
    let place = params![machine.cluster_id.as_bytes(), machine.name.as_str()];
    Ok(statement.query_row(place, |row| row.get(0)).optional()?)
}
