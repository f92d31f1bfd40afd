//! Reading a world's clock.

use std::sync::Arc;

use super::{ClockView, clock_view};
use crate::error::Error;
use crate::ports::{MachineStore, WorldStore};
use crate::settler::Settler;

/// Reads the clock.
pub struct GetClock {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) settler: Settler,
}

impl GetClock {
    /// The clock now. What was due before is settled, so that what is due next is told.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self) -> Result<ClockView, Error> {
        let view = self.world.read().await?;
        self.settler.settle_all(&view).await?;
        clock_view(&view, &*self.machines).await
    }
}
