//! Machines.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{
    Change, Cluster, ClusterId, Code, Created, FaultId, FaultMatch, Instant, Machine, MachineEvent, MachineId,
    MachineState, Name, Order, OrderKey, PoolSizes, Selector,
};
use serde::{Deserialize, Serialize};

use super::{KeptAnswer, Position, StoreError};

/// A write of one machine by itself, with the answer to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// What to write.
    pub write: MachineWrite,
    /// The answer to keep with it.
    pub keep: Option<KeptAnswer>,
    /// The pools in which it may ask for a place; none where there is room for any number.
    pub sizes: Option<Arc<PoolSizes>>,
}

impl From<MachineWrite> for Commit {
    fn from(write: MachineWrite) -> Self {
        Self { write, keep: None, sizes: None }
    }
}

/// A write of one machine with its events: the only kind of write to a machine. It makes it, replaces it, or forgets it; its
/// events stay. With a machine neither before nor after, it says that a creation was refused: its id is used then.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineWrite {
    /// The machine as it was read, whose version it must still have; none for a creation.
    pub before: Option<Machine>,
    /// The machine as it is to be; none where it is forgotten.
    pub after: Option<Machine>,
    /// What happened, in order; the first has the version after that of `before`, or 1.
    pub events: Vec<MachineEvent>,
}

impl MachineWrite {
    /// The machine that it is of; none where there is nothing at all.
    pub fn machine(&self) -> Option<MachineId> {
        let machine = self.after.as_ref().or(self.before.as_ref()).map(|machine| machine.id);
        machine.or_else(|| self.events.first().map(|event| event.machine))
    }

    /// What was to be made, where it is of a machine that is not.
    pub fn unmade(&self) -> Option<&Created> {
        match (&self.before, &self.after, self.events.as_slice()) {
            (None, None, [MachineEvent { change: Change::CreationRefused { created, .. }, .. }, ..]) => Some(created),
            _ => None,
        }
    }

    /// The matches that it tells of faults that count them for the whole world, with their numbers there.
    pub fn numbered(&self) -> impl Iterator<Item = (FaultId, u64)> {
        let told = self.events.iter().filter_map(|event| event.change.fault_match());
        told.filter_map(|FaultMatch { fault, number, .. }| Some((fault, number?)))
    }

    /// Whether it is of one machine, and its events lead from the version before to the version after, one by one.
    ///
    /// (machine, version) names one event because of it and of the condition on the stored version, and no index has to
    /// watch over that.
    pub fn is_whole(&self) -> bool {
        let version = |machine: &Machine| machine.version;
        let before = self.before.as_ref().map_or(0, version);
        let one = self.before.as_ref().zip(self.after.as_ref()).is_none_or(|(before, after)| before.id == after.id);
        let one = one && (self.before.is_some() || self.after.is_some() || self.unmade().is_some());
        self.machine().is_some_and(|id| one && lead(&self.events, id, before, self.after.as_ref().map(version)))
    }
}

/// Whether the events are those of one machine from one version to another, one by one; to any, where none is said.
fn lead(events: &[MachineEvent], id: MachineId, before: u64, after: Option<u64>) -> bool {
    let in_order = |(event, version): (&MachineEvent, u64)| event.machine == id && event.version == version;
    let versions = before.saturating_add(1)..;
    let last = events.last().map_or(before, |event| event.version);
    events.iter().zip(versions).all(in_order) && after.is_none_or(|after| after == last)
}

/// Why a machine was not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It does not have the expected version, or does not exist.
    #[error("the machine has changed")]
    Conflict,
    /// Another machine of the cluster, not TERMINATED, has the name.
    #[error("the name is taken")]
    NameTaken,
    /// The id was used before, also by a machine that exists no more.
    #[error("the id was used before")]
    IdUsed,
    /// The cluster to make it in does not exist.
    #[error("the cluster does not exist")]
    NoCluster,
    /// The pool in which it asks for a place has none left.
    #[error("the pool has no place left")]
    NoPlace,
    /// It tells of a match of a fault that is not the next one in the world.
    #[error("the fault has matched meanwhile")]
    Miscounted,
    /// An answer is kept under the key and has not expired.
    #[error("the idempotency key was used")]
    KeyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A machine with its cluster, both as they were at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedMachine {
    /// The machine, as it was last written: not settled.
    pub machine: Machine,
    /// The cluster it is in.
    pub cluster: Arc<Cluster>,
}

/// Where a machine stands in an order. A machine's key of creation never changes; that of its name changes with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortKey {
    /// In order of creation.
    CreatedAt(Instant, MachineId),
    /// In order of names.
    Name(Name, MachineId),
}

impl SortKey {
    /// Where `machine` stands in the order by `key`.
    pub fn of(machine: &Machine, key: OrderKey) -> Self {
        match key {
            OrderKey::CreatedAt => Self::CreatedAt(machine.created_at, machine.id),
            OrderKey::Name => Self::Name(machine.name.clone(), machine.id),
        }
    }
}

/// When a fleet operation was accepted, in virtual time and in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The virtual time.
    pub at: Instant,
    /// The place in the order of commits.
    pub position: Position,
}

/// How many machines of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineCount {
    /// Their cluster, as it is now.
    pub cluster: Arc<Cluster>,
    /// Their machine type.
    pub machine_type: Code,
    /// Their state, as it was last written.
    pub state: MachineState,
    /// How many; at least 1.
    pub count: u64,
}

/// Which machines to list.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineQuery {
    /// Which.
    pub selector: Selector,
    /// In what order.
    pub order: Order,
    /// Only those that come after this key in that order. Its kind is that of the order.
    pub after: Option<SortKey>,
    /// Only those that were made by then: at an earlier instant, or at the same one by a commit up to the position. Goes
    /// with the order of creation, ascending.
    pub made_by: Option<Accepted>,
    /// The most machines in the page; at least 1.
    pub limit: usize,
}

