//! The fleet operations of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    AcceptError, Ending, FleetBatch, FleetOperation, FleetResult, FleetWorked, KeptAnswer, Lease, MAX_UNENDED,
    OperationStore, StoreError, WorkError,
};
use cloudm_domain::{FleetState, OperationId, WallMillis};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Collection};
use parking_lot::Mutex;

use crate::append::Entry;
use crate::counts::Tally;
use crate::document::{date, limit, long};
use crate::events;
use crate::numbers::Numbers;
use crate::operation_doc::{OperationDoc, free, one, operations, taken};
use crate::transaction::{Stop, Work};
use crate::world::{OpenWorld, PATIENCE};
use crate::{answers, collections, counting, results, work};

/// The fleet operations of one world.
pub(crate) struct Operations(pub(crate) Arc<OpenWorld>);

impl Operations {
    /// Those that a filter finds, in an order.
    async fn find(&self, filter: Document, order: Document, most: usize) -> Result<Vec<FleetOperation>, StoreError> {
        let operations = operations(&self.0);
        let found = async {
            operations.find(filter).sort(order).limit(limit(most)).max_time(PATIENCE).await?.try_collect().await
        };
        let found: Vec<OperationDoc> = self.0.base().ask(found).await?;
        found.iter().map(OperationDoc::read).collect()
    }
}

#[async_trait]
impl OperationStore for Operations {
    async fn accept(
        &self,
        operation: FleetOperation,
        lease: Option<Lease>,
        keep: Option<KeptAnswer>,
    ) -> Result<FleetOperation, AcceptError> {
        let (world, numbers) = (self.0.clone(), Numbers::new(self.0.sequence.clone()));
        // There are few of these, and they all write the record of the world.
        let _turn = self.0.acceptance_turn.lock().await;
        self.0.write(Accepting { world, operation, lease, keep, numbers, accepted: Mutex::default() }).await
    }

    async fn get(&self, id: OperationId) -> Result<Option<FleetOperation>, StoreError> {
        let operations = operations(&self.0);
        let found = self.0.base().ask(async { operations.find_one(one(&self.0, id)).await }).await?;
        found.map(|operation| operation.read()).transpose()
    }

    async fn list(&self, before: Option<u64>, most: usize) -> Result<Vec<FleetOperation>, StoreError> {
        let before = before.map_or(Ok(i64::MAX), long)?;
        let filter = doc! { "w": self.0.id(), "number": { "$lt": before } };
        self.find(filter, doc! { "number": -1 }, most).await
    }

    async fn unended(&self) -> Result<Vec<FleetOperation>, StoreError> {
        let filter = doc! { "w": self.0.id(), "unended": true };
        self.find(filter, doc! { "number": 1 }, MAX_UNENDED).await
    }

    async fn claim(&self, id: OperationId, lease: Lease) -> Result<Option<FleetOperation>, StoreError> {
        let operations = operations(&self.0);
        let claim = operations.find_one_and_update(free(&self.0, id, lease), taken(lease));
        let claimed = self.0.base().ask(async { claim.return_document(ReturnDocument::After).await }).await?;
        claimed.map(|operation| operation.read()).transpose()
    }

    async fn work(&self, batch: FleetBatch) -> Result<FleetWorked, WorkError> {
        work::work(&self.0, batch).await
    }

    async fn end(&self, id: OperationId, ending: Ending) -> Result<Option<(FleetOperation, bool)>, StoreError> {
        self.0.write(Stopping { world: self.0.clone(), id, ending, write: ObjectId::new() }).await
    }

    async fn results(
        &self,
        id: OperationId,
        after: Option<FleetResult>,
        most: usize,
    ) -> Result<Vec<FleetResult>, StoreError> {
        results::page(&self.0, id, after, most).await
    }

    async fn purge(&self, wall: WallMillis, most: usize) -> Result<usize, StoreError> {
        results::purge(&self.0, wall, most).await
    }
}

