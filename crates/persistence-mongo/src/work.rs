//! Work of a fleet operation: machines, results, progress and cursor in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    CommitError, FleetBatch, FleetOperation, FleetResult, FleetWorked, StoreError, WorkError,
};
use cloudm_domain::MachineId;
use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc, serialize_to_bson};
use mongodb::error::Error;
use mongodb::options::ReturnDocument;
use parking_lot::Mutex;
use std::collections::BTreeSet;

use crate::batch::{Batch, Mark, turns};
use crate::bulk::check_whole;
use crate::document::{date, id_of};
use crate::list::any;
use crate::operation_doc::{OperationDoc, held, one, operations, worked};
use crate::plan::{Asked, Plan, Refused};
use crate::results::{ResultDoc, place, results};
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;

/// Writes some work of an operation.
pub(crate) async fn work(world: &Arc<OpenWorld>, work: FleetBatch) -> Result<FleetWorked, WorkError> {
    check_whole(work.entries.iter().filter_map(|entry| entry.write.as_ref()))?;
    let _turns =
        turns(world, work.sizes.as_deref(), work.entries.iter().filter_map(|entry| entry.write.as_ref())).await?;
    let (batch, write) = (Batch::new(world.clone()), ObjectId::new());
    let working = Working { world: world.clone(), batch, work, write, worked: Mutex::default() };
    let Worked { operation, answers } = world.write(working).await?;
    let entries = answers.into_iter().map(|answer| answer.map_err(CommitError::from)).collect();
    Ok(FleetWorked { operation, entries })
}

/// What work came to.
#[derive(Clone)]
struct Worked {
    operation: FleetOperation,
    answers: Vec<Result<(), Refused>>,
}

struct Working {
    world: Arc<OpenWorld>,
    batch: Batch,
    work: FleetBatch,
    /// What tells an end that it writes from every other one.
    write: ObjectId,
    /// What the last attempt came to.
    worked: Mutex<Option<Worked>>,
}

type Stopped = Stop<WorkError>;

#[async_trait]
impl Work for Working {
    type Output = Worked;
    type Refusal = WorkError;

    async fn run(&self, session: &mut ClientSession) -> Result<Worked, Stopped> {
        let entries = &self.work.entries;
        let asked: Vec<_> =
            entries.iter().map(|entry| Asked { write: entry.write.as_ref(), result: Some(entry.result) }).collect();
        let trusting = self.batch.is_trusting();
        let sizes = self.work.sizes.as_ref();
        let mut found = self.batch.find(session, &asked, (trusting, sizes)).await?;
        if !trusting {
            found.decided = self.decided(session).await?;
        }
        let mut plan = Plan::new(found, &asked);
        if trusting && plan.answers.iter().any(Result::is_err) {
            // Maybe it is written already.
            return Err(Stop::Again);
        }
        let operation = self.progress(session, &plan).await?;
        self.batch.put_machines(session, &plan).await?;
        self.put_results(session, &plan.results).await?;
        let mark = Mark { operation: Some(operation.id), at: date(operation.accepted.at) };
        self.batch.put_events(session, &mut plan, mark).await?;
        let worked = Worked { operation, answers: plan.answers };
        *self.worked.lock() = Some(worked.clone());
        Ok(worked)
    }

    async fn took_effect(&self) -> Result<Option<Worked>, Error> {
        if self.batch.numbers.are_committed().await? { Ok(self.worked.lock().clone()) } else { Ok(None) }
    }

    fn end(&self, committed: bool) {
        self.batch.end(committed);
    }
}

impl Working {
    /// The machines of which the operation has a result. An attempt that trusts takes it that there is none; where there is
    /// one, its `_id` is taken, and the next attempt asks.
    async fn decided(&self, session: &mut ClientSession) -> Result<BTreeSet<MachineId>, Stopped> {
        let (world, id) = (&self.world, self.work.operation);
        let places = self.work.entries.iter().map(|entry| place(world.id(), id, entry.result));
        let results = results::<Document>(world);
        let found = results.find(doc! { "_id": any(places) }).projection(doc! { "_id": 1 });
        let mut found = found.batch_size(self.work.entries.len() as u32).session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        let machines = found.iter().map(|one| id_of(one.get_str("_id").unwrap_or_default()));
        Ok(machines.collect::<Result<_, StoreError>>()?)
    }

    /// Writes the progress; the cursor and the ending too, where every entry is written.
    async fn progress(&self, session: &mut ClientSession, plan: &Plan<'_>) -> Result<FleetOperation, Stopped> {
        let FleetBatch { operation, lease, cursor, ending, .. } = &self.work;
        let (world, operations) = (&self.world, operations(&self.world));
        let all = plan.answers.iter().all(Result::is_ok);
        let cursor = all.then(|| serialize_to_bson(cursor)).transpose();
        let cursor = cursor.map_err(|why| StoreError::Failed(why.to_string()))?;
        let change = worked(plan.results.iter().map(|result| result.outcome), *lease, cursor)?;
        let changed = operations.find_one_and_update(held(world, *operation, *lease), change);
        let changed = changed.return_document(ReturnDocument::After).session(&mut *session).await?;
        let changed = changed.ok_or(Stop::Refused(WorkError::NotYours))?;
        let mut now = changed.read()?;
        if let Some(ending) = ending.as_ref().filter(|_| all) {
            now.end(ending);
            let ended: OperationDoc = changed.ended(&now, self.write)?;
            operations.replace_one(one(world, *operation), ended).session(session).await?;
        }
        Ok(now)
    }

    async fn put_results(&self, session: &mut ClientSession, new: &[FleetResult]) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let docs = new.iter().map(|result| ResultDoc::of(self.world.id(), self.work.operation, *result));
        results(&self.world).insert_many(docs).session(session).await.map(drop)
    }
}
