//! Events: the history of a machine and of the world, and where one is in it.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{HOUR, START_TEXT, Site, on_every_store};

fn versions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["version"].as_u64().unwrap()).collect()
}

#[actix_web::test]
pub(crate) async fn a_machines_history_is_told_whole() {
    on_every_store(Preset::Realistic, async |site| {
        let cluster = site.cluster("web").await;
        let asked = json!({"name": "a", "cluster_name": "web", "tags": ["x"], "protection": {"terminate": true}});
        let path = site.machine_of(&asked).await;
        let id = path.rsplit('/').next().unwrap();
        site.wall.advance(HOUR);
        site.patch(&path, &json!({"name": "b", "protection": null})).await.expect(200);
        site.operate(&path, "STOP").await.expect(202);
        site.wall.advance(HOUR);
        site.operate(&path, "RESIZE&machine_type=large").await.expect(202);
        site.wall.advance(HOUR);
        let machine = site.get(&path).await.json();
        let events = site.get(&format!("{path}/events")).await.expect(200).items();
        assert_eq!(versions(&events), (1..=machine["version"].as_u64().unwrap()).collect::<Vec<_>>());
        assert!(events.iter().all(|event| event["machine_id"] == id));
        assert!(events.is_sorted_by_key(|event| event["at"].as_str().unwrap().to_owned()));
        let told: Vec<_> =
            events.iter().map(|event| event["state"].as_str().or(event["kind"].as_str()).unwrap()).collect();
        assert_eq!(
            told,
            ["PROVISIONING", "STARTING", "RUNNING", "EDITED", "STOPPING", "STOPPED", "UPDATING", "STOPPED"]
        );
        let mut created = events[0].clone();
        let due = created["due_at"].take();
        assert_eq!(due, events[1]["at"]);
        assert_eq!(
            created,
            json!({
                "id": created["id"], "machine_id": id, "version": 1, "at": START_TEXT, "kind": "CREATED",
                "state": "PROVISIONING", "cause": "CREATE", "to": "RUNNING", "due_at": null,
                "cluster_id": cluster.replace("/clusters/", ""), "name": "a", "machine_type": "small", "tags": ["x"],
                "protection": {"stop": false, "terminate": true},
            })
        );
        assert_eq!((&events[3]["name"], events[3].get("tags")), (&json!("b"), None), "what did not change is absent");
        assert_eq!(events[3]["protection"], json!({"stop": false, "terminate": false}));
        assert_eq!((&events[6]["machine_type"], &events[6]["cause"]), (&json!("large"), &json!("RESIZE")));
        assert_eq!(events[7]["at"], events[6]["due_at"]);
        assert_eq!(site.walk(&format!("{path}/events?page_size=3")).await, events);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn the_worlds_history_has_every_machines() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        let mut paths = Vec::new();
        for number in 0..5 {
            paths.push(site.machine(&format!("m{number}")).await);
            site.wall.advance(15_000);
        }
        for path in &paths {
            site.operate(path, "STOP").await;
        }
        site.wall.advance(HOUR);
        let all = site.walk("/events?page_size=4").await;
        assert_eq!(all, site.walk("/events").await);
        let mut count = 0;
        for path in &paths {
            let of_machine = site.walk(&format!("{path}/events")).await;
            let id = path.rsplit('/').next().unwrap();
            let told: Vec<_> = all.iter().filter(|event| event["machine_id"] == id).cloned().collect();
            assert_eq!(told, of_machine, "in the order of their versions");
            count += of_machine.len();
        }
        assert_eq!(all.len(), count);
        let mut positions: Vec<_> = all.iter().map(|event| event["id"].as_str().unwrap()).collect();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), count, "each has a position of its own");
    })
    .await;
}

