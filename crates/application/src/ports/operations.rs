//! Fleet operations, and what came of them for each machine.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{
    ClusterId, Code, FleetKind, FleetOutcome, FleetProgress, FleetState, Instant, MachineId, NameTemplate, OperationId,
    PoolSizes, Protection, Request, Selector, Tag, Tags, WallMillis,
};
use serde::{Deserialize, Serialize};

use super::{Accepted, CommitError, KeptAnswer, MachineWrite, SortKey, StoreError};

/// What a fleet operation asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FleetWork {
    /// To make machines.
    Create(FleetTemplate),
    /// To ask an operation of machines.
    Operate(Selector, Request),
    /// To add tags to machines and remove some.
    Tag {
        /// Of which.
        selector: Selector,
        /// Those to add, where they are not there.
        add: Vec<Tag>,
        /// Those to remove, where they are there.
        remove: Vec<Tag>,
    },
    /// To delete the machines of a cluster, and then the cluster.
    DeleteCluster(ClusterId),
}

impl FleetWork {
    /// Its kind.
    pub fn kind(&self) -> FleetKind {
        match self {
            Self::Create(_) => FleetKind::Create,
            Self::Operate(_, request) => request.command.operation().into(),
            Self::Tag { .. } => FleetKind::Tag,
            Self::DeleteCluster(_) => FleetKind::DeleteCluster,
        }
    }
}

/// The machines to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetTemplate {
    /// How many; at least 1.
    pub count: u32,
    /// Their names.
    pub name: NameTemplate,
    /// The cluster to make them in.
    pub cluster: ClusterId,
    /// Their machine type.
    pub machine_type: Code,
    /// Their tags.
    pub tags: Tags,
    /// What they refuse.
    pub protection: Protection,
    /// Whether they go on to RUNNING; else they end STOPPED.
    pub start: bool,
}

/// How far a fleet operation is in deciding its machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// So many machines of a template are decided.
    Made(u32),
    /// Every machine up to this place in the order of creation is decided; none yet.
    Walked(Option<SortKey>),
    /// All are decided, and a cluster is to be deleted once they are TERMINATED. Nobody works on it until time passes.
    Emptying,
}

/// A fleet operation, in the form that stores keep (as JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetOperation {
    /// Its id.
    pub id: OperationId,
    /// Its place in the order in which operations of the world were accepted; the store gives it.
    pub number: u64,
    /// What it asks for.
    pub work: FleetWork,
    /// How far it is.
    pub state: FleetState,
    /// What it has decided.
    pub progress: FleetProgress,
    /// Where it goes on.
    pub cursor: Cursor,
    /// When it was accepted; the store gives the position.
    pub accepted: Accepted,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// Why it ended otherwise than its progress says.
    pub reason: Option<FleetOutcome>,
    /// From when on it is forgotten, in wall time; none before it ended.
    pub expires_at: Option<WallMillis>,
}

/// Who works on a fleet operation: drawn anew for each server, from [`super::Entropy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner(pub [u8; 16]);

/// The right to work on a fleet operation, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub runner: Runner,
    /// What the wall says now.
    pub wall: WallMillis,
    /// Until when it holds, in wall time.
    pub until: WallMillis,
}

/// What came of a fleet operation for one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetResult {
    /// The machine; where a creation was refused, the one that it would have been.
    pub machine: MachineId,
    /// What came of it.
    pub outcome: FleetOutcome,
}

/// What to write for one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetEntry {
    /// What came of the operation for it.
    pub result: FleetResult,
    /// How the machine changes; none where it does not.
    pub write: Option<MachineWrite>,
}

/// Some work of a fleet operation, to be written as one.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetBatch {
    /// The operation.
    pub operation: OperationId,
    /// The right to work on it, which holds longer with it.
    pub lease: Lease,
    /// The machines, each once.
    pub entries: Vec<FleetEntry>,
    /// The pools in which they may ask for places; none where there is room for any number.
    pub sizes: Option<Arc<PoolSizes>>,
    /// Where the operation goes on after them.
    pub cursor: Cursor,
    /// Where they are the last: how it ends.
    pub ending: Option<Ending>,
}

/// How a fleet operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub at: Instant,
    /// The state it ends in; none for the one that its progress says.
    pub state: Option<FleetState>,
    /// Why, where its progress does not say.
    pub reason: Option<FleetOutcome>,
    /// From when on it is forgotten, in wall time.
    pub expires_at: WallMillis,
}

impl FleetOperation {
    /// Counts what came of a machine.
    pub fn decided(&mut self, outcome: FleetOutcome) {
        self.progress.add(outcome);
    }

