//! Waiting for a machine to come to a state.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

/// Makes the world `a`, whose clock stands still, with a machine in it, whose path it returns.
async fn machine(site: &Site) -> String {
    let new = json!({"name": "a", "seed": 42, "preset": "realistic"});
    site.simulate("POST", "/worlds", &new).await.expect(201);
    let headers = [("content-type", "application/json")];
    let web = json!({"name": "web", "region_code": "A"}).to_string();
    site.send("POST", "/worlds/a/api/v1/clusters", &headers, web.as_bytes()).await.expect(201);
    let machine = json!({"name": "m", "cluster_name": "web"}).to_string();
    let made = site.send("POST", "/worlds/a/api/v1/machines", &headers, machine.as_bytes()).await.expect(201).json();
    format!("/worlds/a/api/v1/machines/{}", made["id"].as_str().unwrap())
}

async fn wait(site: Site, machine: String, query: &'static str) -> Answer {
    site.send("GET", &format!("{machine}/wait?{query}"), &[], &[]).await
}

async fn advance(site: &Site, by: &str) {
    site.simulate("POST", "/worlds/a/clock/advance", &json!({ "by": by })).await.expect(200);
}

#[actix_web::test]
pub(crate) async fn who_waits_is_woken_when_the_machine_is_there() {
    on_every_store(Preset::Instant, async |site| {
        let machine = machine(site).await;
        let waits: Vec<_> = ["state=RUNNING&timeout=60s", "state=FAILED,STARTING&timeout=60s"]
            .map(|query| actix_web::rt::spawn(wait(site.clone(), machine.clone(), query)))
            .into_iter()
            .collect();
        advance(site, "15s").await;
        let mut waits = waits.into_iter();
        let (running, starting) = (waits.next().unwrap(), waits.next().unwrap());
        assert_eq!(starting.await.unwrap().expect(200).json()["state"], json!("STARTING"));
        assert!(!running.is_finished());
        advance(site, "2m").await;
        let there = running.await.unwrap().expect(200);
        let read = site.send("GET", &machine, &[], &[]).await.expect(200);
        assert_eq!((there.json(), there.etag()), (read.json(), read.etag()));
        // Who asks for what is so already does not wait.
        wait(site.clone(), machine.clone(), "state=RUNNING&timeout=0s").await.expect(200);
    })
    .await;
}

#[actix_web::test]
async fn a_wait_in_vain_ends() {
    on_every_store(Preset::Instant, async |site| {
        let machine = machine(site).await;
        let late = wait(site.clone(), machine.clone(), "state=STOPPED&timeout=20ms").await;
        late.expect_problem(409, "wait_timeout", None);
        assert_eq!(late.json()["state"], json!("PROVISIONING"));
        let waiting = actix_web::rt::spawn(wait(site.clone(), machine.clone(), "state=RUNNING&timeout=60s"));
        site.send("DELETE", &machine, &[], &[]).await.expect(202);
        advance(site, "1h").await;
        let ended = waiting.await.unwrap();
        assert!(["unreachable", "no_such_machine"].contains(&ended.json()["code"].as_str().unwrap()), "{ended}");
        wait(site.clone(), machine, "state=RUNNING").await.expect_problem(404, "no_such_machine", None);
    })
    .await;
}

#[actix_web::test]
async fn who_waits_in_a_world_whose_clock_runs_is_woken_by_it() {
    let site = Site::memory(Preset::Instant).await;
    let machine = machine(&site).await;
    site.simulate("PATCH", "/worlds/a/clock", &json!({"rate": 1_000_000})).await.expect(200);
    let waiting = actix_web::rt::spawn(wait(site.clone(), machine, "state=RUNNING&timeout=60s"));
    // No event tells of it: nothing settles here but who looks.
    site.wall.advance(2);
    assert_eq!(waiting.await.unwrap().expect(200).json()["state"], json!("RUNNING"));
    assert_eq!(site.simulate("GET", "/worlds/a/clock", &Value::Null).await.expect(200).json()["rate"], json!(1e6));
}
