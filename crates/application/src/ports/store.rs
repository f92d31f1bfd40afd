//! The store as a whole, wall time and entropy.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{Incarnation, Instant, Preset, Rate, Seed, WallMillis, WorldName};

use super::{AnswerStore, ClusterStore, EventStore, MachineStore, WorldStore};

/// What can go wrong in any store.
///
/// The texts are for the log; a client never sees them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer now and may answer later. Whether a write took effect is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The incarnation of the world that this handle belongs to is no more.
    #[error("the world is gone")]
    WorldGone,
    /// A position that this store did not make, or that it cannot find any more.
    #[error("unknown position")]
    UnknownPosition,
    /// The store holds something that it cannot have written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store failed in a way that trying again does not mend.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What a world is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWorld {
    /// Its name.
    pub name: WorldName,
    /// Its incarnation, from [`Entropy`].
    pub incarnation: Incarnation,
    /// Its seed, for ever.
    pub seed: Seed,
    /// Its first instant; none for the wall's time.
    pub start: Option<Instant>,
    /// How fast its clock runs.
    pub rate: Rate,
    /// The preset whose behaviour it begins with.
    pub preset: Preset,
}

/// The handles of one world.
#[derive(Clone)]
pub struct WorldPorts {
    /// The world record and its clock.
    pub world: Arc<dyn WorldStore>,
    /// Its clusters.
    pub clusters: Arc<dyn ClusterStore>,
    /// Its machines.
    pub machines: Arc<dyn MachineStore>,
    /// Its history.
    pub events: Arc<dyn EventStore>,
    /// Its kept answers.
    pub answers: Arc<dyn AnswerStore>,
}

/// A store of worlds.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a world where none has the name, and opens it.
    ///
    /// MUST leave a world that has the name as it is and open that. Of callers that race, all MUST open the same
    /// incarnation.
    async fn ensure_world(&self, new: NewWorld) -> Result<WorldPorts, StoreError>;

    /// Opens the world that the name points to now.
    async fn open_world(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError>;

    /// The key that page tokens are sealed with.
    ///
    /// MUST be made by [`Entropy`] when the store is first opened, and MUST stay the same for its life, so that a token
    /// outlives a restart and holds on every server.
    async fn page_token_key(&self) -> Result<[u8; 32], StoreError>;

    /// Whether the store answers now; for readiness.
    async fn check(&self) -> Result<(), StoreError>;

    /// Ends what is under way and lets go of everything held. Later calls fail as [`StoreError::Unavailable`].
    async fn close(&self);
}

/// The host's time. The only source of wall time.
pub trait WallClock: Send + Sync {
    /// Milliseconds since 1970. It may step, also backwards; who needs more keeps it himself.
    fn now(&self) -> WallMillis;
}

/// The only source of randomness: for keys, incarnations, request ids and seeds that nobody chose. Nothing that happens
/// in a world depends on it.
pub trait Entropy: Send + Sync {
    /// Sixteen bytes that nobody can guess.
    fn bytes(&self) -> [u8; 16];
}
