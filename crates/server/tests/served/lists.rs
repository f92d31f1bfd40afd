//! Lists over HTTP: every selector, every order, page by page, against a model.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::client::Client;
use crate::inside::Inside;

/// A fleet of 36 machines in three clusters of two regions.
fn fleet() -> Inside {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    for (name, region) in [("web", "A"), ("db", "B"), ("queue", "A")] {
        inside.pass("1ms");
        client.post("/clusters", &json!({"name": name, "region_code": region}));
    }
    for number in 0..36 {
        inside.pass("400ms");
        let cluster = ["web", "db", "queue"][number % 3];
        let body = json!({
            "name": format!("{}-{:02}", ["app", "api", "batch"][number % 7 % 3], (number * 17) % 36),
            "cluster_name": cluster,
            "machine_type": (["small", "large"][number % 2]),
            "start": number % 4 != 0,
            "tags": if number % 5 == 0 { json!(["x", "y"]) } else if number % 5 == 1 { json!(["x"]) } else { json!([]) },
        });
        let made = client.post("/machines", &body);
        assert_eq!(made.status, 201, "{made:?}");
        if number % 9 == 0 {
            let id = made.json()["id"].as_str().unwrap().to_owned();
            client.send("POST", &format!("/machines/{id}?action=TERMINATE"), &[], None);
        }
    }
    inside
}

/// Walks a list from page to page by its tokens.
fn walk(client: &Client, query: &str, page_size: usize) -> Vec<Value> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/machines?{query}&page_size={page_size}{token}"));
        assert_eq!(page.status, 200, "{query}: {page:?}");
        let body = page.json();
        let listed = body["items"].as_array().unwrap();
        assert!(listed.len() <= page_size);
        items.extend(listed.iter().cloned());
        let Some(next) = body["next_page_token"].as_str() else {
            assert!(!page.headers.contains_key("link"));
            return items;
        };
        assert!(page.header("link").ends_with("; rel=\"next\"") && page.header("link").contains(next));
        token = format!("&page_token={next}");
    }
}

fn text<'a>(machine: &'a Value, field: &str) -> &'a str {
    machine[field].as_str().unwrap()
}

