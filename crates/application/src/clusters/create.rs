//! Making a cluster.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Cluster, ClusterId, Code, Name};

use super::{check_outage, check_region, stop};
use crate::error::Error;
use crate::idempotency::{Answers, Stop};
use crate::ids::least_unused;
use crate::ports::{ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, WorldStore};
use crate::writing::{Reply, Writing};

/// How often a creation is tried anew because its id turned out used.
const MAX_ATTEMPTS: usize = 8;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCluster {
    /// Its name.
    pub name: Name,
    /// The code of its region.
    pub region_code: Code,
}

/// Makes a cluster.
pub struct CreateCluster {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl CreateCluster {
    /// The cluster.
    ///
    /// # Errors
    /// [`Error::UnknownRegion`], [`Error::StruckDown`] where its region is out, [`Error::NameTaken`],
    /// [`Error::TooManyClusters`], those of idempotency keys, [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, new: NewCluster, writing: Writing<Arc<Cluster>>) -> Result<Reply<Arc<Cluster>>, Error> {
        self.answers.once(&writing, Box::pin(self.create(&new, &writing))).await
    }

    async fn create(&self, new: &NewCluster, writing: &Writing<Arc<Cluster>>) -> Result<Arc<Cluster>, Stop> {
        check_region(&self.catalogue, &new.region_code)?;
        let mut k = 0;
        for _ in 0..MAX_ATTEMPTS {
            let view = self.world.read().await?;
            let id = |k| ClusterId::of(view.world.seed, &new.name, view.now, k);
            let cluster = Cluster::create(id(k), new.name.clone(), new.region_code.clone(), view.now);
            check_outage([&cluster], &view)?;
            let answer = Arc::new(cluster.clone());
            let result = if writing.dry_run {
                self.try_dry(&cluster).await
            } else {
                let keep = writing.keep(&answer, view.wall);
                self.clusters.commit(ClusterCommit { write: ClusterWrite::Create(cluster), keep }).await
            };
            match result {
                Ok(()) => return Ok(answer),
                Err(ClusterCommitError::IdUsed) => k = least_unused(|k| self.clusters.id_used(id(k))).await?,
                Err(error) => return Err(stop(error)),
            }
        }
        Err(Error::Contention.into())
    }

    /// What a commit of this creation would come to.
    async fn try_dry(&self, cluster: &Cluster) -> Result<(), ClusterCommitError> {
        if self.clusters.id_used(cluster.id).await? {
            return Err(ClusterCommitError::IdUsed);
        }
        if self.clusters.find(&cluster.name).await?.is_some() {
            return Err(ClusterCommitError::NameTaken);
        }
        if self.clusters.all().await?.len() >= Cluster::MAX_IN_WORLD {
            return Err(ClusterCommitError::TooMany);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockAnswerStore, MockClusterStore};

    async fn create(clusters: MockClusterStore, region: &str, dry_run: bool) -> Result<Arc<Cluster>, Error> {
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world());
        let create = CreateCluster {
            world: world.clone(),
            clusters: Arc::new(clusters),
            answers: Arc::new(Answers::new(world, Arc::new(MockAnswerStore::new()))),
            catalogue: Arc::default(),
        };
        let new = NewCluster { name: "web".parse().unwrap(), region_code: region.parse().unwrap() };
        match create.run(new, Writing { dry_run, ..Writing::default() }).await? {
            Reply::Fresh(cluster) => Ok(cluster),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    #[tokio::test]
    async fn a_cluster_is_made_in_a_region_of_the_catalogue() {
        let mut clusters = MockClusterStore::new();
        clusters.expect_commit().once().returning(|_| Ok(()));
        assert_eq!(create(clusters, "A", false).await.unwrap().version, 1);
        assert!(matches!(create(MockClusterStore::new(), "Z", false).await, Err(Error::UnknownRegion(_))));
    }

    #[tokio::test]
    async fn a_taken_name_and_a_full_world_are_refused() {
        let mut clusters = MockClusterStore::new();
        clusters.expect_commit().return_once(|_| Err(ClusterCommitError::NameTaken));
        assert!(matches!(create(clusters, "A", false).await, Err(Error::NameTaken)));
        let mut clusters = MockClusterStore::new();
        clusters.expect_commit().return_once(|_| Err(ClusterCommitError::TooMany));
        assert!(matches!(create(clusters, "A", false).await, Err(Error::TooManyClusters)));
    }

    #[tokio::test]
    async fn a_dry_run_writes_nothing_and_is_refused_alike() {
        for taken in [false, true] {
            let mut clusters = MockClusterStore::new();
            clusters.expect_id_used().returning(|_| Ok(false));
            clusters.expect_find().returning(move |_| Ok(taken.then(|| Arc::new(fixtures::cluster()))));
            clusters.expect_all().returning(|| Ok(vec![]));
            assert_eq!(create(clusters, "A", true).await.is_err(), taken);
        }
    }

    #[tokio::test]
    async fn a_used_id_leads_to_another() {
        let mut clusters = MockClusterStore::new();
        let mut results = [Err(ClusterCommitError::IdUsed), Ok(())].into_iter();
        clusters.expect_commit().times(2).returning(move |_| results.next().unwrap());
        clusters.expect_id_used().returning(|_| Ok(false));
        assert!(create(clusters, "A", false).await.is_ok());
    }
}
