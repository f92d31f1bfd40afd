//! Waiting for a fleet operation to end.

use std::sync::Arc;
use std::time::Duration;

use cloudm_domain::OperationId;
use tokio::time::{sleep, timeout};

use super::Fleet;
use crate::error::Error;
use crate::ports::FleetOperation;

/// The pause between two looks, at first; it grows, and another server may be at work.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Waits for a fleet operation to end.
#[derive(Clone)]
pub struct WaitForOperation {
    pub(crate) fleet: Arc<Fleet>,
}

impl WaitForOperation {
    /// The longest wait.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);

    /// The operation as soon as it has ended. The time to wait is wall time.
    ///
    /// # Errors
    /// [`Error::NoSuchOperation`], [`Error::OperationTimeout`], [`Error::Store`].
    pub async fn run(&self, id: OperationId, patience: Duration) -> Result<FleetOperation, Error> {
        let operation = self.fleet.operations.get(id).await?.ok_or(Error::NoSuchOperation)?;
        let operation = self.at_most(operation, patience).await?;
        if operation.state.is_ended() { Ok(operation) } else { Err(Error::OperationTimeout { state: operation.state }) }
    }

    /// The operation when it has ended, or as it is after so long.
    pub(crate) async fn at_most(&self, operation: FleetOperation, patience: Duration) -> Result<FleetOperation, Error> {
        let id = operation.id;
        let ended = timeout(patience.min(Self::MAX_TIMEOUT), self.ended(operation)).await;
        match ended {
            Ok(operation) => operation,
            Err(_) => self.fleet.operations.get(id).await?.ok_or(Error::NoSuchOperation),
        }
    }

    async fn ended(&self, mut operation: FleetOperation) -> Result<FleetOperation, Error> {
        let mut pause = FIRST_PAUSE;
        while !operation.state.is_ended() {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            operation = self.fleet.operations.get(operation.id).await?.ok_or(Error::NoSuchOperation)?;
        }
        Ok(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{FleetWork, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{Command, FleetState, Selector};

    fn waiting(looks: usize) -> WaitForOperation {
        let mut operations = MockOperationStore::new();
        let mut left = looks;
        operations.expect_get().returning(move |_| {
            left = left.saturating_sub(1);
            let stop = FleetWork::Operate(Selector::default(), Command::Stop.into());
            let state = if left == 0 { FleetState::Succeeded } else { FleetState::Running };
            Ok(Some(FleetOperation { state, ..fixtures::operation(stop) }))
        });
        let (machines, clusters) = (MockMachineStore::new(), MockClusterStore::new());
        WaitForOperation { fleet: Arc::new(fixtures::fleet(fixtures::world(), machines, clusters, operations)) }
    }

    #[tokio::test(start_paused = true)]
    async fn it_answers_once_the_operation_has_ended_or_says_that_it_has_not() {
        let id = OperationId::from_bytes([5; 12]);
        let ended = waiting(20).run(id, Duration::from_secs(30)).await.unwrap();
        assert_eq!(ended.state, FleetState::Succeeded);
        let late = waiting(usize::MAX).run(id, Duration::from_secs(30)).await;
        assert!(matches!(late, Err(Error::OperationTimeout { state: FleetState::Running })));
    }
}
