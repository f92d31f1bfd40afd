//! Machines: one use case a file.

mod command;
mod counted;
mod create;
mod delete;
mod edit;
mod get;
mod import;
mod list;
mod operate;
mod past;
mod room;
mod wait;

use std::sync::Arc;

use cloudm_domain::{Cluster, Instant, Machine, Rules};

pub(crate) use command::{MAX_ATTEMPTS, MachineCommands};
pub(crate) use counted::{Turn, attempts};
pub use create::{CreateMachine, NewMachineRequest};
pub use delete::DeleteMachine;
pub use edit::EditMachine;
pub use get::GetMachine;
pub use import::ImportMachines;
pub(crate) use import::{check_machine_type, machine_type};
pub use list::{ListMachines, MachineList, MachineListQuery};
pub use operate::OperateMachine;
pub(crate) use past::MAX_EVENTS;
pub use past::{PastList, PastListQuery, PastMachines};
pub(crate) use room::refused;
pub use wait::WaitForMachine;

use crate::error::Error;
use crate::ports::PlacedMachine;
use crate::settler::MAX_STEPS;

/// A machine as it is now, settled, with its cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineView {
    /// The machine.
    pub machine: Machine,
    /// The cluster it is in.
    pub cluster: Arc<Cluster>,
    /// The virtual time at which it is so.
    pub now: Instant,
}

/// The machine as it is at `now`; none where it is forgotten by then. Settles in memory and writes nothing.
pub(crate) fn view_at(placed: PlacedMachine, now: Instant, rules: &Rules) -> Result<Option<MachineView>, Error> {
    let now = now.max(placed.machine.updated_at);
    let machine = placed.machine.settle_within(MAX_STEPS, Some(&placed.cluster), now, rules)?.machine;
    Ok((!machine.is_forgotten(now)).then_some(MachineView { machine, cluster: placed.cluster, now }))
}
