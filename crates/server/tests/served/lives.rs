//! Worlds that are reset and deleted while clients are at them: each request sees the old world, the new one, or none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::support::{Place, STORES, Server};

const LIVES: u64 = 100;
const CLIENTS: usize = 8;

/// Asks until the store answers, which under load it may not do in time; a `key` sees to it that what is asked has one effect.
fn send(client: &Client, method: &str, path: &str, body: &Value, key: Option<&str>) -> Answer {
    let json = (!body.is_null()).then_some(("content-type", "application/json"));
    let headers: Vec<_> = json.into_iter().chain(key.map(|key| ("idempotency-key", key))).collect();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut answers = (0..100).map(|_| client.raw(method, path, &headers, &body).unwrap());
    answers.find(|answer| answer.status != 503).unwrap()
}

/// Lets one life of the world end and the next one begin, with a cluster that has its number as its name.
fn begin(client: &Client, number: u64) {
    let ask =
        |method, path, body: &Value, what| send(client, method, path, body, Some(&format!("{what}-{number}"))).status;
    if number.is_multiple_of(2) {
        assert_eq!(ask("POST", "/sim/v1/worlds/a/reset", &Value::Null, "reset"), 200);
    } else {
        // Asked again, it may be gone already.
        assert!([204, 404].contains(&ask("DELETE", "/sim/v1/worlds/a", &Value::Null, "delete")));
        assert_eq!(ask("POST", "/sim/v1/worlds", &json!({"name": "a"}), "create"), 201);
    }
    let cluster = json!({"name": format!("life-{number}"), "region_code": "A"});
    assert_eq!(ask("POST", "/worlds/a/api/v1/clusters", &cluster, "cluster"), 201);
}

/// Reads the world and writes to it until all lives are over; says how often it saw one, and how often none.
fn live(client: &Client, number: usize, over: &AtomicBool) -> (u32, u32) {
    let (mut last, mut seen, mut none) = (0, 0, 0);
    while !over.load(Ordering::Relaxed) {
        let list = send(client, "GET", "/worlds/a/api/v1/clusters?name=life-*", &Value::Null, None);
        match list.status {
            200 => {
                let lives: Vec<u64> = list.json()["items"].as_array().unwrap().iter().map(life_of).collect();
                assert!(lives.len() <= 1, "two lives at once: {lives:?}");
                if let Some(life) = lives.first() {
                    assert!(*life >= last, "life {life} after life {last}");
                    (last, seen) = (*life, seen + 1);
                }
            }
            404 => none += 1,
            _ => panic!("{list:?}"),
        }
        if list.status == 404 {
            assert_eq!(list.json()["code"], "no_such_world");
        }
        let cluster = json!({"name": format!("mine-{number}"), "region_code": "B"});
        let made = send(client, "POST", "/worlds/a/api/v1/clusters", &cluster, None);
        assert!([201, 404, 409].contains(&made.status), "{made:?}");
    }
    (seen, none)
}

fn life_of(cluster: &Value) -> u64 {
    cluster["name"].as_str().unwrap().strip_prefix("life-").unwrap().parse().unwrap()
}

fn try_lives(servers: &[Server]) {
    let client = servers[0].client();
    assert_eq!(send(&client, "POST", "/sim/v1/worlds", &json!({"name": "a"}), None).status, 201);
    let over = &AtomicBool::new(false);
    let counts = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = servers[number % servers.len()].client();
                scope.spawn(move || live(&client, number, over))
            })
            .collect();
        let lives = scope.spawn(|| (1..=LIVES).for_each(|number| begin(&client, number)));
        let ended = lives.join();
        over.store(true, Ordering::Relaxed);
        ended.unwrap();
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(counts.iter().all(|(seen, _)| *seen > 0), "{counts:?}");
    // What the last life was made with, and what clients made in it, and nothing else.
    let left = send(&client, "GET", "/worlds/a/api/v1/clusters?name=life-*", &Value::Null, None).json();
    let lives: Vec<_> = left["items"].as_array().unwrap().iter().map(life_of).collect();
    assert_eq!(lives, [LIVES]);
}

#[test]
fn a_hundred_lives_of_a_world_under_load() {
    for store in STORES {
        let place = Place::new(store);
        try_lives(&place.start_together());
    }
}