/// A selector as a query, and the same as a predicate.
type Case = (&'static str, fn(&Value) -> bool);

const CASES: [Case; 17] = [
    ("", |m| m["state"] != "TERMINATED"),
    ("state=RUNNING", |m| m["state"] == "RUNNING"),
    ("state=RUNNING,STOPPED", |m| m["state"] != "TERMINATED"),
    ("state=STOPPED&state=TERMINATED", |m| m["state"] != "RUNNING"),
    ("cluster=web", |m| m["cluster_name"] == "web" && m["state"] != "TERMINATED"),
    ("cluster=web,db", |m| m["cluster_name"] != "queue" && m["state"] != "TERMINATED"),
    ("cluster=nowhere", |_| false),
    ("region=A", |m| m["region_code"] == "A" && m["state"] != "TERMINATED"),
    ("region=A,B", |m| m["state"] != "TERMINATED"),
    ("machine_type=large", |m| m["machine_type"] == "large" && m["state"] != "TERMINATED"),
    ("tag=x", |m| has(m, "x") && m["state"] != "TERMINATED"),
    ("tag=y&tag=x", |m| has(m, "y") && m["state"] != "TERMINATED"),
    ("tag=z", |_| false),
    ("name=app*", |m| text(m, "name").starts_with("app") && m["state"] != "TERMINATED"),
    ("name=app-17", |m| m["name"] == "app-17" && m["state"] != "TERMINATED"),
    ("name=*&tag=x&region=A&state=RUNNING", |m| has(m, "x") && m["region_code"] == "A" && m["state"] == "RUNNING"),
    ("region=A&machine_type=small&cluster=web,db&name=a*", |m| {
        m["cluster_name"] == "web"
            && m["machine_type"] == "small"
            && text(m, "name").starts_with('a')
            && m["state"] != "TERMINATED"
    }),
];

fn has(machine: &Value, tag: &str) -> bool {
    machine["tags"].as_array().unwrap().iter().any(|one| one == tag)
}

#[test]
fn every_selector_in_every_order_page_by_page() {
    let inside = fleet();
    let all = walk(&inside.client, "state=RUNNING,STOPPED,TERMINATED", 1000);
    assert_eq!(all.len(), 36);
    for (query, matches) in CASES {
        for order in ["created_at", "-created_at", "name", "-name"] {
            let mut expected: Vec<_> = all.iter().filter(|machine| matches(machine)).cloned().collect();
            let field = order.trim_start_matches('-');
            expected.sort_by(|a, b| (text(a, field), text(a, "id")).cmp(&(text(b, field), text(b, "id"))));
            if order.starts_with('-') {
                expected.reverse();
            }
            for page_size in [1, 5, 1000] {
                let found = walk(&inside.client, &format!("{query}&order_by={order}"), page_size);
                let names =
                    |machines: &[Value]| machines.iter().map(|m| text(m, "name").to_owned()).collect::<Vec<_>>();
                assert_eq!(names(&found), names(&expected), "{query} {order} {page_size}");
                assert_eq!(found, expected, "{query} {order} {page_size}");
            }
        }
    }
}

#[test]
fn a_cluster_may_be_named_by_its_id() {
    let inside = fleet();
    let web = walk(&inside.client, "cluster=web", 100);
    let id = text(&web[0], "cluster_id");
    assert_eq!(walk(&inside.client, &format!("cluster={id}"), 7), web);
}

#[test]
fn a_list_by_state_knows_what_is_due() {
    let inside = Inside::new(Preset::Realistic);
    inside.client.create_cluster();
    for number in 0..20 {
        inside.client.create_machine(&format!("web-{number}"));
    }
    let found = |state: &str| walk(&inside.client, &format!("state={state}"), 3).len();
    assert_eq!((found("PROVISIONING"), found("RUNNING")), (20, 0));
    inside.pass("20m");
    assert_eq!((found("PROVISIONING"), found("STARTING"), found("RUNNING,FAILED")), (0, 0, 20));
}

#[test]
fn a_walk_meets_what_lasts_once_while_the_fleet_changes() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    client.create_cluster();
    let lasting: Vec<_> = (0..30).map(|number| client.create_machine(&format!("lasting-{number}"))).collect();
    let passing: Vec<_> = (0..30).map(|number| client.create_machine(&format!("passing-{number}"))).collect();
    let (mut seen, mut token) = (Vec::new(), String::new());
    for turn in 0.. {
        let page = client.get(&format!("/machines?page_size=4{token}")).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|machine| text(machine, "id").to_owned()));
        if let Some(id) = passing.get(turn) {
            client.send("DELETE", &format!("/machines/{id}"), &[], None);
        }
        client.create_machine(&format!("new-{turn}"));
        client.send("POST", &format!("/machines/{}?action=STOP", lasting[turn % 30]), &[], None);
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
        assert!(turn < 1_000, "the walk has no end");
    }
    for id in lasting {
        assert_eq!(seen.iter().filter(|one| **one == id).count(), 1);
    }
}

#[test]
fn clusters_are_listed_by_region_name_and_order() {
    let inside = fleet();
    let names = |query: &str| {
        let list = inside.client.get(&format!("/clusters?{query}")).json();
        list["items"].as_array().unwrap().iter().map(|cluster| text(cluster, "name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["web", "db", "queue"]);
    assert_eq!(names("order_by=-name"), ["web", "queue", "db"]);
    assert_eq!(names("region=A&order_by=name"), ["queue", "web"]);
    assert_eq!(names("name=d*"), ["db"]);
    let first = inside.client.get("/clusters?page_size=2");
    let token = first.json()["next_page_token"].as_str().unwrap().to_owned();
    assert_eq!(first.header("link"), format!("</api/v1/clusters?page_size=2&page_token={token}>; rel=\"next\""));
    assert_eq!(names(&format!("page_size=2&page_token={token}")), ["queue"]);
}
