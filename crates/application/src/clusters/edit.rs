//! Renaming a cluster and moving it to another region.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Cluster, ClusterEdit, ClusterId};

use super::{check_region, stop};
use crate::error::Error;
use crate::ports::{ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, WorldStore};
use crate::stripes::Stripes;
use crate::writing::Writing;

/// How often an edit is decided anew because another change came first.
const MAX_ATTEMPTS: usize = 16;

/// Renames a cluster and moves it to another region, its machines with it.
pub struct EditCluster {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) stripes: Arc<Stripes>,
}

impl EditCluster {
    /// The cluster after the change.
    ///
    /// # Errors
    /// [`Error::NoSuchCluster`], [`Error::UnknownRegion`], [`Error::NameTaken`], [`Error::VersionMismatch`],
    /// [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        id: ClusterId,
        edit: ClusterEdit,
        writing: Writing<Arc<Cluster>>,
    ) -> Result<Arc<Cluster>, Error> {
        edit.region_code.iter().try_for_each(|code| check_region(&self.catalogue, code))?;
        let _turn = self.stripes.turn(id.as_bytes()).await;
        for _ in 0..MAX_ATTEMPTS {
            let cluster = self.clusters.get(id).await?.ok_or(Error::NoSuchCluster)?;
            writing.check_version(cluster.version)?;
            let now = self.world.read().await?.now;
            let Some(edited) = cluster.edit(&edit, now) else { return Ok(cluster) };
            let answer = Arc::new(edited.clone());
            let result = if writing.dry_run {
                self.try_dry(&edited).await
            } else {
                let write = ClusterWrite::Update { expected: cluster.version, cluster: edited };
                self.clusters.commit(ClusterCommit { write, keep: None }).await
            };
            match result {
                Ok(()) => return Ok(answer),
                Err(ClusterCommitError::Conflict) => {}
                Err(error) => return Err(stop(error).into_error()),
            }
        }
        Err(Error::Contention)
    }

    /// What a commit of this edit would come to.
    async fn try_dry(&self, edited: &Cluster) -> Result<(), ClusterCommitError> {
        match self.clusters.find(&edited.name).await? {
            Some(holder) if holder.id != edited.id => Err(ClusterCommitError::NameTaken),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockClusterStore;
    use crate::writing::VersionMatch;

    async fn edit(
        clusters: MockClusterStore,
        region: &str,
        writing: Writing<Arc<Cluster>>,
    ) -> Result<Arc<Cluster>, Error> {
        let edit = EditCluster {
            world: Arc::new(fixtures::world()),
            clusters: Arc::new(clusters),
            catalogue: Arc::default(),
            stripes: Arc::new(Stripes::new()),
        };
        let change = ClusterEdit { name: None, region_code: Some(region.parse().unwrap()) };
        edit.run(fixtures::cluster().id, change, writing).await
    }

    fn clusters() -> MockClusterStore {
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        clusters
    }

    #[tokio::test]
    async fn an_edit_is_written_on_the_version_it_was_decided_on() {
        let mut clusters = clusters();
        let mut results = [Err(ClusterCommitError::Conflict), Ok(())].into_iter();
        clusters
            .expect_commit()
            .times(2)
            .withf(|commit| matches!(commit.write, ClusterWrite::Update { expected: 1, .. }))
            .returning(move |_| results.next().unwrap());
        let edited = edit(clusters, "B", Writing::default()).await.unwrap();
        assert_eq!((edited.region_code.as_str(), edited.version), ("B", 2));
    }

    #[tokio::test]
    async fn what_changes_nothing_is_not_written() {
        assert_eq!(edit(clusters(), "A", Writing::default()).await.unwrap().version, 1);
    }

    #[tokio::test]
    async fn an_unknown_region_and_another_version_are_refused() {
        assert!(matches!(edit(clusters(), "Z", Writing::default()).await, Err(Error::UnknownRegion(_))));
        let writing = Writing { if_match: Some(VersionMatch::Versions(vec![2])), ..Writing::default() };
        assert!(matches!(edit(clusters(), "B", writing).await, Err(Error::VersionMismatch { current: 1 })));
    }
}
