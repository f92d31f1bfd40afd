//! The rules of machine life.
//!
//! A pure library: no async, no I/O, no clock and no generator of its own. Whoever embeds it brings the time, and gets the
//! same machine life from the same seed.
//!
//! # The way in
//! 1. A [`Seed`] and a [`Behaviour`] (one of the [`Preset`]s, or your own) make [`Rules`].
//! 2. [`Machine::create`] makes a machine at an [`Instant`].
//! 3. [`Machine::request`] asks an [`Operation`] of it: a new machine and the [`MachineEvent`]s that made it, or a
//!    [`Refusal`] that says why and what is allowed.
//! 4. [`Machine::settle`] lets happen what is due: a boot ends, a machine fails, a repair begins.
//! 5. [`fold`] makes the machine again from its events.
//!
//! ```
//! use cloudm_domain::*;
//!
//! let seed = Seed::new(42)?;
//! let rules = Rules::new(seed, Preset::Realistic.behaviour());
//! let start = Instant::DEFAULT_START;
//!
//! let name: Name = "web-1".parse()?;
//! let cluster_id = ClusterId::of(seed, &"web".parse()?, start, 0);
//! let new = NewMachine {
//!     id: MachineId::of(seed, cluster_id, &name, start, 0),
//!     cluster_id,
//!     name,
//!     machine_type: "small".parse()?,
//!     tags: Tags::default(),
//!     protection: Protection::default(),
//!     start: true,
//! };
//! let created = Machine::create(new, start, &rules);
//! assert_eq!(created.machine.state, MachineState::Provisioning);
//!
//! let later = start.plus("10m".parse()?);
//! let settled = created.machine.clone().settle(later, &rules);
//! assert_eq!(settled.machine.state, MachineState::Running);
//!
//! let history = created.events.iter().chain(&settled.events);
//! assert_eq!(fold(history)?, settled.machine);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//! - **Observation changes nothing**: `settle(settle(m, t1), t2) == settle(m, t2)` for t1 ≤ t2.
//! - **A version counts events**, and (machine, version) names one event.
//! - **Draws have names** ([`Draws`]): what happens to one machine does not depend on what is asked of another, or when.
//! - **Rules are timelines** ([`Timeline`]): a step uses what held at its instant.
//! - **A machine is the fold of its events.**
//!
//! # The lifecycle
//! The table is [`TRANSITIONS`], with [`ALREADY_SO`]; this is it in words ([`lifecycle_table`]):
//!
#![doc = include_str!("lifecycle_table.md")]
//!
//! Any active state may also stick: then it has no end of its own, and only a forced STOP or a TERMINATE leads out of it;
//! out of TERMINATING, only a forced TERMINATE.
//!
//! # Rules of your own
//! Take a preset and change it, or write every timing; [`Behaviour::mistakes`] says what makes no sense. A change of rules
//! holds from an instant, and no machine has to be touched for it:
//!
//! ```
//! use cloudm_domain::*;
//!
//! let mut slow = Preset::Realistic.behaviour();
//! slow.starting.duration = Distribution::Uniform { bounds: Bounds::secs(300, 900) };
//! slow.starting.fail = Odds::try_from(0.25)?;
//! assert_eq!(slow.mistakes(), []);
//!
//! let mut rules = Rules::new(Seed::new(42)?, Preset::Instant.behaviour());
//! let noon: Instant = "2030-01-01T12:00:00Z".parse()?;
//! rules.behaviour.push(noon, slow)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it leaves to you
//! - **Time**: [`Clock`] makes virtual time of wall time, but nothing here asks for either. Instants end in 2106, at
//!   [`Instant::MAX`]; what is due there never happens.
//! - **Keeping**: a machine is [`MachineData`] and back; with the feature `serde` its parts and its events are read and
//!   written. Bad data is refused where it is read, not met later.
//! - **What many machines share**: that a name is free, that a machine type exists.
//! - **Bounds**: [`Machine::settle`] costs what happened, and a machine that crashes every second for a year has much to
//!   tell; [`Machine::settle_within`] and [`Machine::settle_at_most`] have a bound.
//!
//! `examples/fleet.rs` shows all of it: a fleet of 1,000 machines through a virtual day.
//!
//! # Adding an operation
//! In this order; after each step the compiler or a test says what is left.
//!
//! 1. `lifecycle.rs`: the [`Operation`] and its [`Cause`], each after the last (stored events hold their places); a
//!    [`MachineState`], if it has an active state of its own; its rows of [`TRANSITIONS`]; where it finds its work done, in
//!    [`ALREADY_SO`].
//! 2. `behaviour.rs` and `preset.rs`, for a new active state: how long it takes and how often it fails.
//! 3. `request.rs`: its [`Command`], with what it needs.
//! 4. `machine.rs` and `event.rs`, only if it changes more than the state, as RESIZE does.
//! 5. `lifecycle_table.md`: the test beside [`lifecycle_table`] prints what belongs there.
//! 6. `tests/table/main.rs`: its cases, in words of their own; `acts()` in `tests/laws/life.rs`, and every law is tried on
//!    it.

