//! Cancelling a fleet operation.

use std::sync::Arc;

use cloudm_domain::{FleetState, OperationId};

use super::Fleet;
use super::fleet::ending;
use crate::error::Error;
use crate::ports::{Ending, FleetOperation};

/// Cancels a fleet operation. What it has done stays done.
pub struct CancelOperation {
    pub(crate) fleet: Arc<Fleet>,
}

impl CancelOperation {
    /// The operation, which is CANCELLED, or had ended before and stays as it is.
    ///
    /// # Errors
    /// [`Error::NoSuchOperation`], [`Error::Store`].
    pub async fn run(&self, id: OperationId) -> Result<FleetOperation, Error> {
        let view = self.fleet.commands.world.read().await?;
        let ending = Ending { state: Some(FleetState::Cancelled), ..ending(&view, None) };
        let ended = self.fleet.operations.end(id, ending).await?;
        ended.map(|(operation, _)| operation).ok_or(Error::NoSuchOperation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{FleetWork, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{Command, Selector};

    #[tokio::test]
    async fn what_is_there_is_ended_and_what_is_not_is_told() {
        let mut operations = MockOperationStore::new();
        let mut known = [true, false].into_iter();
        operations.expect_end().times(2).returning(move |_, ending| {
            assert_eq!(ending.state, Some(FleetState::Cancelled));
            let stop = FleetWork::Operate(Selector::default(), Command::Stop.into());
            let mut operation = fixtures::operation(stop);
            operation.end(&ending);
            Ok(known.next().unwrap().then_some((operation, true)))
        });
        let (machines, clusters) = (MockMachineStore::new(), MockClusterStore::new());
        let fleet = Arc::new(fixtures::fleet(fixtures::world(), machines, clusters, operations));
        let (cancel, id) = (CancelOperation { fleet }, OperationId::from_bytes([5; 12]));
        assert_eq!(cancel.run(id).await.unwrap().state, FleetState::Cancelled);
        assert!(matches!(cancel.run(id).await, Err(Error::NoSuchOperation)));
    }
}
