//! A store, a world in it and what a scenario does there.

use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommit, ClusterCommitError, ClusterWrite, Commit, CommitError, NewWorld, Store, WorldPorts,
};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Cluster, Instant, Machine, MachineEvent, Outcome, Preset, Rules, WallMillis, WorldName};

use crate::{Fixture, builders};

/// A fresh store with one world, whose clock stands still, and the clocks and rules that go with it.
pub struct Scene<'f> {
    fixture: &'f dyn Fixture,
    entropy: Arc<CountingEntropy>,
    /// The host's time.
    pub wall: Arc<ManualWall>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The world `default`.
    pub ports: WorldPorts,
    /// Rules by which nothing takes time.
    pub rules: Rules,
    /// Rules by which every change takes a minute.
    pub slow: Rules,
}

impl<'f> Scene<'f> {
    /// What the wall says in the beginning.
    pub const WALL: WallMillis = 1_900_000_000_000;

    /// Opens a store and makes the world.
    pub async fn open(fixture: &'f dyn Fixture) -> Self {
        Self::open_with(fixture, builders::new_world("default", 1)).await
    }

    /// Opens a store and makes this world.
    pub async fn open_with(fixture: &'f dyn Fixture, new: NewWorld) -> Self {
        let wall = Arc::new(ManualWall::new(Self::WALL));
        let entropy = Arc::new(CountingEntropy::default());
        let store = fixture.open(wall.clone(), entropy.clone()).await;
        let ports = store.ensure_world(new).await.unwrap();
        let rules = Rules::new(builders::seed(), Preset::Instant.behaviour());
        let slow = Rules::new(builders::seed(), builders::slow());
        Self { fixture, entropy, wall, store, ports, rules, slow }
    }

    /// Closes the store and opens it again, as after a restart.
    #[must_use]
    pub async fn reopen(self) -> Self {
        let Self { fixture, entropy, wall, store, ports, rules, slow } = self;
        store.close().await;
        drop((store, ports));
        // Entropy goes on, so that a store that makes a key anew makes another one.
        let store = fixture.open(wall.clone(), entropy.clone()).await;
        let ports = store.open_world(&WorldName::default_world()).await.unwrap().unwrap();
        Self { fixture, entropy, wall, store, ports, rules, slow }
    }

    /// Makes a cluster of this name in region A.
    pub async fn cluster(&self, name: &str) -> Cluster {
        let cluster = builders::cluster(name);
        self.make(cluster.clone()).await;
        cluster
    }

    /// Makes a cluster of this name in a region.
    pub async fn make_in(&self, name: &str, region: &str) -> Cluster {
        let cluster = builders::cluster_in(name, region);
        self.make(cluster.clone()).await;
        cluster
    }

    /// Makes this cluster.
    pub async fn make(&self, cluster: Cluster) {
        self.write(ClusterWrite::Create(cluster)).await.unwrap();
    }

    /// Writes a cluster without keeping an answer.
    pub async fn write(&self, write: ClusterWrite) -> Result<(), ClusterCommitError> {
        self.ports.clusters.commit(ClusterCommit { write, keep: None }).await
    }

    /// Makes a machine of this name, RUNNING.
    pub async fn machine(&self, cluster: &Cluster, name: &str) -> Machine {
        self.create(builders::draft(cluster, name).made(&self.rules)).await
    }

    /// Makes the machine that came of a creation.
    pub async fn create(&self, made: Outcome) -> Machine {
        let machine = made.machine.clone();
        self.commit(builders::create(made)).await.unwrap();
        machine
    }

    /// Writes what came of a command to `before`.
    pub async fn update(&self, before: &Machine, after: Outcome) -> Machine {
        let machine = after.machine.clone();
        self.commit(builders::update(before, after)).await.unwrap();
        machine
    }

    /// The machine that holds a name.
    pub async fn holder(&self, cluster: &Cluster, name: &str) -> Option<Machine> {
        self.ports.machines.holder(cluster.id, &name.parse().unwrap()).await.unwrap()
    }

    /// Lets a machine come to its end, at once.
    pub async fn terminate(&self, machine: Machine) -> Machine {
        let after = builders::terminated(&machine, &self.rules);
        self.update(&machine, after).await
    }

    /// Forgets a machine.
    pub async fn remove(&self, machine: &Machine) {
        self.commit(builders::remove(machine, Vec::new())).await.unwrap();
    }

    /// Commits.
    pub async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.ports.machines.commit(commit).await
    }

    /// The whole history.
    pub async fn history(&self) -> Vec<MachineEvent> {
        let query = builders::events(None, None, 10_000);
        let page = self.ports.events.page(&query).await.unwrap();
        assert!(!page.more, "a scenario has fewer events");
        page.events.into_iter().map(|one| one.event).collect()
    }

    /// What the world's clock says.
    pub async fn now(&self) -> Instant {
        self.ports.world.read().await.unwrap().now
    }
}
