//! The history of a world.

use async_trait::async_trait;
use cloudm_domain::{Instant, MachineEvent, MachineId};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Where one is in the stream of commits of a world. Only the store that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub Vec<u8>);

/// An event and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionedEvent {
    /// Where it stands: whoever goes on after this position meets what was committed later.
    pub position: Position,
    /// The event.
    pub event: MachineEvent,
}

/// Which events to read.
#[derive(Debug, Clone, PartialEq)]
pub struct EventQuery {
    /// Only those of this machine.
    pub machine: Option<MachineId>,
    /// Of one machine, only those at this instant or before.
    pub until: Option<Instant>,
    /// Only those after this position.
    pub after: Option<Position>,
    /// The most events in the page; at least 1.
    pub limit: usize,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, in the order in which they were committed; those of one machine in the order of their versions.
    pub events: Vec<PositionedEvent>,
    /// Whether there were more when the page was read.
    pub more: bool,
}

/// Which machines to find by their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationQuery {
    /// Those that were made at this instant or before.
    pub until: Instant,
    /// Only those that come after this one in the order.
    pub after: Option<(Instant, MachineId)>,
    /// Whether the latest comes first.
    pub descending: bool,
    /// The most to find; at least 1.
    pub limit: usize,
}

/// The history of a world.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Where the stream is now. Going on after it MUST meet everything that is committed later. It MUST be after all that
    /// was committed, while nothing else is being committed; else it may be a little before, and what is met again is known
    /// by its machine and version. MUST be valid before the first event too.
    async fn position(&self) -> Result<Position, StoreError>;

    /// A page of events, the earliest committed first.
    ///
    /// Going on from page to page by the position of the last event MUST meet each event exactly once, also those
    /// committed meanwhile, and those of one machine in the order of their versions. The events of a machine stay when it
    /// is forgotten. The events of a machine have instants in the order of its versions, so a page that goes until an instant
    /// MUST end at the first event after it and MUST NOT cost what happened later. A position of another store or world MUST fail as [`StoreError::PositionGone`], and what is none
    /// as [`StoreError::UnknownPosition`]. MUST find the page by an index.
    async fn page(&self, query: &EventQuery) -> Result<EventPage, StoreError>;

    /// The first events of machines, in the order of their instants and ids or against it; also of machines that exist no
    /// more.
    ///
    /// MUST be found by an index.
    async fn created(&self, query: &CreationQuery) -> Result<Vec<MachineEvent>, StoreError>;

    /// Waits until something is committed after a position.
    ///
    /// MUST end at once where something is, and soon after a commit through any server of the store; MUST NOT end before,
    /// but with an error. A caller who leaves leaves nothing behind.
    async fn wait(&self, after: &Position) -> Result<(), StoreError>;
}
