//! Reading one cluster.

use std::sync::Arc;

use cloudm_domain::{Cluster, ClusterId};

use crate::error::Error;
use crate::ports::ClusterStore;

/// Reads one cluster.
pub struct GetCluster {
    pub(crate) clusters: Arc<dyn ClusterStore>,
}

impl GetCluster {
    /// The cluster with this id.
    ///
    /// # Errors
    /// [`Error::NoSuchCluster`], [`Error::Store`].
    pub async fn run(&self, id: ClusterId) -> Result<Arc<Cluster>, Error> {
        self.clusters.get(id).await?.ok_or(Error::NoSuchCluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockClusterStore;

    #[tokio::test]
    async fn a_cluster_is_read_by_its_id() {
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|id| Ok((id == fixtures::cluster().id).then(|| Arc::new(fixtures::cluster()))));
        let get = GetCluster { clusters: Arc::new(clusters) };
        assert_eq!(*get.run(fixtures::cluster().id).await.unwrap(), fixtures::cluster());
        assert!(matches!(get.run(ClusterId::from_bytes([0; 12])).await, Err(Error::NoSuchCluster)));
    }
}