    /// Ends it.
    pub fn end(&mut self, ending: &Ending) {
        self.state = ending.state.unwrap_or_else(|| self.progress.ending());
        self.reason = ending.reason;
        self.finished_at = Some(ending.at.max(self.accepted.at));
        self.expires_at = Some(ending.expires_at);
    }
}

/// What was written of a batch.
#[derive(Debug)]
pub struct FleetWorked {
    /// The operation, as it is now.
    pub operation: FleetOperation,
    /// What became of each entry, in their order: written, now or before, or why not.
    pub entries: Vec<Result<(), CommitError>>,
}

/// Why a fleet operation was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The id was used before, by an operation that is not forgotten.
    #[error("the id was used before")]
    IdUsed,
    /// The world has [`MAX_UNENDED`] operations that have not ended.
    #[error("the world has no room for another operation")]
    TooMany,
    /// An answer is kept under the key and has not expired.
    #[error("the idempotency key was used")]
    KeyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why work of a fleet operation was not written.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The operation has ended, does not exist, or this runner is not the last that took it.
    #[error("another works on the operation, or it has ended")]
    NotYours,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The most operations of a world that have not ended.
pub const MAX_UNENDED: usize = 100;

/// The fleet operations of a world. A fork and a snapshot leave them behind.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait OperationStore: Send + Sync {
    /// Accepts an operation; gives it with its number and its position.
    ///
    /// MUST be atomic with the kept answer. MUST check, in this order: the key, the id, the number of operations. The
    /// position MUST be after every commit that was acknowledged before, and before every one that begins later. With a
    /// lease, the operation is RUNNING and that runner's at once; else it is PENDING.
    async fn accept(
        &self,
        operation: FleetOperation,
        lease: Option<Lease>,
        keep: Option<KeptAnswer>,
    ) -> Result<FleetOperation, AcceptError>;

    /// The operation with this id.
    async fn get(&self, id: OperationId) -> Result<Option<FleetOperation>, StoreError>;

    /// Operations, the last accepted first: those before this number, at most `limit`. MUST be found by an index.
    async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<FleetOperation>, StoreError>;

    /// Those that have not ended, the first accepted first: at most [`MAX_UNENDED`]. MUST be found by an index, and cost little
    /// where there is none: every server asks this often.
    async fn unended(&self) -> Result<Vec<FleetOperation>, StoreError>;

    /// Takes an operation to work on; gives it as it is then, RUNNING.
    ///
    /// MUST refuse (`None`) where it has ended, and while another runner's lease holds at [`Lease::wall`]; of runners that race
    /// exactly one MUST win. A runner that holds it MUST get it again. Where no other process can have a lease, that of a
    /// process that died need not be waited for.
    async fn claim(&self, id: OperationId, lease: Lease) -> Result<Option<FleetOperation>, StoreError>;

    /// Writes some work of an operation: machines with their events, the results, the progress, the cursor, the ending and
    /// the longer lease, all or none.
    ///
    /// MUST be refused where the operation has ended, and where the runner is not the last that took it; not for a lease that
    /// has run out and nobody took. Each entry is then taken or not by itself, in their order:
    /// - One whose machine has a result of this operation already MUST change nothing, and counts as written: (operation,
    ///   machine) has one result for ever.
    /// - Else a write of a machine MUST have the effect, and the checks, of [`super::MachineStore::commit`]; where it is
    ///   refused, the entry changes nothing, and is told why.
    /// - A result that is written is counted in the progress, once.
    ///
    /// The cursor, and the ending, MUST be taken only where every entry was written, now or before: who dies then goes on
    /// where one was not.
    async fn work(&self, batch: FleetBatch) -> Result<FleetWorked, WorkError>;

    /// Ends an operation that has not ended, whoever works on it; gives it as it is then, and whether it was this that ended
    /// it. `None` where there is none.
    async fn end(&self, id: OperationId, ending: Ending) -> Result<Option<(FleetOperation, bool)>, StoreError>;

    /// Results of an operation, those that refused first, each of both in the order of machine ids: those after this one, at most
    /// `limit`. MUST be found by an index.
    async fn results(
        &self,
        id: OperationId,
        after: Option<FleetResult>,
        limit: usize,
    ) -> Result<Vec<FleetResult>, StoreError>;

    /// Drops at most about `limit` results of operations that have expired at `wall`, and the operations of which none is left;
    /// says how many results and operations it dropped. MUST be found by an index.
    async fn purge(&self, wall: WallMillis, limit: usize) -> Result<usize, StoreError>;
}
