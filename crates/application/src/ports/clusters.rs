//! Clusters.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{Cluster, ClusterId, Code, Instant, Name, PoolSizes};

use super::{KeptAnswer, StoreError};

/// A write of one cluster, with the answer to keep for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCommit {
    /// What to write.
    pub write: ClusterWrite,
    /// The answer to keep with it.
    pub keep: Option<KeptAnswer>,
}

/// What to write of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterWrite {
    /// Make it.
    Create(Cluster),
    /// Replace the one with its id, where that has the expected version.
    Update {
        /// The version it must have.
        expected: u64,
        /// What replaces it.
        cluster: Cluster,
        /// The pools in which its machines need room, where it moves to another region; none where there is room for any
        /// number.
        sizes: Option<Arc<PoolSizes>>,
    },
    /// Delete it, where it has the expected version and no machine that is not TERMINATED.
    Delete {
        /// The cluster.
        id: ClusterId,
        /// The version it must have.
        expected: u64,
        /// When it is deleted.
        at: Instant,
    },
}

/// A cluster that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneCluster {
    /// The cluster, as it was then.
    pub cluster: Arc<Cluster>,
    /// When that was.
    pub at: Instant,
}

/// Why a cluster was not written.
#[derive(Debug, thiserror::Error)]
pub enum ClusterCommitError {
    /// It does not have the expected version, or does not exist.
    #[error("the cluster has changed")]
    Conflict,
    /// Another cluster of the world has the name.
    #[error("the name is taken")]
    NameTaken,
    /// The id was used before, also by a cluster that exists no more.
    #[error("the id was used before")]
    IdUsed,
    /// The world has [`Cluster::MAX_IN_WORLD`] clusters.
    #[error("the world has no room for another cluster")]
    TooMany,
    /// The cluster has machines that are not TERMINATED.
    #[error("the cluster has machines")]
    NotEmpty,
    /// A pool of the region that it moves to has too little room for its machines of that type.
    #[error("the region has no room for the cluster's machines")]
    NoPlace(Code),
    /// An answer is kept under the key and has not expired.
    #[error("the idempotency key was used")]
    KeyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The clusters of a world: at most [`Cluster::MAX_IN_WORLD`].
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait ClusterStore: Send + Sync {
    /// The cluster with this id.
    async fn get(&self, id: ClusterId) -> Result<Option<Arc<Cluster>>, StoreError>;

    /// The cluster with this name.
    async fn find(&self, name: &Name) -> Result<Option<Arc<Cluster>>, StoreError>;

    /// The cluster that had this id until it was deleted. It is remembered for ever.
    async fn gone(&self, id: ClusterId) -> Result<Option<GoneCluster>, StoreError>;

    /// All clusters as they were at one moment, in order of creation (instant, then id).
    async fn all(&self) -> Result<Vec<Arc<Cluster>>, StoreError>;

    /// Whether this id was ever used, also by a cluster that exists no more.
    async fn id_used(&self, id: ClusterId) -> Result<bool, StoreError>;

    /// Writes one cluster.
    ///
    /// MUST be atomic with the kept answer. MUST check, in this order: the key, the id, the expected version, the name,
    /// the number of clusters, emptiness. Of writers that race for a name, an id, the last place or a version, exactly
    /// one MUST win. A cluster that is deleted while a machine is made in it: one of the two MUST fail, so that no
    /// machine but a TERMINATED one ever outlives its cluster.
    async fn commit(&self, commit: ClusterCommit) -> Result<(), ClusterCommitError>;
}
