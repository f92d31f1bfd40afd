//! The document of a fleet operation.

use cloudm_application::ports::{FleetOperation, Lease, Runner, StoreError};
use cloudm_domain::{FleetOutcome, FleetState, OperationId};
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, deserialize_from_document, doc, serialize_to_document};
use serde::{Deserialize, Serialize};

use crate::collections;
use crate::document::{damaged, key, long, millis};
use crate::world::OpenWorld;

/// A fleet operation as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OperationDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    number: i64,
    pub(crate) unended: bool,
    /// The operation, as the application keeps it.
    record: Document,
    lease: LeaseDoc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime>,
    /// What tells the write that ended it from every other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<ObjectId>,
}

/// Who took it last, and until when.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseDoc {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runner: Option<Binary>,
    until: DateTime,
}

impl LeaseDoc {
    fn of(lease: Option<Lease>) -> Self {
        match lease {
            Some(lease) => Self { runner: Some(runner(lease.runner)), until: millis(lease.until) },
            None => Self { runner: None, until: DateTime::from_millis(0) },
        }
    }
}

fn runner(runner: Runner) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: runner.0.to_vec() }
}

/// The operations of a world, and of others.
pub(crate) fn operations(world: &OpenWorld) -> Collection<OperationDoc> {
    world.collection(collections::OPERATIONS)
}

/// The filter of one operation.
pub(crate) fn one(world: &OpenWorld, id: OperationId) -> Document {
    doc! { "_id": key(world.id(), id) }
}

/// The filter of one that has not ended and that nobody but this runner took last.
pub(crate) fn held(world: &OpenWorld, id: OperationId, lease: Lease) -> Document {
    doc! { "_id": key(world.id(), id), "unended": true, "lease.runner": runner(lease.runner) }
}

/// The filter of one that this runner may take.
pub(crate) fn free(world: &OpenWorld, id: OperationId, lease: Lease) -> Document {
    let free = [doc! { "lease.until": { "$lte": millis(lease.wall) } }, doc! { "lease.runner": runner(lease.runner) }];
    doc! { "_id": key(world.id(), id), "unended": true, "$or": free }
}

/// The change that gives it to a runner.
pub(crate) fn taken(lease: Lease) -> Document {
    let lease = doc! { "runner": runner(lease.runner), "until": millis(lease.until) };
    doc! { "$set": { "lease": lease, "record.state": FleetState::Running.code() } }
}

/// The change by so much work that is decided, after which the lease holds longer; with the cursor where that moves.
pub(crate) fn worked(
    outcomes: impl Iterator<Item = FleetOutcome>,
    lease: Lease,
    cursor: Option<Bson>,
) -> Result<Document, StoreError> {
    let mut more = cloudm_domain::FleetProgress::default();
    outcomes.for_each(|outcome| more.add(outcome));
    let progress = doc! {
        "record.progress.done": long(more.done)?,
        "record.progress.unchanged": long(more.unchanged)?,
        "record.progress.rejected": long(more.rejected)?,
    };
    let mut set = doc! { "lease.until": millis(lease.until) };
    if let Some(cursor) = cursor {
        set.insert("record.cursor", cursor);
    }
    Ok(doc! { "$inc": progress, "$set": set })
}

impl OperationDoc {
    pub(crate) fn of(world: ObjectId, operation: &FleetOperation, lease: Option<Lease>) -> Result<Self, StoreError> {
        Ok(Self {
            key: key(world, operation.id),
            w: world,
            number: long(operation.number)?,
            unended: !operation.state.is_ended(),
            record: record(operation)?,
            lease: LeaseDoc::of(lease),
            expires_at: operation.expires_at.map(millis),
            ended_by: None,
        })
    }

    pub(crate) fn read(&self) -> Result<FleetOperation, StoreError> {
        deserialize_from_document(self.record.clone()).map_err(|why| damaged("a fleet operation", why))
    }

    /// The same, ended by a write.
    pub(crate) fn ended(self, operation: &FleetOperation, by: ObjectId) -> Result<Self, StoreError> {
        let (record, expires_at) = (record(operation)?, operation.expires_at.map(millis));
        Ok(Self { unended: false, record, expires_at, ended_by: Some(by), ..self })
    }
}

fn record(operation: &FleetOperation) -> Result<Document, StoreError> {
    serialize_to_document(operation).map_err(|why| StoreError::Failed(why.to_string()))
}
