//! How many machines there are, as the database has it.

use std::sync::Arc;
use std::time::Duration;

use cloudm_application::ports::{MachineWrite, Store, WorldPorts};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Cluster, Command, Machine, MachineId, MachineState, Preset, Rules};
use cloudm_persistence_contract::builders::{START, asked, changed, cluster, draft, made, new_world, seed};
use cloudm_persistence_mongo::{MongoStore, Options, Time};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use tokio::time::timeout;

use crate::database::Database;

/// A world with a cluster, and the database below it.
struct Site {
    at: Database,
    client: Client,
    store: Arc<MongoStore>,
    ports: WorldPorts,
    web: Cluster,
    rules: Rules,
}

impl Site {
    async fn open() -> Self {
        let at = Database::fresh();
        let (time, entropy) =
            (Time::Shared(Arc::new(ManualWall::new(1_900_000_000_000))), Arc::new(CountingEntropy::default()));
        let options = Options { uri: at.uri.clone(), database: at.name.clone(), time, entropy };
        let store = MongoStore::open(options).await.unwrap();
        let ports = store.ensure_world(new_world("default", 1)).await.unwrap();
        let web = cluster("web");
        let write = cloudm_application::ports::ClusterWrite::Create(web.clone());
        ports.clusters.commit(cloudm_application::ports::ClusterCommit { write, keep: None }).await.unwrap();
        let client = Client::with_uri_str(&at.uri).await.unwrap();
        Self { at, client, store, ports, web, rules: Rules::new(seed(), Preset::Instant.behaviour()) }
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.at.name).collection(name)
    }

    fn world(&self) -> ObjectId {
        ObjectId::from_bytes(*self.ports.incarnation.as_bytes())
    }

    /// So many running machines of a group, each of three events.
    async fn make(&self, group: u8, count: u8) -> Vec<Machine> {
        let mut machines = Vec::new();
        for number in 0..count {
            let (name, id) = (format!("m-{group}-{number}"), [group, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            machines.push(draft(&self.web, &name).id(MachineId::from_bytes(id)).made(&self.rules));
        }
        let made: Vec<_> = machines.iter().cloned().map(made).collect();
        self.write(made).await;
        machines.into_iter().map(|one| one.machine).collect()
    }

    async fn stop(&self, machines: &[Machine]) {
        let stop = |one: &Machine| changed(one, asked(one, Command::Stop, START, &self.rules));
        self.write(machines.iter().map(stop).collect()).await;
    }

    async fn write(&self, writes: Vec<MachineWrite>) {
        assert!(self.ports.machines.commit_all(writes, None).await.unwrap().iter().all(Result::is_ok));
    }

    async fn count(&self, state: MachineState) -> u64 {
        let counts = self.ports.machines.counts().await.unwrap();
        counts.into_iter().filter(|one| one.state == state).map(|one| one.count).sum()
    }

    /// Up to where the counts are folded.
    async fn folded(&self) -> i64 {
        let found = self.collection("counts").find_one(doc! { "_id": self.world() }).await.unwrap();
        found.map_or(0, |found| found.get_i64("folded").unwrap())
    }

    /// Waits until they are folded up to a number.
    async fn await_folded(&self, to: i64) {
        let folded = async {
            while self.folded().await < to {
                // Whoever reads sees to it.
                self.ports.machines.counts().await.unwrap();
            }
        };
        timeout(Duration::from_secs(20), folded).await.expect("the counts are folded");
    }
}

#[tokio::test]
async fn what_came_later_is_folded_and_counted_once() {
    let site = Site::open().await;
    let machines = site.make(1, 200).await;
    assert_eq!(site.count(MachineState::Running).await, 200);
    // A new world is counted from its beginning: these are 600 events, and the cluster.
    assert_eq!(site.folded().await, 0, "there is little to fold");
    site.stop(&machines[..150]).await;
    let more = site.make(2, 200).await;
    assert_eq!((site.count(MachineState::Running).await, site.count(MachineState::Stopped).await), (250, 150));
    site.stop(&machines[150..]).await;
    site.await_folded(1_001).await;
    assert_eq!((site.count(MachineState::Running).await, site.count(MachineState::Stopped).await), (200, 200));
    site.stop(&more[..50]).await;
    assert_eq!((site.count(MachineState::Running).await, site.count(MachineState::Stopped).await), (150, 250));
    site.store.close().await;
}

#[tokio::test]
async fn a_world_without_counts_is_counted() {
    let site = Site::open().await;
    let machines = site.make(1, 10).await;
    site.collection("counts").delete_one(doc! { "_id": site.world() }).await.unwrap();
    assert_eq!(site.count(MachineState::Running).await, 10);
    site.stop(&machines[..3]).await;
    assert_eq!((site.count(MachineState::Running).await, site.count(MachineState::Stopped).await), (7, 3));
    site.store.close().await;
}

#[tokio::test]
async fn a_number_that_may_still_come_is_not_folded_over() {
    let site = Site::open().await;
    let machines = site.make(1, 200).await;
    assert_eq!(site.count(MachineState::Running).await, 200);
    // Somebody has taken a number and has not committed it.
    let take = doc! { "$inc": { "last": 1_i64 } };
    site.collection("sequences").update_one(doc! { "_id": site.world() }, take).await.unwrap();
    site.stop(&machines).await;
    site.make(2, 200).await;
    site.await_folded(1_602).await;
    // It was filled before, so it comes no more.
    let (folded, world) = (site.folded().await, site.world());
    let taken = doc! { "w": world, "seq": { "$gte": 1_i64, "$lte": folded } };
    let taken = site.collection("events").count_documents(taken).await.unwrap();
    assert_eq!(i64::try_from(taken).unwrap(), folded);
    assert_eq!((site.count(MachineState::Running).await, site.count(MachineState::Stopped).await), (200, 200));
    site.store.close().await;
}
