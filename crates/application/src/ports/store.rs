//! The store as a whole, wall time and entropy.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{Incarnation, Instant, Preset, Rate, Seed, Span, WallMillis, WorldName};

use super::{
    AnswerStore, Asked, ClusterStore, EventStore, FaultStore, ForkedWorld, MachineStore, OperationStore, Parts,
    PartsToLoad, World, WorldStore,
};

/// What can go wrong in any store.
///
/// The texts are for the log; a client never sees them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer now and may answer later. Whether a write took effect is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The incarnation of the world that this handle belongs to is no more.
    #[error("the world is gone")]
    WorldGone,
    /// A position that no store can have made.
    #[error("unknown position")]
    UnknownPosition,
    /// A position of another world, or of a history that is no more: the world was reset, or its data set back.
    #[error("the position is of another history")]
    PositionGone,
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
    /// How long a TERMINATED machine stays readable.
    pub retention: Span,
    /// The request that makes it, where that may be repeated.
    pub asked: Option<Asked>,
}

/// Why the worlds of a store were not changed.
#[derive(Debug, thiserror::Error)]
pub enum WorldsError {
    /// A world has the name.
    #[error("the name is taken")]
    NameTaken,
    /// There are [`MAX_WORLDS`] worlds.
    #[error("the store has no room for another world")]
    TooMany,
    /// The name does not point to the incarnation that it has to.
    #[error("the world has changed")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The most worlds of a store.
pub const MAX_WORLDS: usize = 1_000;

/// The handles of one world.
#[derive(Clone)]
pub struct WorldPorts {
    /// The incarnation that they are the handles of.
    pub incarnation: Incarnation,
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
    /// Its fleet operations.
    pub operations: Arc<dyn OperationStore>,
    /// How often its faults matched.
    pub faults: Arc<dyn FaultStore>,
}

/// What the name of a world points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundWorld {
    /// The incarnation.
    pub incarnation: Incarnation,
    /// Whether the record may have faults on requests. Where it has, this MUST be so from when its commit is answered.
    pub request_faults: bool,
}

/// A store of worlds.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a world where none has the name, and opens it.
    ///
    /// MUST leave a world that has the name as it is and open that. Of callers that race, all MUST open the same
    /// incarnation.
    async fn ensure_world(&self, new: NewWorld) -> Result<WorldPorts, StoreError>;

    /// Opens the world that the name points to now.
    async fn open_world(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError>;

    /// What the name points to now. Every request asks this, so it MUST cost no more than one look.
    async fn find_world(&self, name: &WorldName) -> Result<Option<FoundWorld>, StoreError>;

    /// The names of worlds after this one, in the order of their bytes, at most `limit`.
    async fn worlds(&self, after: Option<WorldName>, limit: usize) -> Result<Vec<WorldName>, StoreError>;

    /// Makes a world, and opens it.
    ///
    /// MUST refuse a name that is taken, and one more than [`MAX_WORLDS`]. Of callers that race for a name or for the last
    /// place exactly one MUST win.
    async fn create_world(&self, new: NewWorld) -> Result<WorldPorts, WorldsError>;

    /// Makes a world that is a copy of another one at one moment, and opens it: its record by [`super::World::forked`], its
    /// clusters, machines, used ids and history. Kept answers and fleet operations stay behind.
    ///
    /// MUST hold every write that was acknowledged before it began, and of one that was under way all or nothing. MUST
    /// refuse, as a creation does, and where `source` is not the incarnation that a name points to. Later, neither world
    /// MUST see anything of the other.
    async fn fork_world(&self, source: Incarnation, fork: ForkedWorld) -> Result<WorldPorts, WorldsError>;

    /// Lets the name of a world that has the incarnation `old` point to a new world, and opens that: a reset.
    ///
    /// MUST refuse where the name does not point to `old`; of callers that race exactly one MUST win. From then on nobody
    /// MUST find the old world, and what it held MUST be dropped in the end, also where the process dies.
    async fn replace_world(&self, old: Incarnation, new: NewWorld) -> Result<WorldPorts, WorldsError>;

    /// Deletes the world that has the name and the incarnation `old`. The same MUSTs as of a replacement.
    async fn delete_world(&self, name: &WorldName, old: Incarnation) -> Result<(), WorldsError>;

    /// Gives away all that a world holds but its kept answers and fleet operations, in the order of [`super::Part`], with an end.
    ///
    /// MUST give it as it is at one moment, with every write that was acknowledged before it began. MUST refuse where the
    /// incarnation is not one that a name points to. Ends early, and well, where nobody takes the parts any more.
    async fn read_world(&self, incarnation: Incarnation, to: Parts) -> Result<(), WorldsError>;

    /// Makes a world of parts, and opens it: the record is `world`, whose clock stands since the wall's beginning and goes on
    /// now ([`World::resumed`]). It has the name where that points to `old`, or is free where there is none.
    ///
    /// The caller answers for the parts: each fits those before it, and there is no [`super::Part::World`]. MUST refuse where
    /// they stop without an end, where the name does not point to `old` in the end, and as a creation does. MUST leave
    /// everything as it was then, and let nobody see the world before it is whole.
    async fn load_world(
        &self,
        old: Option<Incarnation>,
        world: World,
        from: PartsToLoad,
    ) -> Result<WorldPorts, WorldsError>;

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
