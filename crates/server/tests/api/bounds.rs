//! What has a bound is refused beyond it and never answered wrongly, and time never goes back.

use actix_web::rt;
use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{HOUR, START, Site, on_every_store};

/// Sends many requests side by side, so that they share commits, and checks their status.
async fn many(site: &Site, path: &'static str, count: usize, body: fn(usize) -> Value) {
    let ask = |number| {
        let site = site.clone();
        rt::spawn(async move { site.post(path, &body(number)).await.status })
    };
    for answer in (0..count).map(ask).collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), 201);
    }
}

#[actix_web::test]
async fn a_world_has_a_thousand_clusters() {
    let site = Site::memory(Preset::Instant).await;
    many(&site, "/clusters", 1000, |number| json!({"name": format!("c{number}"), "region_code": "A"})).await;
    let before = site.everything().await;
    let one_more = json!({"name": "one-more", "region_code": "A"});
    for path in ["/clusters", "/clusters?dry_run=true"] {
        site.post(path, &one_more).await.expect_problem(409, "too_many_clusters", None);
    }
    assert_eq!(site.everything().await, before);
    let some = format!("/clusters/{}", before["clusters"][500]["id"].as_str().unwrap());
    site.delete(&some).await.expect(204);
    site.post("/clusters", &one_more).await.expect(201);
}

#[actix_web::test]
async fn a_list_that_depends_on_more_than_is_settled_at_once_says_so() {
    const MACHINES: usize = 2100;
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    many(&site, "/machines", MACHINES, |number| json!({"name": format!("m{number}"), "cluster_name": "web"})).await;
    site.wall.advance(HOUR);
    let refused = site.get("/machines?state=RUNNING&page_size=1").await;
    refused.expect_problem(503, "settling", None);
    assert_eq!(refused.header("retry-after"), Some("1"));
    // What was settled is: the next one finds the rest.
    assert_eq!(site.get("/machines?state=PROVISIONING,STARTING").await.expect(200).items(), Vec::<Value>::new());
    let settled = site.walk("/machines?page_size=1000&state=RUNNING,FAILED").await;
    assert_eq!(settled.len(), MACHINES);
}

#[actix_web::test]
async fn a_machine_to_which_too_much_happened_is_not_shown_half_way() {
    let site = Site::memory(Preset::Flaky).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let name_taken = json!({"name": "a", "cluster_name": "web"});
    site.wall.advance(3 * 365 * 24 * HOUR);
    for (method, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("GET", format!("{path}/events"), Value::Null),
        ("GET", "/machines".into(), Value::Null),
        ("POST", format!("{path}?action=STOP"), Value::Null),
        ("PATCH", path.clone(), json!({"tags": ["x"]})),
        ("DELETE", path.clone(), Value::Null),
        ("POST", "/machines".into(), name_taken),
    ] {
        let refused = site.ask(method, &path, &[], &body).await;
        refused.expect_problem(503, "settle_limit", None);
        assert_eq!(refused.header("retry-after"), Some("1"), "{method} {path}");
    }
    assert!(site.cloud.settler.run_once().await.unwrap());
    let machine = site.get(&path).await.expect(200).json();
    assert!(machine["version"].as_u64() > Some(10_000), "{machine}");
    let events = site.walk(&format!("{path}/events?page_size=1000")).await;
    assert_eq!(events.len() as u64, machine["version"].as_u64().unwrap());
}

#[actix_web::test]
async fn a_wall_that_is_set_back_turns_nothing_back() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        let path = site.machine("a").await;
        site.wall.advance(HOUR);
        let seen = site.get(&path).await.json();
        assert_eq!(seen["state"], "RUNNING");
        site.wall.set(START - 24 * HOUR);
        assert_eq!(site.get(&path).await.expect(200).json(), seen);
        let stopping = site.operate(&path, "STOP").await.expect(202).json();
        assert!(stopping["updated_at"].as_str() >= seen["updated_at"].as_str());
        let newer = site.machine("b").await;
        assert!(site.get(&newer).await.json()["created_at"].as_str() >= stopping["updated_at"].as_str());
        site.wall.set(START);
        assert_eq!(site.get(&path).await.expect(200).json(), stopping);
    })
    .await;
}