mod behaviour;
mod capacity;
mod catalogue;
mod clock;
mod cluster;
mod distribution;
mod draw;
mod effect;
mod event;
mod fault;
#[cfg(test)]
mod fixtures;
mod fleet;
mod id;
mod lifecycle;
mod lifecycle_table;
mod machine;
mod name;
mod preset;
mod request;
mod rules;
mod schedule;
mod scorecard;
mod seed;
mod selector;
mod settle;
mod strike;
mod time;

pub use behaviour::{Behaviour, InvalidBehaviour, InvalidOdds, Odds, Timing};
pub use capacity::{Capacity, InvalidCapacity, PlaceAsked, Pool, PoolSizes, Refill};
pub use catalogue::{Catalogue, InvalidCatalogue, MachineType, Region};
pub use clock::{Clock, InvalidRate, Rate, WallMillis};
pub use cluster::{Cluster, ClusterEdit};
pub use distribution::{Bounds, Distribution, InvalidDistribution};
pub use draw::{Draw, DrawName, Draws, Purpose};
pub use effect::{Effect, EffectKind, FaultRefusal};
pub use event::{Change, Created, Entered, EventKind, FaultMatch, FoldError, MachineEvent, WorldRefusal, fold};
pub use fault::{Fault, FaultField, FaultOn, FaultRule, FaultScope, InvalidFault, RequestPattern};
pub use fleet::{FleetKind, FleetOutcome, FleetProgress, FleetState};
pub use id::{ClusterId, FaultId, IdBytes, Incarnation, InvalidId, MachineId, OperationId, ScheduleId};
pub use lifecycle::{
    ALREADY_SO, Cause, MachineState, Operation, TRANSITIONS, Transition, UnknownCode, When, already_so,
    operations_from, transition,
};
pub use lifecycle_table::lifecycle_table;
pub use machine::{
    InProgress, InvalidMachine, Machine, MachineData, NewMachine, Outcome, Protection, Reason, Step, StepKind,
};
pub use name::{Code, InvalidTags, InvalidText, Name, NameTemplate, Tag, Tags, WorldName};
pub use preset::Preset;
pub use request::{Command, Edit, Refusal, Request};
pub use rules::{NotLater, Rules, Timeline};
pub use schedule::{
    InvalidSchedule, Schedule, ScheduleEntry, ScheduleField, ScheduleKind, ScheduleRule, ScheduledEvent,
};
pub use scorecard::{Asked, Latency, ScoreKeeper, Scorecard, Shortage};
pub use seed::{InvalidSeed, Seed};
pub use selector::{ClusterRef, InvalidOrder, InvalidSelector, NamePattern, Order, OrderKey, Selector, SelectorField};
pub use settle::TooManySteps;
pub use strike::{FaultCount, Faults, StruckDown};
pub use time::{Instant, InvalidInstant, InvalidSpan, Span};
