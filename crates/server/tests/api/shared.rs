//! Two servers over one MongoDB: what happens through one is seen at once through the other, whatever their own clocks say.

use std::sync::Arc;

use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Instant, Preset};
use cloudm_persistence_mongo::{MongoStore, Options, Time};
use serde_json::{Value, json};

use crate::site::{START, Site};

/// How far the clocks of the two hosts are apart.
const APART: u64 = 5_000;

/// A server of this fleet on a host whose clock says `wall`, and stands still.
async fn server(database: &str, wall: u64) -> Site {
    let wall = Arc::new(ManualWall::new(wall));
    let (uri, time) = (cloudm_testing_mongo::uri().unwrap(), Time::Database(wall.clone()));
    let options = Options { uri, database: database.into(), time, entropy: Arc::new(CountingEntropy::default()) };
    Site::over(MongoStore::open(options).await.unwrap(), Preset::Instant, 7, wall).await
}

fn instant(of: &Value) -> u64 {
    of.as_str().unwrap().parse::<Instant>().unwrap().millis()
}

#[actix_web::test]
async fn what_is_done_through_one_is_seen_through_the_other() {
    let database = format!("cloudm-test-shared-{}", std::process::id());
    let (one, other) = (server(&database, START).await, server(&database, START + APART).await);
    let cluster = one.cluster("web").await;
    let machine = other.machine("a").await;
    for round in 0..20 {
        let (here, there) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let renamed = here.patch(&cluster, &json!({"name": format!("web-{round}")})).await.expect(200);
        assert_eq!(there.get(&cluster).await.expect(200).json(), renamed.json());
        assert_eq!(there.get(&machine).await.json()["cluster_name"], renamed.json()["name"]);
        let acted = here.operate(&machine, if round % 2 == 0 { "STOP" } else { "START" }).await.expect(200);
        let seen = there.get(&machine).await.expect(200);
        assert_eq!((seen.json(), seen.etag()), (acted.json(), acted.etag()));
        let state = acted.json()["state"].as_str().unwrap().to_owned();
        let listed = there.get(&format!("/machines?state={state}")).await.expect(200).items();
        assert_eq!(listed, [acted.json()]);
    }
    let events = one.walk("/events").await;
    assert_eq!(events, other.walk("/events").await);
    let at: Vec<_> = events.iter().map(|event| instant(&event["at"])).collect();
    assert!(at.is_sorted(), "{at:?}");
    // Their time is the database's: neither of the hosts' clocks, which stand still far in the future.
    assert!(at.iter().all(|at| *at < START - APART), "{at:?}");
    cloudm_testing_mongo::drop_database(&cloudm_testing_mongo::uri().unwrap(), &database);
}
