//! The fleet operations of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    AcceptError, Ending, FleetBatch, FleetOperation, FleetResult, FleetWorked, KeptAnswer, Lease, MAX_UNENDED,
    OperationStore, StoreError, WorkError,
};
use cloudm_domain::{FleetState, OperationId, WallMillis};
use rusqlite::{Connection, OptionalExtension, Params, params};

use crate::answers::{self, stored};
use crate::bulk::{Bulk, Taken};
use crate::columns::{Columns, version};
use crate::error::DbError;
use crate::group::Group;
use crate::known::Known;
use crate::results::{self, Results};
use crate::world::OpenWorld;
use crate::writer::Undo;
use crate::{events, sql};

/// The fleet operations of one world.
pub(crate) struct Operations(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl OperationStore for Operations {
    async fn accept(
        &self,
        operation: FleetOperation,
        lease: Option<Lease>,
        keep: Option<KeptAnswer>,
    ) -> Result<FleetOperation, AcceptError> {
        let (world, at) = (self.0.clone(), operation.accepted.at);
        let work = move |db: &Group<'_>| {
            let mut operation = operation;
            operation.state = if lease.is_some() { FleetState::Running } else { FleetState::Pending };
            // The commits of a world have one order, and this job stands in it.
            operation.accepted.position = events::position(world.incarnation(), events::last(db)?);
            let accepted = accept(db, operation, keep.as_ref(), world.base().wall.now())?;
            if let Some(lease) = &lease {
                world.leases().take(accepted.id, lease);
            }
            Ok(accepted)
        };
        self.0.write(Some(at), Undo::Savepoint, work).await
    }

    async fn get(&self, id: OperationId) -> Result<Option<FleetOperation>, StoreError> {
        self.0.read(|db| get(db, id))
    }

    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<FleetOperation>, StoreError> {
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        let page = [before, limited(limit)];
        self.0.read_on_thread(move |readers| readers.read(|db| select(db, sql::OPERATION_PAGE, page))).await
    }

    async fn unended(&self) -> Result<Vec<FleetOperation>, StoreError> {
        self.0.read(|db| select(db, sql::OPERATION_UNENDED, [limited(MAX_UNENDED)]))
    }

    async fn claim(&self, id: OperationId, lease: Lease) -> Result<Option<FleetOperation>, StoreError> {
        let world = self.0.clone();
        let claim = move |db: &Connection| {
            let operation = get(db, id)?.filter(|operation| !operation.state.is_ended());
            let claimed = operation.filter(|_| world.leases().take(id, &lease));
            claimed.map(|claimed| run(db, claimed)).transpose()
        };
        self.0.write(None, Undo::Savepoint, move |db| claim(db).map_err(|error: DbError| error.into())).await
    }

    async fn work(&self, batch: FleetBatch) -> Result<FleetWorked, WorkError> {
        let (world, id) = (self.0.clone(), batch.operation);
        let writes = batch.entries.iter().filter_map(|entry| entry.write.as_ref());
        let instant = writes.flat_map(|write| &write.events).map(|event| event.at).max();
        let instant = instant.max(batch.ending.map(|ending| ending.at));
        let work = move |group: &Group<'_>| {
            let operation = get(group, id)?.filter(|operation| !operation.state.is_ended());
            let operation = operation.filter(|_| world.leases().renew(id, &batch.lease)).ok_or(WorkError::NotYours)?;
            Ok(work((group, world.known()), operation, &batch)?)
        };
        let worked: Result<FleetWorked, WorkError> = self.0.write(instant, Undo::Nothing, work).await;
        if worked.as_ref().is_ok_and(|worked| worked.operation.state.is_ended()) {
            self.0.leases().forget(id);
        }
        worked
    }

    async fn end(&self, id: OperationId, ending: Ending) -> Result<Option<(FleetOperation, bool)>, StoreError> {
        let end = move |db: &Connection| get(db, id)?.map(|operation| end(db, operation, &ending)).transpose();
        let end = move |db: &Group<'_>| end(db).map_err(|error: DbError| StoreError::from(error));
        let ended = self.0.write(Some(ending.at), Undo::Savepoint, end).await?;
        self.0.leases().forget(id);
        Ok(ended)
    }

    async fn results(
        &self,
        id: OperationId,
        after: Option<FleetResult>,
        limit: usize,
    ) -> Result<Vec<FleetResult>, StoreError> {
        let page = move |db: &Connection| match get(db, id)? {
            Some(operation) => results::page(db, number(&operation)?, after, limit),
            None => Ok(Vec::new()),
        };
        self.0.read_on_thread(move |readers| readers.read_moment(page)).await
    }

    async fn purge(&self, wall: WallMillis, limit: usize) -> Result<usize, StoreError> {
        self.0.write(None, Undo::Savepoint, move |db| purge(db, wall, limit).map_err(|error| error.into())).await
    }
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(operation: &FleetOperation) -> Result<i64, DbError> {
    version(operation.number)
}

