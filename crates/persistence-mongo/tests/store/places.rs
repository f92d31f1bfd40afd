//! Places that servers give which know nothing of each other.

use std::sync::Arc;

use cloudm_application::ports::{ClusterCommit, ClusterWrite, Commit, CommitError, Store, WorldPorts};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Cluster, ClusterEdit, Preset, Rules};
use cloudm_persistence_contract::builders::{START, cluster, cluster_in, create, draft, new_world, pools, seed};
use cloudm_persistence_contract::race::{race, winners};
use cloudm_persistence_mongo::{MongoStore, Options, Time};
use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::database::Database;

async fn open(at: &Database) -> (Arc<MongoStore>, WorldPorts) {
    let (time, entropy) =
        (Time::Shared(Arc::new(ManualWall::new(1_900_000_000_000))), Arc::new(CountingEntropy::default()));
    let options = Options { uri: at.uri.clone(), database: at.name.clone(), time, entropy };
    let store = MongoStore::open(options).await.unwrap();
    let ports = store.ensure_world(new_world("default", 1)).await.unwrap();
    (store, ports)
}

async fn running(ports: &WorldPorts, region: &str) -> u64 {
    let counts = ports.machines.counts().await.unwrap();
    counts.iter().filter(|one| one.cluster.region_code.as_str() == region).map(|one| one.count).sum()
}

async fn make(ports: &WorldPorts, cluster: &Cluster) {
    let write = ClusterWrite::Create(cluster.clone());
    ports.clusters.commit(ClusterCommit { write, keep: None }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_give_no_place_twice_and_move_no_cluster_over_it() {
    let at = Database::fresh();
    let ((first, one), (second, other)) = (open(&at).await, open(&at).await);
    let rules = Rules::new(seed(), Preset::Instant.behaviour());
    for round in 0..4_u32 {
        let (from, to) = (format!("A{round}"), format!("B{round}"));
        let (web, far) = (cluster_in(&format!("web-{round}"), &from), cluster_in(&format!("far-{round}"), &to));
        make(&one, &web).await;
        make(&one, &far).await;
        one.machines.commit(create(draft(&web, "first").made(&rules))).await.unwrap();
        let sizes = pools(&[(&from, 3), (&to, 4)]);
        let edit = ClusterEdit { name: None, region_code: Some(to.parse().unwrap()) };
        let moved = web.edit(&edit, START).unwrap();
        race(12, |number| {
            let ports = if number % 2 == 0 { &one } else { &other };
            let into = if number % 3 == 0 { &web } else { &far };
            let commit = create(draft(into, &format!("m-{number}")).made(&rules));
            let commit = Commit { sizes: sizes.clone(), ..commit };
            let write = ClusterWrite::Update { expected: 1, cluster: moved.clone(), sizes: sizes.clone() };
            let moving = (number == 6).then_some(ClusterCommit { write, keep: None });
            let (machines, clusters) = (ports.machines.clone(), ports.clusters.clone());
            async move {
                match moving {
                    Some(moving) => drop(clusters.commit(moving).await),
                    None => drop(machines.commit(commit).await),
                }
            }
        })
        .await;
        let held = (running(&other, &from).await, running(&other, &to).await);
        assert!(held.0 <= 3 && held.1 <= 4, "{held:?}");
    }
    let sizes = pools(&[("A", 5)]);
    let web = cluster("web");
    make(&one, &web).await;
    let results = race(32, |number| {
        let ports = if number % 2 == 0 { &one } else { &other };
        let commit = create(draft(&web, &format!("m-{number}")).made(&rules));
        let (machines, commit) = (ports.machines.clone(), Commit { sizes: sizes.clone(), ..commit });
        async move { machines.commit(commit).await }
    })
    .await;
    assert_eq!((winners(&results), running(&one, "A").await), (5, 5));
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn counts_that_were_taken_away_are_counted_anew_for_whoever_asks_next() {
    let at = Database::fresh();
    let (store, ports) = open(&at).await;
    let (web, rules) = (cluster("web"), Rules::new(seed(), Preset::Instant.behaviour()));
    make(&ports, &web).await;
    let creation = |name: &str| Commit { sizes: pools(&[("A", 2)]), ..create(draft(&web, name).made(&rules)) };
    ports.machines.commit(creation("a")).await.unwrap();
    let client = Client::with_uri_str(&at.uri).await.unwrap();
    client.database(&at.name).collection::<Document>("counts").delete_many(doc! {}).await.unwrap();
    assert!(matches!(ports.machines.commit(creation("b")).await, Err(CommitError::Store(_))));
    ports.machines.commit(creation("b")).await.unwrap();
    assert!(matches!(ports.machines.commit(creation("c")).await, Err(CommitError::NoPlace)));
    store.close().await;
}
