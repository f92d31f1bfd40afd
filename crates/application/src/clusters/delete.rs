//! Deleting a cluster.

use std::sync::Arc;

use cloudm_domain::{ClusterId, ClusterRef, Instant, Order, Selector};

use super::{check_outage, stop};
use crate::error::Error;
use crate::ports::{
    ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, MachineQuery, MachineStore, WorldStore,
};
use crate::settler::Settler;
use crate::stripes::Stripes;
use crate::writing::Writing;

/// How often a deletion is decided anew because another change came first.
const MAX_ATTEMPTS: usize = 16;

/// Deletes a cluster that has no machines, but for TERMINATED ones, whose records go with it.
pub struct DeleteCluster {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) settler: Settler,
    pub(crate) stripes: Arc<Stripes>,
}

impl DeleteCluster {
    /// Deletes the cluster.
    ///
    /// # Errors
    /// [`Error::NoSuchCluster`], [`Error::StruckDown`] where its region is out, [`Error::ClusterNotEmpty`],
    /// [`Error::VersionMismatch`], [`Error::Settling`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, id: ClusterId, writing: Writing<()>) -> Result<(), Error> {
        let _turn = self.stripes.turn(id.as_bytes()).await;
        let mut settled = false;
        for _ in 0..MAX_ATTEMPTS {
            let cluster = self.clusters.get(id).await?.ok_or(Error::NoSuchCluster)?;
            writing.check_version(cluster.version)?;
            let view = self.world.read().await?;
            check_outage([&*cluster], &view)?;
            match self.delete((id, cluster.version), view.now, writing.dry_run).await {
                Ok(()) => return Ok(()),
                Err(ClusterCommitError::Conflict) => {}
                // Its machines may have ended by now.
                Err(ClusterCommitError::NotEmpty) if !settled => {
                    self.settler.settle_all(&self.world.read().await?).await?;
                    settled = true;
                }
                Err(error) => return Err(stop(error).into_error()),
            }
        }
        Err(Error::Contention)
    }

    async fn delete(
        &self,
        (id, expected): (ClusterId, u64),
        at: Instant,
        dry_run: bool,
    ) -> Result<(), ClusterCommitError> {
        if !dry_run {
            let write = ClusterWrite::Delete { id, expected, at };
            return self.clusters.commit(ClusterCommit { write, keep: None }).await;
        }
        let selector = Selector { clusters: vec![ClusterRef::Id(id)], ..Selector::default() };
        let query = MachineQuery { selector, order: Order::default(), after: None, made_by: None, limit: 1 };
        let page = self.machines.list(&query).await?;
        if page.machines.is_empty() { Ok(()) } else { Err(ClusterCommitError::NotEmpty) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MachinePage, MockClusterStore, MockMachineStore};
    use cloudm_domain::Preset;

    async fn delete(clusters: MockClusterStore, machines: MockMachineStore, dry_run: bool) -> Result<(), Error> {
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world());
        let machines: Arc<dyn MachineStore> = Arc::new(machines);
        let delete = DeleteCluster {
            world: world.clone(),
            clusters: Arc::new(clusters),
            machines: machines.clone(),
            settler: Settler::new(world, machines),
            stripes: Arc::new(Stripes::new()),
        };
        delete.run(fixtures::cluster().id, Writing { dry_run, ..Writing::default() }).await
    }

    fn clusters(results: Vec<Result<(), ClusterCommitError>>) -> MockClusterStore {
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        let mut results = results.into_iter();
        clusters.expect_commit().returning(move |_| results.next().unwrap());
        clusters
    }

    fn nothing_due() -> MockMachineStore {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        machines
    }

    #[tokio::test]
    async fn what_is_due_is_settled_before_a_cluster_is_called_not_empty() {
        let freed = clusters(vec![Err(ClusterCommitError::NotEmpty), Ok(())]);
        assert!(delete(freed, nothing_due(), false).await.is_ok());
        let full = clusters(vec![Err(ClusterCommitError::NotEmpty), Err(ClusterCommitError::NotEmpty)]);
        assert!(matches!(delete(full, nothing_due(), false).await, Err(Error::ClusterNotEmpty)));
    }

    #[tokio::test]
    async fn a_dry_run_looks_and_deletes_nothing() {
        for full in [false, true] {
            let mut machines = nothing_due();
            machines.expect_list().returning(move |_| {
                let machines = full.then(|| fixtures::placed(Preset::Instant, "web-1"));
                Ok(MachinePage { machines: machines.into_iter().collect(), next: None })
            });
            assert_eq!(delete(clusters(vec![]), machines, true).await.is_err(), full);
        }
    }
}