fn get(db: &Connection, id: OperationId) -> Result<Option<FleetOperation>, DbError> {
    Ok(select(db, sql::OPERATION_GET, [id.as_bytes()])?.pop())
}

fn select(db: &Connection, sql: &str, values: impl Params) -> Result<Vec<FleetOperation>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut operations = Vec::new();
    while let Some(row) = rows.next()? {
        let record = row.get_ref(0)?.as_str().map_err(|why| DbError::damaged("an operation", why))?;
        operations.push(serde_json::from_str(record).map_err(|why| DbError::damaged("an operation", why))?);
    }
    Ok(operations)
}

/// Writes an operation as it is now.
fn save(db: &Connection, operation: &FleetOperation) -> Result<(), DbError> {
    let record = serde_json::to_string(operation).map_err(|_| DbError::Misused("an operation cannot be written"))?;
    let expires_at = operation.expires_at.map(stored);
    db.prepare_cached(sql::OPERATION_SET)?.execute(params![number(operation)?, record, expires_at])?;
    Ok(())
}

fn accept(
    db: &Connection,
    mut operation: FleetOperation,
    keep: Option<&KeptAnswer>,
    wall: WallMillis,
) -> Result<FleetOperation, AcceptError> {
    if let Some(answer) = keep
        && answers::is_kept(db, &answer.key, wall)?
    {
        return Err(AcceptError::KeyTaken);
    }
    if get(db, operation.id)?.is_some() {
        return Err(AcceptError::IdUsed);
    }
    if unended(db)? >= MAX_UNENDED {
        return Err(AcceptError::TooMany);
    }
    operation.number = insert(db, operation.id)?;
    save(db, &operation)?;
    keep.iter().try_for_each(|answer| answers::put(db, answer))?;
    Ok(operation)
}

fn unended(db: &Connection) -> Result<usize, DbError> {
    db.prepare_cached(sql::OPERATION_UNENDED_COUNT)?.query_row([], |row| Ok(Columns(row).number(0)))?
}

/// Gives an operation its number. Its record holds that, and is written then.
fn insert(db: &Connection, id: OperationId) -> Result<u64, DbError> {
    let number = db.prepare_cached(sql::OPERATION_INSERT)?.insert([id.as_bytes()])?;
    u64::try_from(number).map_err(|why| DbError::damaged("the number of an operation", why))
}

/// Lets a claimed operation begin.
fn run(db: &Connection, mut operation: FleetOperation) -> Result<FleetOperation, DbError> {
    if operation.state == FleetState::Pending {
        operation.state = FleetState::Running;
        save(db, &operation)?;
    }
    Ok(operation)
}

fn work(
    (group, known): (&Group<'_>, &Known),
    mut operation: FleetOperation,
    batch: &FleetBatch,
) -> Result<FleetWorked, DbError> {
    let mut bulk = Bulk::new(group, known, batch.sizes.as_deref());
    let mut results = Results::new(group, number(&operation)?, &batch.entries)?;
    let mut entries: Vec<Taken> = Vec::with_capacity(batch.entries.len());
    for entry in &batch.entries {
        if results.knows(entry.result.machine)? {
            entries.push(Ok(()));
            continue;
        }
        let taken = entry.write.as_ref().map_or(Ok(Ok(())), |write| bulk.write(write))?;
        if taken.is_ok() {
            results.insert(entry.result)?;
            operation.decided(entry.result.outcome);
        }
        entries.push(taken);
    }
    if entries.iter().all(Result::is_ok) {
        operation.cursor = batch.cursor.clone();
        batch.ending.iter().for_each(|ending| operation.end(ending));
    }
    save(group, &operation)?;
    bulk.finish();
    Ok(FleetWorked { operation, entries })
}

/// Ends an operation; says whether it was not ended before.
fn end(db: &Connection, mut operation: FleetOperation, ending: &Ending) -> Result<(FleetOperation, bool), DbError> {
    let ends = !operation.state.is_ended();
    if ends {
        operation.end(ending);
        save(db, &operation)?;
    }
    Ok((operation, ends))
}

fn purge(db: &Connection, wall: WallMillis, limit: usize) -> Result<usize, DbError> {
    let mut dropped = 0;
    while dropped < limit {
        let mut expired = db.prepare_cached(sql::OPERATION_EXPIRED)?;
        let Some(number) = expired.query_row([stored(wall)], |row| row.get(0)).optional()? else { break };
        dropped += results::drop_some(db, number, limit - dropped)?;
        if dropped < limit {
            dropped += db.prepare_cached(sql::OPERATION_DROP)?.execute([number])?;
        }
    }
    Ok(dropped)
}
