//! Lists of machines: every selector in every order, page by page, held against a model; settled where they depend on
//! time.

use std::cmp::Ordering;

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{HOUR, Site, on_every_store};

/// Makes machines of many kinds, and returns them as they are read one by one.
async fn fleet(site: &Site) -> Vec<Value> {
    for (name, region) in [("web", "A"), ("db", "B"), ("cache", "A")] {
        site.post("/clusters", &json!({"name": name, "region_code": region})).await.expect(201);
    }
    let actions = ["", "STOP", "SUSPEND", "TERMINATE", "", ""];
    let mut paths = Vec::new();
    for number in 0..42_usize {
        let cluster = ["web", "db", "cache"][number % 3];
        let name = ["web-", "Web", "db.", "a", "web-1"][number % 5].to_owned() + &(number % 7 * 9).to_string();
        let mut body = json!({"name": name, "cluster_name": cluster, "start": number % 9 != 0});
        body["tags"] =
            [json!([]), json!(["team:a"]), json!(["team:a", "env:test"]), json!(["env:test"])][number % 4].clone();
        body["machine_type"] = json!(["small", "large", "2xlarge"][number / 4 % 3]);
        let path = site.machine_of(&body).await;
        let action = actions[number % actions.len()];
        if !action.is_empty() && number % 9 != 0 {
            site.operate(&path, action).await.expect(200);
        }
        if number % 4 == 3 {
            site.wall.advance(1700);
        }
        paths.push(path);
    }
    let mut machines = Vec::new();
    for path in paths {
        machines.push(site.get(&path).await.expect(200).json());
    }
    machines
}

/// What a query asks for: the parameters, and whether a machine is meant.
type Asked = (&'static str, fn(&Value) -> bool);

fn is(machine: &Value, field: &str, values: &[&str]) -> bool {
    values.contains(&machine[field].as_str().unwrap())
}

fn tagged(machine: &Value, tag: &str) -> bool {
    machine["tags"].as_array().unwrap().contains(&json!(tag))
}

fn begins(machine: &Value, prefix: &str) -> bool {
    machine["name"].as_str().unwrap().starts_with(prefix)
}

const ASKED: &[Asked] = &[
    ("", |_| true),
    ("cluster=web", |m| is(m, "cluster_name", &["web"])),
    ("cluster=web,cache", |m| is(m, "cluster_name", &["web", "cache"])),
    ("cluster=web&cluster=db", |m| is(m, "cluster_name", &["web", "db"])),
    ("cluster=nowhere", |_| false),
    ("region=A", |m| is(m, "region_code", &["A"])),
    ("region=B,C", |m| is(m, "region_code", &["B", "C"])),
    ("state=RUNNING", |m| is(m, "state", &["RUNNING"])),
    ("state=stopped,SUSPENDED", |m| is(m, "state", &["STOPPED", "SUSPENDED"])),
    ("state=TERMINATED", |m| is(m, "state", &["TERMINATED"])),
    ("state=TERMINATED&state=RUNNING", |m| is(m, "state", &["TERMINATED", "RUNNING"])),
    ("state=FAILED", |_| false),
    ("machine_type=small", |m| is(m, "machine_type", &["small"])),
    ("machine_type=large&machine_type=2xlarge", |m| is(m, "machine_type", &["large", "2xlarge"])),
    ("tag=team:a", |m| tagged(m, "team:a")),
    ("tag=team:a&tag=env:test", |m| tagged(m, "team:a") && tagged(m, "env:test")),
    ("tag=team:a&tag=no", |_| false),
    ("name=web-10", |m| is(m, "name", &["web-10"])),
    ("name=web-1*", |m| begins(m, "web-1")),
    ("name=web-*", |m| begins(m, "web-")),
    ("name=W*", |m| begins(m, "W")),
    ("name=%2A", |_| true),
    ("cluster=web&state=RUNNING", |m| is(m, "cluster_name", &["web"]) && is(m, "state", &["RUNNING"])),
    ("region=A&machine_type=small&tag=env:test", |m| {
        is(m, "region_code", &["A"]) && is(m, "machine_type", &["small"]) && tagged(m, "env:test")
    }),
    ("name=web-*&state=STOPPED,RUNNING&cluster=web,db&region=A,B&machine_type=large,small&tag=team%3Aa", |m| {
        begins(m, "web-")
            && is(m, "state", &["STOPPED", "RUNNING"])
            && is(m, "cluster_name", &["web", "db"])
            && is(m, "machine_type", &["large", "small"])
            && tagged(m, "team:a")
    }),
];

/// The machines that a query means, in its order.
fn model(fleet: &[Value], query: &str, means: fn(&Value) -> bool, order: &str) -> Vec<Value> {
    let shown = |machine: &&Value| query.contains("TERMINATED") || machine["state"] != "TERMINATED";
    let mut machines: Vec<_> = fleet.iter().filter(shown).filter(|machine| means(machine)).cloned().collect();
    let key = order.trim_start_matches('-');
    let by_key = |a: &Value, b: &Value| -> Ordering {
        let text = |machine: &Value, field: &str| machine[field].as_str().unwrap().to_owned();
        (text(a, key), text(a, "id")).cmp(&(text(b, key), text(b, "id")))
    };
    machines.sort_unstable_by(by_key);
    if order.starts_with('-') {
        machines.reverse();
    }
    machines
}

#[actix_web::test]
async fn every_selector_is_followed_in_every_order_page_by_page() {
    on_every_store(Preset::Instant, async |site| {
        let fleet = fleet(site).await;
        let mut met = 0;
        for (query, means) in ASKED {
            for order in ["created_at", "-created_at", "name", "-name"] {
                let expected = model(&fleet, query, *means, order);
                met += expected.len();
                for page_size in [3, 1000] {
                    let list = format!("/machines?page_size={page_size}&order_by={order}&{query}");
                    assert_eq!(site.walk(&list).await, expected, "{list}");
                }
            }
        }
        assert!(met > 4 * 200, "the queries meet machines: {met}");
    })
    .await;
}

#[actix_web::test]
async fn a_cluster_is_selected_by_its_id_too() {
    let site = Site::memory(Preset::Instant).await;
    let fleet = fleet(&site).await;
    let id = fleet[0]["cluster_id"].as_str().unwrap();
    let by_id = site.walk(&format!("/machines?cluster={id}")).await;
    assert_eq!(by_id, site.walk("/machines?cluster=web").await);
    assert_eq!(by_id, model(&fleet, "", |m| is(m, "cluster_name", &["web"]), "created_at"));
}

#[actix_web::test]
async fn a_page_has_no_more_than_it_is_asked_for_and_a_hundred_by_itself() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    for number in 0..101 {
        site.machine(&format!("m{number}")).await;
    }
    for (query, size) in
        [("", 100), ("?page_size=1", 1), ("?page_size=100", 100), ("?page_size=101", 101), ("?page_size=1000", 101)]
    {
        let page = site.get(&format!("/machines{query}")).await;
        assert_eq!(page.items().len(), size, "{query}");
        assert_eq!(page.header("link").is_some(), size < 101, "{query}");
    }
}

