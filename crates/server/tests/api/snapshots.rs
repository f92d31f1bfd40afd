//! Worlds written out and read in.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// Makes the flaky world `a` with machines that had some days.
async fn furnish(site: &Site) {
    site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42, "preset": "flaky"})).await.expect(201);
    let headers = [("content-type", "application/json")];
    for name in ["web", "db", "gone"] {
        let body = json!({"name": name, "region_code": "A"}).to_string();
        site.send("POST", "/worlds/a/api/v1/clusters", &headers, body.as_bytes()).await.expect(201);
    }
    for number in 0..30 {
        let cluster = ["web", "db"][number % 2];
        let body = json!({"name": format!("m-{number}"), "cluster_name": cluster, "tags": ["x"]}).to_string();
        let made = site.send("POST", "/worlds/a/api/v1/machines", &headers, body.as_bytes()).await.expect(201).json();
        let path = format!("/worlds/a/api/v1/machines/{}", made["id"].as_str().unwrap());
        advance(site, "a", "3m").await;
        match number % 5 {
            0 => drop(site.send("DELETE", &path, &[], &[]).await),
            1 => drop(site.send("POST", &format!("{path}?action=TERMINATE"), &[], &[]).await),
            _ => {}
        }
    }
    let clusters = site.send("GET", "/worlds/a/api/v1/clusters?name=gone", &[], &[]).await.json();
    let gone = format!("/worlds/a/api/v1/clusters/{}", clusters["items"][0]["id"].as_str().unwrap());
    site.send("DELETE", &gone, &[], &[]).await.expect(204);
    site.simulate("PUT", "/worlds/a/behaviour", &preset(site, "realistic").await).await.expect(200);
    advance(site, "a", "24h").await;
}

async fn preset(site: &Site, name: &str) -> Value {
    let presets = site.simulate("GET", "/presets", &Value::Null).await.expect(200).json();
    let all = presets["items"].as_array().unwrap();
    all.iter().find(|preset| preset["name"] == name).unwrap()["behaviour"].clone()
}

async fn advance(site: &Site, world: &str, by: &str) {
    site.simulate("POST", &format!("/worlds/{world}/clock/advance"), &json!({ "by": by })).await.expect(200);
}

async fn digest(site: &Site, world: &str) -> Value {
    let mut told = site.simulate("GET", &format!("/worlds/{world}/digest"), &Value::Null).await.expect(200).json();
    told["digest"].take()
}

async fn snapshot(site: &Site, world: &str) -> String {
    let answer = site.simulate("GET", &format!("/worlds/{world}/snapshot"), &Value::Null).await.expect(200);
    assert_eq!(answer.header("content-type"), Some(NDJSON.1));
    String::from_utf8(answer.body).unwrap()
}

async fn put(site: &Site, world: &str, text: &str) -> Answer {
    site.send("PUT", &format!("/sim/v1/worlds/{world}/snapshot"), &[NDJSON], text.as_bytes()).await
}

/// What comes after the record, which has the name, up to the end.
fn contents(text: &str) -> Vec<&str> {
    let lines: Vec<_> = text.lines().collect();
    lines[1..lines.len() - 1].to_vec()
}

#[actix_web::test]
pub(crate) async fn a_world_goes_from_store_to_store_and_has_the_same_future() {
    let first = Site::memory(Preset::Instant).await;
    furnish(&first).await;
    let (text, then) = (snapshot(&first, "a").await, digest(&first, "a").await);
    assert!(contents(&text).len() > 200, "{}", contents(&text).len());
    advance(&first, "a", "48h").await;
    let later = digest(&first, "a").await;
    on_every_store(Preset::Instant, async |site| {
        let made = put(site, "b", &text).await.expect(201);
        assert_eq!(made.header("location"), Some("/sim/v1/worlds/b"));
        assert_eq!((&made.json()["name"], &made.json()["seed"]), (&json!("b"), &json!(42)));
        assert_eq!(digest(site, "b").await, then);
        // And back: the same text but for the name.
        let again = snapshot(site, "b").await;
        assert_eq!(contents(&again), contents(&text));
        put(&first, "a", &again).await.expect(200);
        assert_eq!(digest(&first, "a").await, then);
        assert_eq!(snapshot(&first, "a").await, text);
        for (site, world) in [(site, "b"), (&first, "a")] {
            advance(site, world, "48h").await;
            assert_eq!(digest(site, world).await, later);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_snapshot_that_is_not_whole_leaves_the_world_as_it_was() {
    on_every_store(Preset::Instant, async |site| {
        furnish(site).await;
        let (text, then) = (snapshot(site, "a").await, digest(site, "a").await);
        advance(site, "a", "24h").await;
        let now = digest(site, "a").await;
        assert_ne!(then, now);
        let cut = text.len() / 2;
        let line_end = text[..cut].rfind('\n').unwrap() + 1;
        let altered = text.replacen("RUNNING", "STOPPED", 1);
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        let twice = format!("{text}{text}");
        let long = format!("{{\"snapshot\":\"{}\"}}\n", "x".repeat(9 << 20));
        for bad in ["", "\n", "{}", "no snapshot\n", &text[..cut], &text[..line_end], &altered, &newer, &twice, &long] {
            for world in ["a", "new"] {
                let refused = put(site, world, bad).await;
                refused.expect_problem(422, "invalid_snapshot", None);
                assert!(refused.json()["line"].as_u64().unwrap() <= text.lines().count() as u64 + 1);
            }
        }
        let json = [("content-type", "application/json")];
        let refused = site.send("PUT", "/sim/v1/worlds/a/snapshot", &json, text.as_bytes()).await;
        refused.expect_problem(415, "unsupported_media_type", None);
        put(site, "No%20Name", &text).await.expect_problem(404, "no_such_world", None);
        assert_eq!(digest(site, "a").await, now);
        site.simulate("GET", "/worlds/new", &Value::Null).await.expect_problem(404, "no_such_world", None);
        let absent = site.simulate("GET", "/worlds/new/snapshot", &Value::Null).await;
        absent.expect_problem(404, "no_such_world", None);
    })
    .await;
}

#[actix_web::test]
async fn a_world_is_put_back_where_it_was() {
    on_every_store(Preset::Instant, async |site| {
        furnish(site).await;
        let text = snapshot(site, "a").await;
        let list = "/worlds/a/api/v1/machines?page_size=100";
        let before = site.send("GET", list, &[], &[]).await.expect(200).json();
        advance(site, "a", "240h").await;
        let clock = site.simulate("GET", "/worlds/a/clock", &Value::Null).await.json();
        let put_back = put(site, "a", &text).await.expect(200).json();
        assert!(put_back["now"].as_str() < clock["now"].as_str());
        let after = site.send("GET", list, &[], &[]).await.expect(200).json();
        assert_eq!(after["items"], before["items"]);
        // The past is in it too.
        let then = site.send("GET", "/worlds/a/api/v1/machines?at=2030-01-01T00:10:00Z", &[], &[]).await.expect(200);
        assert!(then.json()["items"].as_array().unwrap().len() >= 2);
        // And the world `default` is one like the others.
        put(site, "default", &text).await.expect(200);
        assert_eq!(site.get("/machines?page_size=100").await.json()["items"], before["items"]);
    })
    .await;
}
