//! Many machines written at once.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{CommitError, MachineQuery, MachineWrite, StoreError};
use cloudm_domain::PoolSizes;
use mongodb::ClientSession;
use mongodb::bson::DateTime;
use mongodb::error::Error;
use parking_lot::Mutex;

use crate::batch::{Batch, Mark, turns};
use crate::plan::{Asked, Plan, Refused};
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;

/// The most writes of one transaction: what it holds of tags and events stays well below what MongoDB takes.
const AT_ONCE: usize = 500;

type Answers = Vec<Result<(), Refused>>;

/// Writes all of these, some at a time.
pub(crate) async fn commit_all(
    world: &Arc<OpenWorld>,
    mut writes: Vec<MachineWrite>,
    sizes: Option<Arc<PoolSizes>>,
) -> Result<Vec<Result<(), CommitError>>, StoreError> {
    if writes.len() > MachineQuery::MAX_EXAMINED {
        return Err(StoreError::Failed("there are too many writes for one call".into()));
    }
    check_whole(&writes)?;
    let mut answers = Vec::with_capacity(writes.len());
    while !writes.is_empty() {
        let rest = writes.split_off(writes.len().min(AT_ONCE));
        let some = std::mem::replace(&mut writes, rest);
        let _turns = turns(world, sizes.as_deref(), some.iter()).await?;
        let batch = Batch::new(world.clone());
        let bulk = Bulk { batch, writes: some, sizes: sizes.clone(), answers: Mutex::default() };
        answers.extend(world.write(bulk).await?);
    }
    Ok(answers.into_iter().map(|answer| answer.map_err(CommitError::from)).collect())
}

/// Fails where the events of a write do not lead from the version before to the version after.
pub(crate) fn check_whole<'a>(writes: impl IntoIterator<Item = &'a MachineWrite>) -> Result<(), StoreError> {
    let why = "the events of a write lead from the version before to the version after";
    if writes.into_iter().all(MachineWrite::is_whole) { Ok(()) } else { Err(StoreError::Failed(why.into())) }
}

struct Bulk {
    batch: Batch,
    writes: Vec<MachineWrite>,
    sizes: Option<Arc<PoolSizes>>,
    /// Those of the last attempt.
    answers: Mutex<Answers>,
}

#[async_trait]
impl Work for Bulk {
    type Output = Answers;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Answers, Stop<StoreError>> {
        let asked: Vec<_> = self.writes.iter().map(|write| Asked { write: Some(write), result: None }).collect();
        let trusting = self.batch.is_trusting();
        let found = self.batch.find(session, &asked, (trusting, self.sizes.as_ref())).await?;
        let mut plan = Plan::new(found, &asked);
        if !plan.is_empty() {
            self.batch.put_machines(session, &plan).await?;
            let last = self.writes.iter().filter_map(|write| write.after.as_ref().or(write.before.as_ref()));
            let at = last.map(|machine| machine.updated_at).max().map_or(DateTime::MIN, crate::document::date);
            self.batch.put_events(session, &mut plan, Mark { operation: None, at }).await?;
        }
        self.answers.lock().clone_from(&plan.answers);
        Ok(plan.answers)
    }

    async fn took_effect(&self) -> Result<Option<Answers>, Error> {
        Ok(self.batch.numbers.are_committed().await?.then(|| self.answers.lock().clone()))
    }

    fn end(&self, committed: bool) {
        self.batch.end(committed);
    }
}