#[actix_web::test]
pub(crate) async fn the_link_keeps_what_was_asked() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    for name in ["a", "b", "c"] {
        site.machine(name).await;
    }
    let page = site.get("/machines?name=%2A&page_size=1&order_by=-name").await;
    let token = page.json()["next_page_token"].as_str().unwrap().to_owned();
    let link = format!("</api/v1/machines?name=%2A&page_size=1&order_by=-name&page_token={token}>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(&*link));
    // The size is not what the token is bound to.
    let rest = site.get(&format!("/machines?name=*&page_size=2&order_by=-name&page_token={token}")).await;
    assert_eq!(rest.items().len(), 2);
}

#[actix_web::test]
async fn a_token_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    site.cluster("web").await;
    site.machine("a").await;
    let second = site.machine("b").await;
    let token = site.get("/machines?page_size=1&order_by=name").await.json()["next_page_token"].clone();
    site.store.close().await;
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    let list = format!("/machines?page_size=1&order_by=name&page_token={}", token.as_str().unwrap());
    assert_eq!(site.get(&list).await.expect(200).items(), [site.get(&second).await.json()]);
    site.store.close().await;
}

#[actix_web::test]
async fn a_list_by_state_is_settled_first() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        let mut machines = Vec::new();
        for number in 0..20 {
            machines.push(site.machine(&format!("m{number}")).await);
        }
        for _ in 0..40 {
            // Nobody has looked at a single machine before the list does.
            for state in ["PROVISIONING", "STARTING", "RUNNING"] {
                let listed = site.walk(&format!("/machines?page_size=7&state={state}")).await;
                assert!(listed.iter().all(|machine| machine["state"] == state));
                let mut expected = Vec::new();
                for path in &machines {
                    let machine = site.get(path).await.json();
                    expected.extend(Some(machine).filter(|machine| machine["state"] == state));
                }
                expected.sort_unstable_by_key(|machine| machine["id"].as_str().unwrap().to_owned());
                assert_eq!(listed, expected, "{state}");
            }
            site.wall.advance(2000);
        }
        let running = site.walk("/machines?state=RUNNING").await;
        assert!(running.len() > 10, "most are up: {}", running.len());
    })
    .await;
}

#[actix_web::test]
async fn a_list_shows_each_machine_as_it_is_read_alone() {
    let site = Site::memory(Preset::Flaky).await;
    site.cluster("web").await;
    let mut paths = Vec::new();
    for number in 0..20 {
        paths.push(site.machine(&format!("m{number}")).await);
    }
    for step in [7_000, 20_000, HOUR, 24 * HOUR, 30 * 24 * HOUR] {
        site.wall.advance(step);
        for machine in site.walk("/machines?order_by=name").await {
            assert_eq!(site.get(&format!("/machines/{}", machine["id"].as_str().unwrap())).await.json(), machine);
        }
    }
}

#[actix_web::test]
async fn a_walk_meets_each_machine_once_while_the_fleet_changes() {
    for order in ["created_at", "-created_at", "name", "-name"] {
        let site = Site::memory(Preset::Instant).await;
        site.cluster("web").await;
        let mut paths = Vec::new();
        for number in 0..30 {
            paths.push(site.machine(&format!("m{:02}", number * 7 % 30)).await);
            site.wall.advance(500);
        }
        let mut met = Vec::new();
        let mut list = format!("/machines?page_size=4&order_by={order}");
        for round in 0.. {
            let page = site.get(&list).await.expect(200);
            met.extend(page.items().iter().map(|machine| format!("/machines/{}", machine["id"].as_str().unwrap())));
            let Some(token) = page.json()["next_page_token"].as_str().map(str::to_owned) else { break };
            list = format!("/machines?page_size=4&order_by={order}&page_token={token}");
            // Some end, some change, some are new.
            site.delete(&paths[round * 3 % 30]).await;
            site.operate(&paths[(round * 3 + 1) % 30], "STOP").await;
            site.patch(&paths[(round * 3 + 2) % 30], &json!({"tags": ["met"]})).await;
            site.machine(&format!("new{round}")).await;
        }
        let all = met.len();
        met.sort_unstable();
        met.dedup();
        assert_eq!(met.len(), all, "none twice, by {order}");
        for path in &paths {
            let exists = site.get(path).await.status == 200;
            assert!(!exists || met.contains(path), "{path} was missed, by {order}");
        }
    }
}
