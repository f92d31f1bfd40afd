//! What cloudm does: one use case a file, over ports.
//!
//! A use case is a plain struct with one `run`: it reads, lets the domain decide, and writes on the condition that
//! nothing came between ([`machines`], [`clusters`], [`operations`], [`events`], [`clock`], [`worlds`]). [`Cloud`] holds those of one world,
//! wired to the [`ports`] of a store, and [`Worlds`] those of the store, and all clouds.
//!
//! # Adding a use case
//! 1. A file with the feature's name: the struct over the ports it needs, `run` with its errors, its tests over mocks.
//! 2. If a store must do something new: a method of a port, with its MUSTs, and a scenario for each in the contract.
//! 3. A field of [`Cloud`].

mod background;
mod behaviour;
mod bell;
mod capacity;
pub mod clock;
mod cloud;
pub mod clusters;
mod digest;
mod error;
pub mod events;
mod faults;
#[cfg(test)]
mod fixtures;
mod idempotency;
mod ids;
pub mod machines;
pub mod operations;
mod paging;
pub mod ports;
mod records;
mod schedule;
mod scorecard;
mod settler;
mod stats;
mod stripes;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod watched;
pub mod worlds;
mod writing;

pub use behaviour::{GetBehaviour, SetBehaviour};
pub use capacity::{CapacityView, GetCapacity, PoolEdit, PoolView, SetCapacity};
pub use clock::{Advanced, ClockView, Happened, Target};
pub use cloud::Cloud;
pub use clusters::{ClusterList, ClusterListQuery, NewCluster};
pub use digest::{DigestView, GetDigest, Sum};
pub use error::{Error, ScenarioPart};
pub use events::{EventList, EventListQuery, Following};
pub use faults::{FaultView, GetFaults, SetFaults, StrikeRequest};
pub use machines::{MachineList, MachineListQuery, MachineView, NewMachineRequest, PastList, PastListQuery};
pub use operations::{FleetRequest, NewFleet, OperationList, Patience, ResultList, ResultView};
pub use schedule::{GetSchedule, SetSchedule};
pub use scorecard::{GetScorecard, ScorecardQuery};
pub use settler::Settler;
pub use stats::{GetStats, Stats};
pub use worlds::{NewWorldRequest, WorldList, Worlds};
pub use writing::{Encode, Idempotency, Reply, RequestKey, VersionMatch, Writing};