#[actix_web::test]
async fn a_position_is_where_to_go_on() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let of_empty = site.get("/events").await.expect(200).json();
        assert_eq!(of_empty["items"], json!([]));
        let after = |position: &Value| {
            let list = format!("/events?page_size=2&after={}", position.as_str().unwrap());
            async move { site.walk(&list).await }
        };
        let a = site.machine("a").await;
        let all = site.walk("/events").await;
        assert_eq!(after(&of_empty["position"]).await, all, "the position of an empty page counts");
        let list = site.get("/machines").await.expect(200).json();
        assert_eq!(after(&list["position"]).await, Vec::<Value>::new());
        site.operate(&a, "STOP").await.expect(200);
        let b = site.machine("b").await;
        let new = after(&list["position"]).await;
        assert_eq!(versions(&new), [4, 5, 1, 2, 3], "only what came after the list");
        // Each event's own position, and that of each page, is as good.
        let all = site.walk("/events").await;
        for (number, event) in all.iter().enumerate() {
            assert_eq!(after(&event["id"]).await, all[number + 1..]);
        }
        let page = site.get("/events?page_size=3").await.json();
        assert_eq!(page["position"], page["items"][2]["id"]);
        assert_eq!(after(&page["position"]).await, all[3..]);
        // So it is in the history of one machine, also with a position that belongs to another.
        let of_b = site.walk(&format!("{b}/events")).await;
        for (position, rest) in [(&new[0]["id"], &of_b[..]), (&of_b[0]["id"], &of_b[1..]), (&of_b[2]["id"], &[])] {
            let list = format!("{b}/events?page_size=1&after={}", position.as_str().unwrap());
            assert_eq!(site.walk(&list).await, rest);
        }
    })
    .await;
}

#[actix_web::test]
async fn positions_and_events_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let position = site.get("/machines").await.json()["position"].clone();
    site.operate(&path, "STOP").await.expect(200);
    let before = site.everything().await;
    site.store.close().await;
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    assert_eq!(site.everything().await, before);
    let after = site.walk(&format!("/events?after={}", position.as_str().unwrap())).await;
    assert_eq!(versions(&after), [4, 5]);
    site.store.close().await;
}

#[actix_web::test]
async fn a_forgotten_machine_stays_in_the_worlds_history() {
    for settler in [false, true] {
        let site = Site::memory(Preset::Realistic).await;
        site.cluster("web").await;
        let path = site.machine("a").await;
        site.wall.advance(HOUR);
        let before = site.walk(&format!("{path}/events")).await;
        let due = site.delete(&path).await.expect(202).json()["transition"]["due_at"].clone();
        site.go_to(&due);
        if settler {
            site.cloud.settler.run_once().await.unwrap();
        }
        site.get(&format!("{path}/events")).await.expect_problem(404, "no_such_machine", None);
        let events = site.walk("/events").await;
        assert_eq!(events[..3], before);
        let told: Vec<_> =
            events[3..].iter().map(|event| (event["kind"].as_str().unwrap(), event["state"].as_str())).collect();
        assert_eq!(
            told,
            [("DELETE_REQUESTED", None), ("STATE_ENTERED", Some("TERMINATING")), ("STATE_ENTERED", Some("TERMINATED"))]
        );
        assert_eq!(events[5]["at"], due, "a step has its due time, however late it was written");
        assert_eq!(versions(&events), [1, 2, 3, 4, 5, 6]);
    }
}

/// What each event left its machine as: its name, tags, type and state, by what the events say.
fn left_as(events: &[Value]) -> Vec<Value> {
    let mut machines = std::collections::BTreeMap::<String, Value>::new();
    let mut told = Vec::new();
    for event in events {
        let machine = machines.entry(event["machine_id"].as_str().unwrap().to_owned()).or_insert_with(|| json!({}));
        for field in ["cluster_id", "name", "tags", "state"] {
            if !event[field].is_null() {
                machine[field] = event[field].clone();
            }
        }
        // A RESIZE gives the type that it is on its way to when it is done.
        if event["kind"] == "CREATED" || event["state"] == "UPDATING" {
            machine["next_type"] = event["machine_type"].clone();
        }
        if event["state"] != "UPDATING" {
            machine["machine_type"] = machine["next_type"].clone();
        }
        told.push(machine.clone());
    }
    told
}

