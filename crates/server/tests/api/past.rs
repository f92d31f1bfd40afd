//! Machines as they were.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

const MACHINES: &str = "/worlds/a/api/v1/machines";

/// Makes the world `a`, whose clock stands still at the beginning of 2030, with a cluster.
async fn world(site: &Site) {
    let new = json!({"name": "a", "seed": 42, "preset": "realistic"});
    site.simulate("POST", "/worlds", &new).await.expect(201);
    post(site, "/worlds/a/api/v1/clusters", &json!({"name": "web", "region_code": "A"})).await;
}

async fn post(site: &Site, path: &str, body: &Value) -> Value {
    site.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
        .await
        .expect(201)
        .json()
}

async fn machine(site: &Site, name: &str) -> String {
    let made = post(site, MACHINES, &json!({"name": name, "cluster_name": "web"})).await;
    made["id"].as_str().unwrap().to_owned()
}

async fn advance(site: &Site, by: &str) -> String {
    let moved = site.simulate("POST", "/worlds/a/clock/advance", &json!({ "by": by })).await.expect(200).json();
    moved["clock"]["now"].as_str().unwrap().to_owned()
}

async fn get(site: &Site, path: &str) -> Answer {
    site.send("GET", &format!("{MACHINES}{path}"), &[], &[]).await
}

/// Each name and state of a list, over as many pages as it takes.
async fn walk(site: &Site, query: &str) -> Vec<(String, String)> {
    let (mut met, mut token) = (Vec::new(), String::new());
    loop {
        let page = get(site, &format!("?{query}{token}")).await.expect(200).json();
        assert_eq!(page["position"], Value::Null);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        met.extend(page["items"].as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["state"]))));
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => return met,
        }
    }
}

#[actix_web::test]
async fn a_machine_is_seen_as_it_was_also_when_it_is_no_more() {
    on_every_store(Preset::Instant, async |site| {
        world(site).await;
        let id = machine(site, "one").await;
        let mut seen = vec![(String::from("2030-01-01T00:00:00.000Z"), get(site, &format!("/{id}")).await.json())];
        for by in ["20s", "3m", "1h"] {
            let now = advance(site, by).await;
            seen.push((now, get(site, &format!("/{id}")).await.expect(200).json()));
        }
        let rename = json!({"name": "other", "tags": ["x"]}).to_string();
        let headers = [("content-type", "application/json")];
        site.send("PATCH", &format!("{MACHINES}/{id}"), &headers, rename.as_bytes()).await.expect(200);
        // What is shown for this instant has the change.
        seen.last_mut().unwrap().1 = get(site, &format!("/{id}")).await.json();
        for action in ["STOP", "RESIZE&machine_type=large"] {
            let now = advance(site, "1h").await;
            site.send("POST", &format!("{MACHINES}/{id}?action={action}"), &[], &[]).await.expect(202);
            seen.push((now, get(site, &format!("/{id}")).await.json()));
        }
        let end = advance(site, "1h").await;
        site.send("DELETE", &format!("{MACHINES}/{id}"), &[], &[]).await.expect(202);
        let gone = advance(site, "1h").await;
        get(site, &format!("/{id}")).await.expect_problem(404, "no_such_machine", None);
        let cluster = get(site, &format!("/{id}?at={end}")).await.expect(200).json()["cluster_id"].clone();
        let cluster = format!("/worlds/a/api/v1/clusters/{}", cluster.as_str().unwrap());
        site.send("DELETE", &cluster, &[], &[]).await.expect(204);
        advance(site, "1h").await;
        let states: Vec<_> = seen.iter().map(|(_, machine)| machine["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["PROVISIONING", "STARTING", "RUNNING", "RUNNING", "STOPPING", "UPDATING"]);
        for (at, machine) in seen {
            assert_eq!(get(site, &format!("/{id}?at={at}")).await.expect(200).json(), machine, "{at}");
        }
        get(site, &format!("/{id}?at={gone}")).await.expect_problem(404, "no_such_machine", None);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_list_shows_the_fleet_as_it_was() {
    on_every_store(Preset::Instant, async |site| {
        world(site).await;
        let start = "2030-01-01T00:00:00Z";
        let (first, _) = (machine(site, "first").await, machine(site, "second").await);
        let later = advance(site, "10m").await;
        machine(site, "third").await;
        site.send("DELETE", &format!("{MACHINES}/{first}"), &[], &[]).await.expect(202);
        let last = advance(site, "10m").await;
        let then = |names: &[(&str, &str)]| names.iter().map(|(n, s)| ((*n).into(), (*s).into())).collect::<Vec<_>>();
        for size in ["", "&page_size=1"] {
            let mut at_first = walk(site, &format!("at={start}{size}")).await;
            at_first.sort();
            assert_eq!(at_first, then(&[("first", "PROVISIONING"), ("second", "PROVISIONING")]));
            let ended = walk(site, &format!("at={later}&state=TERMINATING{size}")).await;
            assert_eq!(ended, then(&[("first", "TERMINATING")]));
            let down = walk(site, &format!("at={last}&order_by=-created_at&cluster=web{size}")).await;
            assert_eq!(down, then(&[("third", "RUNNING"), ("second", "RUNNING")]));
            assert_eq!(walk(site, &format!("at={last}&name=fir*{size}")).await, []);
            assert_eq!(walk(site, &format!("at={later}&name=fir*{size}")).await.len(), 1);
        }
        let page = get(site, &format!("?at={start}&page_size=1")).await.expect(200);
        let token = page.json()["next_page_token"].as_str().unwrap().to_owned();
        for other in [format!("at={later}"), format!("at={start}&order_by=-created_at"), String::new()] {
            let other = get(site, &format!("?{other}&page_token={token}")).await;
            other.expect_problem(400, "invalid_page_token", None);
        }
    })
    .await;
}

#[actix_web::test]
async fn only_what_is_past_can_be_seen() {
    on_every_store(Preset::Instant, async |site| {
        world(site).await;
        let id = machine(site, "one").await;
        for path in [format!("/{id}"), String::new()] {
            let future = get(site, &format!("{path}?at=2030-01-01T00:00:00.001Z")).await;
            future.expect_problem(422, "in_the_future", None);
            assert_eq!(future.json()["now"], json!("2030-01-01T00:00:00.000Z"));
            let before = get(site, &format!("{path}?at=2029-12-31T23:59:59.999Z")).await;
            before.expect_problem(422, "before_history", None);
            assert_eq!(before.json()["start"], json!("2030-01-01T00:00:00.000Z"));
            get(site, &format!("{path}?at=2030-01-01T00:00:00%2B00:00")).await.expect(200);
            for bad in ["", "now", "2030-01-01", "1893456000"] {
                let refused = get(site, &format!("{path}?at={bad}")).await;
                refused.expect_problem(400, "invalid_parameter", Some("at"));
            }
        }
        let by_name = get(site, "?at=2030-01-01T00:00:00Z&order_by=name").await;
        by_name.expect_problem(400, "invalid_parameter", Some("order_by"));
    })
    .await;
}
