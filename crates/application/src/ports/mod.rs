//! Ports: what the use cases need of the world outside. A store is written against the MUSTs that stand here; each is
//! a scenario of the contract suite.
//!
//! [`Store`] makes and opens worlds. All other ports are handles of one incarnation of one world and know no other. After
//! that was deleted or reset, [`WorldStore::read`] MUST fail with [`StoreError::WorldGone`]; every other call MUST do so too,
//! or answer as if the world stood as it was, or were empty. It MUST NOT reach another incarnation.
//!
//! # What every port MUST keep
//! - **Absence is a value.** What does not exist is `None` or an empty page, never an error.
//! - **A write is whole or was not.** A write that returned an error changed nothing, except for
//!   [`StoreError::Unavailable`], after which it may have happened: whole.
//! - **Acknowledged is kept.** What returned `Ok` survives the death of the process and of the host.
//! - **Reads see writes.** What was acknowledged before a read began is seen by it, through every server of the store.

mod answers;
mod clusters;
mod events;
mod faults;
mod machines;
mod operations;
mod parts;
mod scenario;
mod store;
mod world;

pub use answers::{AnswerStore, KeptAnswer};
pub use clusters::{ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, GoneCluster};
pub use events::{CreationQuery, EventPage, EventQuery, EventStore, Position, PositionedEvent};
pub use faults::{FaultMatches, FaultStore, RequestCounted};
pub use machines::{
    Accepted, Commit, CommitError, MachineCount, MachinePage, MachineQuery, MachineStore, MachineWalk, MachineWrite,
    PageByPage, PlacedMachine, SortKey,
};
pub use operations::{
    AcceptError, Cursor, Ending, FleetBatch, FleetEntry, FleetOperation, FleetResult, FleetTemplate, FleetWork,
    FleetWorked, Lease, MAX_UNENDED, OperationStore, Runner, WorkError,
};
pub use parts::{Part, Parts, PartsToLoad};
pub use scenario::{Scenario, ScenarioCluster, ScenarioMachines};
pub use store::{Entropy, FoundWorld, MAX_WORLDS, NewWorld, Store, StoreError, WallClock, WorldPorts, WorldsError};
pub use world::{Asked, ForkedWorld, Origin, World, WorldCommit, WorldCommitError, WorldStore, WorldView};

#[cfg(test)]
pub(crate) use self::{
    answers::MockAnswerStore, clusters::MockClusterStore, events::MockEventStore, faults::MockFaultStore,
    machines::MockMachineStore, operations::MockOperationStore, store::MockStore, world::MockWorldStore,
};