/// The acceptance of an operation. It takes a number of the history, so that it stands after what was acknowledged and
/// before what begins later.
struct Accepting {
    world: Arc<OpenWorld>,
    operation: FleetOperation,
    lease: Option<Lease>,
    keep: Option<KeptAnswer>,
    numbers: Numbers,
    /// What the last attempt accepted.
    accepted: Mutex<Option<FleetOperation>>,
}

type Refused = Stop<AcceptError>;

#[async_trait]
impl Work for Accepting {
    type Output = FleetOperation;
    type Refusal = AcceptError;

    async fn run(&self, session: &mut ClientSession) -> Result<FleetOperation, Refused> {
        let Self { world, operation, lease, keep, numbers, accepted } = self;
        if let Some(answer) = keep
            && answers::is_kept(world, session, &answer.key).await?
        {
            return Err(Stop::Refused(AcceptError::KeyTaken));
        }
        self.check(session).await?;
        let at = date(operation.accepted.at);
        let entry = Entry { events: &[], tally: Tally::default(), operation: Some(operation.id), at };
        let number = entry.append(world, session, numbers).await?;
        let mut made = operation.clone();
        made.number = crate::document::number("a number of the history", number)?;
        made.accepted.position = events::position(world.incarnation(), number);
        made.state = if lease.is_some() { FleetState::Running } else { FleetState::Pending };
        let stored = OperationDoc::of(world.id(), &made, *lease)?;
        operations(world).insert_one(stored).session(&mut *session).await?;
        if let Some(answer) = keep {
            answers::put(world, session, answer).await?;
        }
        *accepted.lock() = Some(made.clone());
        Ok(made)
    }

    async fn took_effect(&self) -> Result<Option<FleetOperation>, Error> {
        if self.numbers.are_committed().await? { Ok(self.accepted.lock().clone()) } else { Ok(None) }
    }

    fn end(&self, committed: bool) {
        if let Some(last) = self.numbers.tidy(committed) {
            counting::committed(&self.world, last);
        }
    }
}

impl Accepting {
    /// Whether the id is free, and there is room. What all acceptances write keeps two of them apart.
    async fn check(&self, session: &mut ClientSession) -> Result<(), Refused> {
        let (world, records) = (&self.world, self.world.collection::<Document>(collections::INCARNATIONS));
        let count = doc! { "$inc": { "acceptances": 1_i64 } };
        records.update_one(doc! { "_id": world.id() }, count).session(&mut *session).await?;
        let operations: Collection<Document> = world.collection(collections::OPERATIONS);
        let known = operations.find_one(one(world, self.operation.id)).projection(doc! { "_id": 1 });
        if known.session(&mut *session).await?.is_some() {
            return Err(Stop::Refused(AcceptError::IdUsed));
        }
        let unended = doc! { "w": world.id(), "unended": true };
        let unended = operations.find(unended).projection(doc! { "_id": 1 }).sort(doc! { "number": 1 });
        let mut unended = unended.limit(limit(MAX_UNENDED)).session(&mut *session).await?;
        let unended: Vec<Document> = unended.stream(session).try_collect().await?;
        if unended.len() < MAX_UNENDED { Ok(()) } else { Err(Stop::Refused(AcceptError::TooMany)) }
    }
}

/// The end of an operation. Where it begins again, it knows what it wrote.
struct Stopping {
    world: Arc<OpenWorld>,
    id: OperationId,
    ending: Ending,
    /// What tells this write from every other one.
    write: ObjectId,
}

#[async_trait]
impl Work for Stopping {
    type Output = Option<(FleetOperation, bool)>;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Self::Output, Stop<StoreError>> {
        let (operations, place) = (operations(&self.world), one(&self.world, self.id));
        let Some(found) = operations.find_one(place.clone()).session(&mut *session).await? else { return Ok(None) };
        let mut operation = found.read()?;
        if !found.unended {
            return Ok(Some((operation, found.ended_by == Some(self.write))));
        }
        operation.end(&self.ending);
        operations.replace_one(place, found.ended(&operation, self.write)?).session(session).await?;
        Ok(Some((operation, true)))
    }
}
