//! What a server does without being asked: it settles what is due and drops expired answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cloudm_domain::Rate;

use crate::cloud::Cloud;
use crate::error::Error;
use crate::operations::Fleet;
use crate::ports::{AnswerStore, WorldStore};
use crate::settler::Settler;

/// The longest wait between two looks: another server may have made something due, or moved the clock.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The shortest, so that a fast clock does not keep a core busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// The wait where time stands still: nothing comes to be due, unless somebody moves the clock, who settles it then.
const PAUSED_WAIT: Duration = Duration::from_secs(5);

/// How many looks there are between two rounds of dropping expired answers.
const LOOKS_BETWEEN_PURGES: u32 = 60;

/// The most answers dropped in one round.
const PURGE_LIMIT: usize = 10_000;

/// The work of a server for one world that no request asks for.
pub(crate) struct Background {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) answers: Arc<dyn AnswerStore>,
    pub(crate) settler: Settler,
    pub(crate) fleet: Arc<Fleet>,
}

/// Works for a world until nobody uses it any more, or it is gone.
pub(crate) async fn run(cloud: Weak<Cloud>) {
    for look in 0_u32.. {
        let Some(cloud) = cloud.upgrade() else { return };
        let waited = match cloud.background.look(look).await {
            Ok(wait) => wait,
            Err(error) if error.is_gone() => return,
            Err(error) => {
                tracing::warn!(%error, "background work failed; it is tried again");
                LONGEST_WAIT
            }
        };
        drop(cloud);
        tokio::time::sleep(waited).await;
    }
}

impl Background {
    /// Does what is to be done now; says how long there is nothing to do.
    async fn look(&self, look: u32) -> Result<Duration, Error> {
        if look.is_multiple_of(LOOKS_BETWEEN_PURGES) {
            self.purge().await?;
        }
        if !self.settler.run_once().await? {
            return Ok(SHORTEST_WAIT);
        }
        if self.world.read().await?.world.clock.rate() == Rate::PAUSED {
            return Ok(PAUSED_WAIT);
        }
        let next = self.settler.next_in().await?.map(Duration::from_millis);
        Ok(next.unwrap_or(LONGEST_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT))
    }

    async fn purge(&self) -> Result<(), Error> {
        let wall = self.world.read().await?.wall;
        let dropped = self.answers.purge(wall, PURGE_LIMIT).await?;
        if dropped > 0 {
            tracing::debug!(dropped, "dropped expired idempotency answers");
        }
        self.fleet.purge(wall).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockAnswerStore, MockClusterStore, MockMachineStore, MockOperationStore, StoreError};

    fn background(machines: MockMachineStore, answers: MockAnswerStore) -> Background {
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world());
        let settler = Settler::new(world.clone(), Arc::new(machines));
        let mut operations = MockOperationStore::new();
        operations.expect_purge().returning(|_, _| Ok(0));
        let (no_machines, no_clusters) = (MockMachineStore::new(), MockClusterStore::new());
        let fleet = Arc::new(fixtures::fleet(fixtures::world(), no_machines, no_clusters, operations));
        Background { world, answers: Arc::new(answers), settler, fleet }
    }

    #[tokio::test]
    async fn it_looks_again_when_something_is_due() {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let soon = fixtures::view(cloudm_domain::Preset::Instant, "0s").now.plus("300ms".parse().unwrap());
        let mut due = [None, Some(soon)].into_iter();
        machines.expect_next_due().times(2).returning(move || Ok(due.next().unwrap()));
        let mut answers = MockAnswerStore::new();
        answers.expect_purge().once().returning(|_, _| Ok(1));
        let background = background(machines, answers);
        assert_eq!(background.look(0).await.unwrap(), LONGEST_WAIT);
        assert_eq!(background.look(1).await.unwrap(), Duration::from_millis(300));
    }

    #[tokio::test]
    async fn a_store_that_fails_is_told() {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Err(StoreError::Unavailable("away".into())));
        assert!(background(machines, MockAnswerStore::new()).look(1).await.is_err());
    }
}