/// A page of machines.
#[derive(Debug, Clone, PartialEq)]
pub struct MachinePage {
    /// The machines, in order.
    pub machines: Vec<PlacedMachine>,
    /// The key after which the next page begins; none where there is no more. It may be the key of a machine that was
    /// examined and left out.
    pub next: Option<SortKey>,
}

/// A walk through all machines of a query.
#[async_trait]
pub trait MachineWalk: Send {
    /// The next page; nothing is said of those after the last one.
    ///
    /// It MUST be what [`MachineStore::list`] says of pages, the first after [`MachineQuery::after`] and each other one after the
    /// one before, but that its machines need not be of one moment: a machine may be as it was a bounded number of pages
    /// ago. Clusters MUST be as they are. After an error the same page is next.
    async fn next(&mut self) -> Result<MachinePage, StoreError>;
}

/// A walk that keeps no place open: it asks for each page anew, by the key that the one before ends with.
pub struct PageByPage {
    machines: Arc<dyn MachineStore>,
    query: MachineQuery,
}

impl PageByPage {
    /// A walk through the machines of a store.
    pub fn new(machines: Arc<dyn MachineStore>, query: MachineQuery) -> Self {
        Self { machines, query }
    }
}

#[async_trait]
impl MachineWalk for PageByPage {
    async fn next(&mut self) -> Result<MachinePage, StoreError> {
        let page = self.machines.list(&self.query).await?;
        self.query.after.clone_from(&page.next);
        Ok(page)
    }
}

/// The machines of a world.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait MachineStore: Send + Sync {
    /// The machine with this id and its cluster, as both were at one moment.
    ///
    /// MUST be `None` for a machine whose cluster exists no more: the record of a TERMINATED machine goes with its
    /// cluster.
    async fn get(&self, id: MachineId) -> Result<Option<PlacedMachine>, StoreError>;

    /// The machine of this cluster that holds this name: one that is not TERMINATED.
    async fn holder(&self, cluster: ClusterId, name: &Name) -> Result<Option<Machine>, StoreError>;

    /// Whether this id was ever used, also by a machine that exists no more.
    async fn id_used(&self, id: MachineId) -> Result<bool, StoreError>;

    /// A page of machines, by their stored state, all as they were at one moment.
    ///
    /// MUST follow the selector and the order exactly, with ids as the last key in the direction of the order. MUST leave
    /// out TERMINATED machines unless the selector asks for them, and machines whose cluster exists no more. A walk from
    /// page to page MUST meet each machine exactly once that exists, matches and keeps its sort key throughout, whatever
    /// else changes. MUST find the page by an index, and MUST examine at most [`MachineQuery::MAX_EXAMINED`] machines for
    /// it: a page may be short or empty and still have a next one. MUST NOT say that there is a next page after the last
    /// examined machine of all. With [`MachineQuery::made_by`], MUST leave out machines whose creation was begun after that
    /// was made known, also those made at the same instant.
    async fn list(&self, query: &MachineQuery) -> Result<MachinePage, StoreError>;

    /// Walks through the machines that [`MachineStore::list`] finds. For whoever is going to see all pages: the store may keep a
    /// place open between them, as long as the walk lives.
    fn walk(&self, query: MachineQuery) -> Box<dyn MachineWalk>;

    /// Machines for which something is due at `until` or before (a step or being forgotten), the earliest first (then by
    /// id), at most `limit`. MUST be found by an index.
    async fn due(&self, until: Instant, limit: usize) -> Result<Vec<Machine>, StoreError>;

    /// When the next thing is due in the world, if anything is. MUST be found by an index.
    async fn next_due(&self) -> Result<Option<Instant>, StoreError>;

    /// Writes one machine, its events and the kept answer, atomically.
    ///
    /// MUST check, in this order: the key, the numbers of matches, the id, the expected version, the cluster (of a creation, refused or not), the name, the place. Of writers
    /// that race for a name, an id or a version, exactly one MUST win. Many may share one disk commit, but one's failed
    /// condition MUST NOT undo another's write.
    ///
    /// A match that it tells with a number MUST be refused unless the fault has matched one time less by then, as
    /// [`super::FaultStore::matches`] counts: of those that race for a number, exactly one MUST win.
    ///
    /// It asks for the place that [`PoolSizes::asked`] says, in the region that its cluster has then. It MUST be refused where as
    /// many other machines of that type, in clusters of that region, hold a place by their stored state ([`PoolSizes::is_held_in`]) as the pool
    /// has: whoever races for the last place, it MUST be given once. Who asks for none MUST be refused none.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// Writes many machines at once; the answers are in the order of the writes.
    ///
    /// MUST have the effect of committing each by itself, in their order, with the checks of [`MachineStore::commit`]: one
    /// that is refused changes nothing, and stops none of the others. MUST NOT take more than [`MachineQuery::MAX_EXAMINED`]. All
    /// that were written are acknowledged together; after an error each of them may have been written, whole.
    async fn commit_all(
        &self,
        writes: Vec<MachineWrite>,
        sizes: Option<Arc<PoolSizes>>,
    ) -> Result<Vec<Result<(), CommitError>>, StoreError>;

    /// How many machines there are of each cluster, machine type and state, by their stored state, all at one moment;
    /// TERMINATED ones too, but none of a cluster that exists no more, and nothing of which there is none. In no order.
    ///
    /// MUST NOT cost more with more machines.
    async fn counts(&self) -> Result<Vec<MachineCount>, StoreError>;
}

impl MachineQuery {
    /// The most machines that are examined for a page.
    pub const MAX_EXAMINED: usize = 10_000;
}
