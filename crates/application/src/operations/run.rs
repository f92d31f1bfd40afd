//! Working off fleet operations that no request waits for.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Fleet;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::ports::{Cursor, FleetOperation};

/// How often it is looked for operations whose server died, or that wait for time.
const LOOK: Duration = Duration::from_secs(1);

/// The most operations of a world that a server works on side by side.
const SIDE_BY_SIDE: usize = 4;

/// Results that are dropped in one round.
const PURGE_LIMIT: usize = 10_000;

/// How long whoever moves the clock waits for operations to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks whether they have.
const PAUSE: Duration = Duration::from_millis(20);

/// Works for a world until nobody uses it any more, or it is gone.
pub(crate) async fn run(cloud: Weak<Cloud>) {
    let mut running = FuturesUnordered::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(cloud) = cloud.upgrade() else { return };
        match cloud.fleet.claim(SIDE_BY_SIDE.saturating_sub(running.len())).await {
            Ok(claimed) => running.extend(claimed.into_iter().map(|operation| take_up(cloud.clone(), operation))),
            Err(error) if error.is_gone() => return,
            Err(error) => tracing::warn!(%error, "fleet operations are not worked on; it is tried again"),
        }
        let fleet = cloud.fleet.clone();
        drop(cloud);
        tokio::select! {
            () = fleet.accepted.notified() => {}
            Some(()) = running.next() => {}
            _ = look.tick() => match fleet.look_at_clusters().await {
                Ok(()) => {}
                Err(error) if error.is_gone() => return,
                Err(error) => tracing::warn!(%error, "clusters are not looked at; it is tried again"),
            },
        }
    }
}

async fn take_up(cloud: Arc<Cloud>, operation: FleetOperation) {
    let id = operation.id;
    match cloud.fleet.take_up(operation).await {
        Err(error) if !error.is_gone() => {
            tracing::warn!(%error, operation = %id, "a fleet operation is gone on with later");
            // Whatever it is, it is not over at once.
            sleep(LOOK).await;
        }
        _ => {}
    }
}

impl Fleet {
    /// Takes at most so many operations that nobody works on and that have something to do now.
    async fn claim(&self, most: usize) -> Result<Vec<FleetOperation>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut unended = self.operations.unended().await?;
        unended.retain(|operation| operation.cursor != Cursor::Emptying && !self.is_in_hand(operation.id));
        let mut claimed = Vec::new();
        for operation in unended {
            if claimed.len() == most {
                break;
            }
            let wall = self.commands.world.read().await?.wall;
            claimed.extend(self.operations.claim(operation.id, self.lease(wall)).await?);
        }
        Ok(claimed)
    }

    /// Works off an operation that was claimed.
    async fn take_up(&self, operation: FleetOperation) -> Result<(), Error> {
        match self.take(operation.id) {
            Some(_in_hand) => self.work_off(operation).await,
            None => Ok(()),
        }
    }

    /// Waits until no operation is under way that has something to do now, for a while.
    pub(crate) async fn at_rest(&self) -> Result<(), Error> {
        let rest = async {
            while self.operations.unended().await?.iter().any(|operation| operation.cursor != Cursor::Emptying) {
                sleep(PAUSE).await;
            }
            Ok(())
        };
        timeout(PATIENCE, rest).await.unwrap_or(Err(Error::OperationsRunning))
    }

    /// Drops what is kept of operations that ended long ago.
    pub(crate) async fn purge(&self, wall: u64) -> Result<(), Error> {
        let dropped = self.operations.purge(wall, PURGE_LIMIT).await?;
        if dropped > 0 {
            tracing::debug!(dropped, "dropped results of fleet operations that ended long ago");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{FleetWork, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{Command, Selector};

    fn operation() -> FleetOperation {
        fixtures::operation(FleetWork::Operate(Selector::default(), Command::Stop.into()))
    }

    fn fleet(operations: MockOperationStore) -> Fleet {
        fixtures::fleet(fixtures::world(), MockMachineStore::new(), MockClusterStore::new(), operations)
    }

    #[tokio::test]
    async fn what_is_in_hand_waits_for_time_or_another_has_is_left_alone() {
        let numbered = |number| {
            let id = cloudm_domain::OperationId::from_bytes([number; 12]);
            FleetOperation { id, ..operation() }
        };
        let emptying = FleetOperation { cursor: Cursor::Emptying, ..numbered(1) };
        let unended: Vec<_> = [emptying].into_iter().chain((2..9).map(numbered)).collect();
        let mut operations = MockOperationStore::new();
        operations.expect_unended().returning(move || Ok(unended.clone()));
        // Another has those of even numbers.
        operations.expect_claim().returning(move |id, _| {
            let number = id.as_bytes()[0];
            Ok((number % 2 == 1).then(|| numbered(number)))
        });
        let fleet = fleet(operations);
        let _in_hand = fleet.take(numbered(3).id);
        assert_eq!(fleet.claim(4).await.unwrap(), [numbered(5), numbered(7)]);
        assert_eq!(fleet.claim(1).await.unwrap(), [numbered(5)]);
        assert_eq!(fleet.claim(0).await.unwrap(), []);
        fleet.take_up(numbered(3)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_moves_the_clock_waits_for_what_is_under_way_but_not_for_time() {
        let mut operations = MockOperationStore::new();
        let emptying = || FleetOperation { cursor: Cursor::Emptying, ..operation() };
        let mut looks = [vec![operation(), emptying()], vec![emptying()]].into_iter();
        operations.expect_unended().times(2).returning(move || Ok(looks.next().unwrap()));
        fleet(operations).at_rest().await.unwrap();
        let mut endless = MockOperationStore::new();
        endless.expect_unended().returning(|| Ok(vec![operation()]));
        assert!(matches!(fleet(endless).at_rest().await, Err(Error::OperationsRunning)));
    }
}
