//! Counting machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_domain::{Cluster, ClusterId, Code, Instant, MachineState};

use crate::error::Error;
use crate::ports::{MachineCount, MachineStore, WorldStore};
use crate::settler::Settler;

/// How many machines there are.
///
/// All but the counts by state leave out TERMINATED machines, as lists do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The virtual time at which it is so.
    pub as_of: Instant,
    /// All of them.
    pub machines: u64,
    /// Those in each state that any is in, TERMINATED too.
    pub states: BTreeMap<MachineState, u64>,
    /// Those in each region that has any.
    pub regions: BTreeMap<Code, u64>,
    /// Those in each cluster that has any, in the order of cluster ids.
    pub clusters: Vec<(Arc<Cluster>, u64)>,
    /// Those of each machine type that any is of.
    pub machine_types: BTreeMap<Code, u64>,
}

impl Stats {
    fn of(as_of: Instant, counts: Vec<MachineCount>) -> Self {
        let mut stats = Self {
            as_of,
            machines: 0,
            states: BTreeMap::new(),
            regions: BTreeMap::new(),
            clusters: Vec::new(),
            machine_types: BTreeMap::new(),
        };
        let mut clusters: BTreeMap<ClusterId, (Arc<Cluster>, u64)> = BTreeMap::new();
        for MachineCount { cluster, machine_type, state, count } in counts {
            *stats.states.entry(state).or_default() += count;
            if state == MachineState::Terminated {
                continue;
            }
            stats.machines += count;
            *stats.regions.entry(cluster.region_code.clone()).or_default() += count;
            *stats.machine_types.entry(machine_type).or_default() += count;
            clusters.entry(cluster.id).or_insert((cluster, 0)).1 += count;
        }
        stats.clusters = clusters.into_values().collect();
        stats
    }
}

/// Counts machines.
pub struct GetStats {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) settler: Settler,
}

impl GetStats {
    /// How many machines there are now. What was due before is settled. The cost does not grow with the fleet.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self) -> Result<Stats, Error> {
        let view = self.world.read().await?;
        self.settler.settle_all(&view).await?;
        Ok(Stats::of(view.now, self.machines.counts().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockMachineStore;
    use cloudm_domain::Preset;

    #[tokio::test]
    async fn what_is_due_is_settled_and_then_counted() {
        let mut machines = MockMachineStore::new();
        let mut order = mockall::Sequence::new();
        machines.expect_due().once().in_sequence(&mut order).returning(|_, _| Ok(vec![]));
        machines.expect_counts().once().in_sequence(&mut order).returning(|| {
            let count = |state, machine_type: &str, count| MachineCount {
                cluster: Arc::new(fixtures::cluster()),
                machine_type: machine_type.parse().unwrap(),
                state,
                count,
            };
            use MachineState::{Running, Stopped, Terminated};
            Ok(vec![count(Running, "small", 2), count(Stopped, "large", 3), count(Terminated, "small", 5)])
        });
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world_of(Preset::Realistic, "10m"));
        let machines: Arc<dyn MachineStore> = Arc::new(machines);
        let settler = Settler::new(world.clone(), machines.clone());
        let stats = GetStats { world, machines, settler }.run().await.unwrap();
        assert_eq!(stats.machines, 5);
        assert_eq!(stats.states[&MachineState::Terminated], 5);
        assert_eq!(stats.regions.into_values().sum::<u64>(), 5);
        assert_eq!(stats.clusters.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [5]);
        assert_eq!(stats.machine_types.into_values().collect::<Vec<_>>(), [3, 2]);
    }
}
