//! A world's clock: one use case a file.

mod advance;
mod get;
mod happened;
mod idle;
mod rate;

use cloudm_domain::{Instant, Rate};

pub use advance::{Advance, Advanced, Target};
pub use get::GetClock;
pub use happened::Happened;
pub use idle::RunUntilIdle;
pub use rate::SetRate;

use crate::error::Error;
use crate::ports::{MachineStore, WorldView};

/// A world's clock at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockView {
    /// What it says.
    pub now: Instant,
    /// How fast it runs.
    pub rate: Rate,
    /// When the next thing is due in the world, where anything is.
    pub next_due_at: Option<Instant>,
}

/// When the next thing is due; what is due at the end of time never happens.
pub(crate) async fn next_due(view: &WorldView, machines: &dyn MachineStore) -> Result<Option<Instant>, Error> {
    let told = view.world.rules.schedule.next_due();
    let due = machines.next_due().await?.into_iter().chain(told).min();
    Ok(due.filter(|due| *due < Instant::MAX))
}

async fn clock_view(view: &WorldView, machines: &dyn MachineStore) -> Result<ClockView, Error> {
    Ok(ClockView { now: view.now, rate: view.world.clock.rate(), next_due_at: next_due(view, machines).await? })
}
