//! Renaming a cluster and moving it to another region.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Cluster, ClusterEdit, ClusterId, PoolSizes};

use super::{check_outage, check_region, stop};
use crate::capacity::held;
use crate::error::Error;
use crate::ports::{ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, MachineStore, WorldStore};
use crate::settler::Settler;
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
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) settler: Settler,
}

impl EditCluster {
    /// The cluster after the change.
    ///
    /// # Errors
    /// [`Error::NoSuchCluster`], [`Error::UnknownRegion`], [`Error::NameTaken`], [`Error::VersionMismatch`],
    /// [`Error::InsufficientCapacity`], [`Error::StruckDown`] where its region is out, [`Error::Settling`],
    /// [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        id: ClusterId,
        edit: ClusterEdit,
        writing: Writing<Arc<Cluster>>,
    ) -> Result<Arc<Cluster>, Error> {
        edit.region_code.iter().try_for_each(|code| check_region(&self.catalogue, code))?;
        let _turn = self.stripes.turn(id.as_bytes()).await;
        let mut waited = false;
        for _ in 0..MAX_ATTEMPTS {
            let cluster = self.clusters.get(id).await?.ok_or(Error::NoSuchCluster)?;
            writing.check_version(cluster.version)?;
            let view = self.world.read().await?;
            // Whoever was to be told where the cluster is, or as what, is told before it changes.
            self.settler.tell_all(&view).await?;
            let Some(edited) = cluster.edit(&edit, view.now) else { return Ok(cluster) };
            check_outage([&*cluster, &edited], &view)?;
            let moves = edited.region_code != cluster.region_code;
            let sizes = if moves { view.sizes() } else { None };
            let answer = Arc::new(edited.clone());
            let result = if writing.dry_run {
                self.try_dry(&edited, sizes.as_deref()).await
            } else {
                let write = ClusterWrite::Update { expected: cluster.version, cluster: edited, sizes };
                self.clusters.commit(ClusterCommit { write, keep: None }).await
            };
            match result {
                Ok(()) => return Ok(answer),
                Err(ClusterCommitError::Conflict) => {}
                Err(ClusterCommitError::NoPlace(_)) if !waited => {
                    self.settler.settle_all(&view).await?;
                    waited = true;
                }
                Err(ClusterCommitError::NoPlace(machine_type)) => {
                    let region_code = answer.region_code.clone();
                    return Err(Error::InsufficientCapacity { region_code, machine_type });
                }
                Err(error) => return Err(stop(error).into_error()),
            }
        }
        Err(Error::Contention)
    }

    /// What a commit of this edit would come to.
    async fn try_dry(&self, edited: &Cluster, sizes: Option<&PoolSizes>) -> Result<(), ClusterCommitError> {
        if self.clusters.find(&edited.name).await?.is_some_and(|holder| holder.id != edited.id) {
            return Err(ClusterCommitError::NameTaken);
        }
        let Some(sizes) = sizes else { return Ok(()) };
        let counts = self.machines.counts().await?;
        let (own, others): (Vec<_>, Vec<_>) = counts.into_iter().partition(|count| count.cluster.id == edited.id);
        let there = held(&others, sizes, &edited.region_code);
        let full = own.first().map(|count| held(&own, sizes, &count.cluster.region_code)).unwrap_or_default();
        let more = full.into_iter().map(|(code, own)| (there.get(&code).copied().unwrap_or_default(), code, own));
        let mut without =
            more.filter(|(held, code, own)| !sizes.has_room_for(&edited.region_code, code, (*held, *own)));
        without.next().map_or(Ok(()), |(_, code, _)| Err(ClusterCommitError::NoPlace(code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockClusterStore, MockMachineStore};
    use crate::writing::VersionMatch;

    async fn edit(
        clusters: MockClusterStore,
        region: &str,
        writing: Writing<Arc<Cluster>>,
    ) -> Result<Arc<Cluster>, Error> {
        edit_with(MockMachineStore::new(), clusters, region, writing).await
    }

    async fn edit_with(
        machines: MockMachineStore,
        clusters: MockClusterStore,
        region: &str,
        writing: Writing<Arc<Cluster>>,
    ) -> Result<Arc<Cluster>, Error> {
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world());
        let machines: Arc<dyn MachineStore> = Arc::new(machines);
        let edit = EditCluster {
            world: world.clone(),
            clusters: Arc::new(clusters),
            catalogue: Arc::default(),
            stripes: Arc::new(Stripes::new()),
            machines: machines.clone(),
            settler: Settler::new(world, machines),
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
    async fn a_region_without_room_is_tried_once_more_and_then_refused() {
        let mut clusters = clusters();
        clusters.expect_commit().times(2).returning(|_| Err(ClusterCommitError::NoPlace("small".parse().unwrap())));
        let mut machines = MockMachineStore::new();
        machines.expect_due().once().returning(|_, _| Ok(vec![]));
        let refused = edit_with(machines, clusters, "B", Writing::default()).await;
        assert!(matches!(refused, Err(Error::InsufficientCapacity { region_code, .. }) if region_code.as_str() == "B"));
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
