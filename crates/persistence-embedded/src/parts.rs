//! Worlds part by part: read whole at one moment, and made of parts.

use std::path::Path;

use cloudm_application::ports::{GoneCluster, Part, Parts, PartsToLoad, StoreError, WallClock, World, WorldsError};
use cloudm_domain::{Instant, Machine, MachineEvent};
use rusqlite::{Connection, Row};

use crate::columns::version;
use crate::error::DbError;
use crate::file::{self, Durability};
use crate::rows::Rows;
use crate::runs::Runs;
use crate::writer::millis;
use crate::{chain, clusters, events, record, runs, sql, world};

/// What a part has, and the events of a run more.
const ROWS: usize = 1_000;

/// Parts that are written at once.
const PARTS: usize = 32;

/// Gives a world's parts to whoever takes them, as they are at one moment of the connection. `now` is told what the record says.
pub(crate) fn read(db: &Connection, now: impl FnOnce(&World) -> Instant, to: &Parts) -> Result<(), DbError> {
    let record = world::stored_record(db)?.ok_or_else(|| DbError::damaged("a world", "it has no record"))?;
    let instant = now(&record);
    // Whoever takes no more has all that it wants.
    if to.blocking_send(Part::World(Box::new(record), instant)).is_err()
        || to.blocking_send(Part::Clusters(clusters::select(db, sql::CLUSTER_ALL, [])?)).is_err()
        || !send(db, sql::ALL_GONE_CLUSTERS, |row| clusters::read_gone(row).map(Some), Part::GoneClusters, to)?
        || !send(db, sql::ALL_MACHINES, |row| record::read(row).map(Some), Part::Machines, to)?
        || !send(db, sql::ALL_EVENTS, read_events, Part::Events, to)?
    {
        return Ok(());
    }
    let _ = to.blocking_send(Part::End);
    Ok(())
}

fn read_events(row: &Row<'_>) -> Result<impl Iterator<Item = MachineEvent> + use<>, DbError> {
    Ok(runs::read(row)?.map(|(_, event)| event))
}

/// Sends what a statement finds; says whether it was taken.
fn send<T, R: IntoIterator<Item = T>>(
    db: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<R, DbError>,
    part: impl Fn(Vec<T>) -> Part,
    to: &Parts,
) -> Result<bool, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut some = Vec::new();
    while let Some(row) = rows.next()? {
        some.extend(read(row)?);
        if some.len() >= ROWS && to.blocking_send(part(std::mem::take(&mut some))).is_err() {
            return Ok(false);
        }
    }
    Ok(some.is_empty() || to.blocking_send(part(some)).is_ok())
}

/// Writes the file of a world from its parts.
pub(crate) fn write(
    path: &Path,
    world: &World,
    mut from: PartsToLoad,
    wall: &dyn WallClock,
) -> Result<(), WorldsError> {
    world::create(path, world, Durability::None)?;
    let db = file::open(path, file::WORLD, Durability::None).map_err(StoreError::from)?;
    while !write_some(&db, &mut from).map_err(StoreError::from)?? {}
    world::set(&db, &world.clone().resumed(wall.now()))?;
    Ok(db.close().map_err(|(_, error)| StoreError::from(DbError::from(error)))?)
}

/// Writes parts in one transaction; says whether there are no more.
fn write_some(db: &Connection, from: &mut PartsToLoad) -> Result<Result<bool, StoreError>, DbError> {
    let write = db.unchecked_transaction()?;
    let mut ended = false;
    for _ in 0..PARTS {
        match from.blocking_recv() {
            None => return Ok(Err(StoreError::Failed("the parts of a world stopped before their end".into()))),
            Some(Part::End) => {
                ended = true;
                break;
            }
            Some(part) => put(&write, &part)?,
        }
    }
    write.commit()?;
    Ok(Ok(ended))
}

fn put(db: &Connection, part: &Part) -> Result<(), DbError> {
    match part {
        Part::World(..) | Part::End => Ok(()),
        Part::Clusters(some) => some.iter().try_for_each(|cluster| clusters::insert(db, cluster)),
        Part::GoneClusters(some) => some.iter().try_for_each(|gone| put_gone(db, gone)),
        Part::Machines(some) => put_machines(db, some),
        Part::Events(some) => put_events(db, some),
    }
}

/// Where the history of a machine is, of which nothing is written yet: no run has such a number. It is as wide as those to come, so that
/// the machine's row keeps its length.
const NOWHERE: Runs = Runs { first: i32::MIN as i64, last: i32::MIN as i64 };

fn put_machines(db: &Connection, machines: &[Machine]) -> Result<(), DbError> {
    let mut rows = Rows::new(db);
    for machine in machines {
        if rows.insert(machine, NOWHERE)?.is_none() {
            return Err(DbError::Misused("a machine of parts has its id and its name for itself"));
        }
    }
    rows.finish().write(db)
}

/// Writes events, whose machines are there where they still exist.
fn put_events(db: &Connection, some: &[MachineEvent]) -> Result<(), DbError> {
    let (mut rows, mut events) = (Rows::new(db), events::Appender::new(db));
    for run in runs::of(some) {
        let Some(MachineEvent { machine, at, .. }) = run.first() else { continue };
        let stored = rows.find(*machine)?;
        let known = match stored {
            Some(stored) => Some(stored.runs).filter(|runs| *runs != NOWHERE),
            None => chain::runs_of(db, *machine)?,
        };
        let added = events.append(run, known.map(|runs| runs.last))?;
        let runs = Runs { last: added.last, ..known.unwrap_or(added) };
        match stored {
            Some(stored) => rows.set_runs(stored, runs)?,
            None => rows.set_former(*machine, *at, runs)?,
        }
    }
    events.finish().write(db)
}

fn put_gone(db: &Connection, gone: &GoneCluster) -> Result<(), DbError> {
    let GoneCluster { cluster, at } = gone;
    clusters::insert_id(db, cluster.id)?;
    db.prepare_cached(sql::CLUSTER_GONE_SET)?.execute(rusqlite::params![
        cluster.id.as_bytes(),
        cluster.name.as_str(),
        cluster.region_code.as_str(),
        version(cluster.version)?,
        millis(cluster.created_at),
        millis(cluster.updated_at),
        millis(*at),
    ])?;
    Ok(())
}
