//! Changing how fast a world's clock runs.

use std::sync::Arc;

use cloudm_domain::{Clock, Rate};

use super::{ClockView, clock_view};
use crate::error::Error;
use crate::ports::{MachineStore, World};
use crate::records::Records;

/// Sets the rate of the clock.
pub struct SetRate {
    pub(crate) records: Arc<Records>,
    pub(crate) machines: Arc<dyn MachineStore>,
}

impl SetRate {
    /// Lets the clock run on at this rate from what it says now.
    ///
    /// # Errors
    /// [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, rate: Rate) -> Result<ClockView, Error> {
        let changed = self.records.change(|view, _| {
            let clock = Clock::new(view.now, view.wall, rate);
            Ok(World { clock, ..World::clone(&view.world) }.into())
        });
        clock_view(&changed.await?, &*self.machines).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockMachineStore, MockWorldStore};
    use cloudm_domain::Preset;

    #[tokio::test]
    async fn the_clock_goes_on_from_where_it_is() {
        let mut world = MockWorldStore::new();
        world.expect_read().returning(|| Ok(fixtures::view(Preset::Instant, "10s")));
        let view = fixtures::view(Preset::Instant, "10s");
        world
            .expect_commit()
            .once()
            .withf(move |commit| commit.world.clock == Clock::new(view.now, view.wall, Rate::PAUSED))
            .returning(|_| Ok(()));
        let mut machines = MockMachineStore::new();
        machines.expect_next_due().returning(|| Ok(None));
        let set = SetRate { records: Arc::new(Records::new(Arc::new(world))), machines: Arc::new(machines) };
        set.run(Rate::PAUSED).await.unwrap();
    }
}
