//! Deleting a cluster whose machines were told to go.

use cloudm_domain::{ClusterId, FleetOutcome, Order, Selector};

use super::Fleet;
use crate::error::Error;
use crate::ports::{ClusterCommit, ClusterCommitError, ClusterWrite, FleetOperation, MachineQuery, StoreError};

/// The machines that were made last, of which one may have been made since the others were told to go.
const LATEST: usize = 100;

impl Fleet {
    /// Deletes the cluster if all its machines are TERMINATED; ends where machines were made in it since.
    pub(super) async fn empty(
        &self,
        cluster: ClusterId,
        operation: FleetOperation,
    ) -> Result<Option<FleetOperation>, Error> {
        let view = self.commands.world.read().await?;
        self.settler.settle_through(&view).await?;
        let Some(found) = self.clusters.get(cluster).await? else { return self.end(operation, None).await };
        let write = ClusterWrite::Delete { id: cluster, expected: found.version, at: view.now };
        match self.clusters.commit(ClusterCommit { write, keep: None }).await {
            Ok(()) => self.end(operation, None).await,
            Err(ClusterCommitError::NotEmpty) if self.is_used(cluster).await? => {
                self.end(operation, Some(FleetOutcome::ClusterNotEmpty)).await
            }
            Err(ClusterCommitError::NotEmpty | ClusterCommitError::Conflict) => Ok(Some(operation)),
            Err(ClusterCommitError::Store(error)) => Err(error.into()),
            Err(error) => Err(StoreError::Failed(error.to_string()).into()),
        }
    }

    /// Whether machines were made in the cluster that nobody told to go.
    async fn is_used(&self, cluster: ClusterId) -> Result<bool, Error> {
        let order = Order { descending: true, ..Order::default() };
        let selector = Selector::of_cluster(cluster);
        let query = MachineQuery { selector, order, after: None, made_by: None, limit: LATEST };
        let page = self.commands.machines.list(&query).await?;
        Ok(page.machines.iter().any(|placed| !placed.machine.deleted))
    }

    /// Looks whether clusters that are to be deleted are empty by now.
    pub(crate) async fn look_at_clusters(&self) -> Result<(), Error> {
        for operation in self.operations.unended().await? {
            if operation.cursor == crate::ports::Cursor::Emptying {
                self.work_off(operation).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::operations::walk::Ahead;
    use crate::ports::{
        Cursor, FleetWork, MachinePage, MockClusterStore, MockMachineStore, MockOperationStore, PlacedMachine,
    };
    use cloudm_domain::{FleetState, Machine, Preset};
    use std::sync::Arc;

    fn emptying() -> FleetOperation {
        let work = FleetWork::DeleteCluster(fixtures::cluster().id);
        FleetOperation { cursor: Cursor::Emptying, ..fixtures::operation(work) }
    }

    /// Looks at a cluster with such a machine; tells the state of the operation then.
    async fn look(machine: Option<Machine>) -> (FleetState, Option<FleetOutcome>) {
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        let empty = machine.is_none();
        let commit = move |_| if empty { Ok(()) } else { Err(ClusterCommitError::NotEmpty) };
        clusters.expect_commit().once().returning(commit);
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let placed = machine.map(|machine| PlacedMachine { machine, cluster: Arc::new(fixtures::cluster()) });
        let page = move || MachinePage { machines: placed.clone().into_iter().collect(), next: None };
        machines.expect_list().returning(move |_| Ok(page()));
        let mut operations = MockOperationStore::new();
        operations.expect_end().returning(|_, ending| {
            let mut ended = emptying();
            ended.end(&ending);
            Ok(Some((ended, true)))
        });
        let fleet = fixtures::fleet(fixtures::world_of(Preset::Realistic, "10m"), machines, clusters, operations);
        let Some(operation) = fleet.step(emptying(), 100, &mut Ahead::default()).await.unwrap() else {
            panic!("it is ours")
        };
        (operation.state, operation.reason)
    }

    #[tokio::test]
    async fn a_cluster_goes_once_it_is_empty_and_stays_where_it_is_used_again() {
        assert_eq!(look(None).await, (FleetState::Succeeded, None));
        let running = fixtures::created(Preset::Realistic, "web-1").machine;
        let going = fixtures::view(Preset::Realistic, "10m");
        let going = running.clone().delete(going.now, &going.world.rules).unwrap().machine;
        assert_eq!(look(Some(going)).await, (FleetState::Running, None), "time has to pass");
        let used = (FleetState::Partial, Some(FleetOutcome::ClusterNotEmpty));
        assert_eq!(look(Some(running)).await, used);
    }
}