#[actix_web::test]
async fn events_are_selected_by_what_they_left_their_machine_as() {
    on_every_store(Preset::Realistic, async |site| {
        let web = site.cluster("web").await;
        let db = site.post("/clusters", &json!({"name": "db", "region_code": "F"})).await.expect(201).json();
        let mut paths = Vec::new();
        for number in 0..6 {
            let cluster = ["web", "db"][number % 2];
            let tags = [json!(["x"]), json!(["x", "y"]), json!([])][number % 3].clone();
            let body = json!({"name": format!("m-{number}"), "cluster_name": cluster, "tags": tags});
            paths.push(site.machine_of(&body).await);
            site.wall.advance(60_000);
        }
        site.wall.advance(HOUR);
        site.patch(&paths[0], &json!({"name": "other", "tags": ["y"]})).await.expect(200);
        for path in &paths[1..] {
            site.operate(path, "STOP").await;
        }
        site.wall.advance(HOUR);
        site.operate(&paths[2], "RESIZE&machine_type=large").await.expect(202);
        site.delete(&paths[3]).await.expect(202);
        site.operate(&paths[5], "TERMINATE").await.expect(202);
        site.delete(&paths[1]).await.expect(202);
        site.wall.advance(HOUR);
        let gone = format!("/clusters/{}", db["id"].as_str().unwrap());
        site.get("/events").await.expect(200);
        site.delete(&gone).await.expect(204);

        let all = site.walk("/events?page_size=1000").await;
        let machines = left_as(&all);
        let web = web.replace("/clusters/", "");
        type Fits<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
        let has = |field: &'static str, value: &'static str| -> Fits<'_> { Box::new(move |one| one[field] == value) };
        let tagged = |tag: &'static str| -> Fits<'_> {
            Box::new(move |one| one["tags"].as_array().unwrap().contains(&json!(tag)))
        };
        let in_web = || -> Fits<'_> { Box::new(|one| one["cluster_id"] == web.as_str()) };
        let in_db = || -> Fits<'_> { Box::new(|one| one["cluster_id"] == db["id"]) };
        let cases: Vec<(String, Vec<Fits<'_>>)> = vec![
            ("cluster=web".into(), vec![in_web()]),
            (format!("cluster={}", db["id"].as_str().unwrap()), vec![in_db()]),
            ("region=F".into(), vec![in_db()]),
            ("name=other".into(), vec![has("name", "other")]),
            ("name=m-0".into(), vec![has("name", "m-0")]),
            ("tag=x".into(), vec![tagged("x")]),
            ("tag=x&tag=y".into(), vec![tagged("x"), tagged("y")]),
            ("state=TERMINATED".into(), vec![has("state", "TERMINATED")]),
            ("state=running&cluster=web".into(), vec![has("state", "RUNNING"), in_web()]),
            ("machine_type=large".into(), vec![has("machine_type", "large")]),
            ("cluster=nobody".into(), vec![Box::new(|_| false)]),
        ];
        for (query, fits) in cases {
            let matching = all.iter().zip(&machines).filter(|(_, machine)| fits.iter().all(|fit| fit(machine)));
            let expected: Vec<_> = matching.map(|(event, _)| event.clone()).collect();
            assert!(query == "cluster=nobody" || (!expected.is_empty() && expected.len() < all.len()), "{query}");
            for size in [1000, 3, 1] {
                assert_eq!(site.walk(&format!("/events?{query}&page_size={size}")).await, expected, "{query}");
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_position_of_a_history_that_is_no_more_is_gone() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let machine = site.machine("a").await;
        let position = site.get("/events").await.json()["position"].as_str().unwrap().to_owned();
        site.get(&format!("/events?after={position}")).await.expect(200);
        site.simulate("POST", "/worlds/default/reset", &Value::Null).await.expect(200);
        site.cluster("web").await;
        assert_eq!(site.machine("a").await.len(), machine.len());
        site.get(&format!("/events?after={position}")).await.expect_problem(410, "position_gone", None);
        let stream = [("accept", "text/event-stream"), ("last-event-id", position.as_str())];
        site.ask("GET", "/events", &stream, &Value::Null).await.expect_problem(410, "position_gone", None);
    })
    .await;
}
