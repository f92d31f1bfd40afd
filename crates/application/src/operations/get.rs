//! Reading a fleet operation.

use std::sync::Arc;

use cloudm_domain::OperationId;

use super::Fleet;
use crate::error::Error;
use crate::ports::FleetOperation;

/// Reads a fleet operation.
pub struct GetOperation {
    pub(crate) fleet: Arc<Fleet>,
}

impl GetOperation {
    /// The operation, as far as it is.
    ///
    /// # Errors
    /// [`Error::NoSuchOperation`], [`Error::Store`].
    pub async fn run(&self, id: OperationId) -> Result<FleetOperation, Error> {
        self.fleet.commands.world.read().await?;
        self.fleet.operations.get(id).await?.ok_or(Error::NoSuchOperation)
    }
}
