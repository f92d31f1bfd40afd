//! What a server does without being asked: it settles what is due and drops expired answers.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::ports::{AnswerStore, WorldStore};
use crate::settler::Settler;

/// The longest wait between two looks: another server may have made something due, or moved the clock.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The shortest, so that a fast clock does not keep a core busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// How many looks there are between two rounds of dropping expired answers.
const LOOKS_BETWEEN_PURGES: u32 = 60;

/// The most answers dropped in one round.
const PURGE_LIMIT: usize = 10_000;

/// The work of a server for one world that no request asks for.
pub struct Background {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) answers: Arc<dyn AnswerStore>,
    pub(crate) settler: Settler,
}

impl Background {
    /// Works until it is dropped. A failing store is logged and tried again.
    pub async fn run(&self) {
        for look in 0_u32.. {
            let round = async {
                if look % LOOKS_BETWEEN_PURGES == 0 {
                    self.purge().await?;
                }
                self.settle().await
            };
            let wait = round.await.unwrap_or_else(|error| {
                tracing::warn!(%error, "background work failed; it is tried again");
                LONGEST_WAIT
            });
            tokio::time::sleep(wait).await;
        }
    }

    /// Settles what is due and says how long to wait.
    async fn settle(&self) -> Result<Duration, Error> {
        if !self.settler.run_once().await? {
            return Ok(SHORTEST_WAIT);
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockAnswerStore, MockMachineStore, StoreError};

    #[tokio::test(start_paused = true)]
    async fn it_looks_when_something_is_due_and_goes_on_after_a_failure() {
        let mut machines = MockMachineStore::new();
        let mut looks = 0;
        machines.expect_due().times(3).returning(move |_, _| {
            looks += 1;
            if looks == 2 { Err(StoreError::Unavailable("away".into())) } else { Ok(vec![]) }
        });
        machines.expect_next_due().times(2).returning(|| Ok(None));
        let mut answers = MockAnswerStore::new();
        answers.expect_purge().once().returning(|_, _| Ok(1));
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world());
        let settler = Settler::new(world.clone(), Arc::new(machines));
        let background = Background { world, answers: Arc::new(answers), settler };
        let worked = tokio::time::timeout(Duration::from_millis(2_500), background.run()).await;
        assert!(worked.is_err(), "it has no end of its own");
    }
}
