//! A fleet operation outlives the servers that run it, and each machine is operated once.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{Place, Server};

/// What is tried: so many machines, and how often a server is killed meanwhile.
struct Trial {
    machines: u64,
    kills: u64,
}

fn start(client: &Client, request: &Value) -> String {
    let answer = client.send("POST", "/operations", &[("prefer", "respond-async")], Some(request));
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn operation(client: &Client, id: &str) -> Value {
    let answer = client.get(&format!("/operations/{id}"));
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    answer.json()
}

fn ended(client: &Client, id: &str) -> Value {
    loop {
        let answer = client.get(&format!("/operations/{id}/wait?timeout=50s"));
        if answer.status == 200 {
            return answer.json();
        }
        assert!([409, 503].contains(&answer.status), "{answer:?}");
    }
}

/// Waits until so many machines are decided, or the operation has ended.
fn wait_for(client: &Client, id: &str, matched: u64) {
    loop {
        let now = operation(client, id);
        let far = now["progress"]["matched"].as_u64().is_some_and(|now| now >= matched);
        if far || now["finished_at"].is_string() {
            return;
        }
        thread::yield_now();
    }
}

/// How often each machine entered a state, from the history.
fn entries(client: &Client, state: &str) -> BTreeMap<String, u64> {
    let (mut counts, mut token) = (BTreeMap::new(), String::new());
    loop {
        let page = client.get(&format!("/events?page_size=1000{token}")).json();
        for event in page["items"].as_array().unwrap() {
            if event["state"] == state && event["kind"] == "STATE_ENTERED" {
                *counts.entry(event["machine_id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => return counts,
        }
    }
}

/// The number of results, from all pages, each machine of which is met once.
fn results(client: &Client, id: &str) -> u64 {
    let (mut machines, mut token) = (BTreeMap::<String, u64>::new(), String::new());
    loop {
        let page = client.get(&format!("/operations/{id}/results?page_size=1000{token}")).json();
        for result in page["items"].as_array().unwrap() {
            assert_eq!(result["outcome"], "DONE", "{result}");
            *machines.entry(result["machine_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
    }
    assert!(machines.values().all(|count| *count == 1));
    machines.len() as u64
}

/// Runs an operation while servers are killed, one after the other; gives it as it ended.
fn run_and_kill(place: &Place, servers: &mut Vec<Server>, request: &Value, trial: &Trial) -> Value {
    let id = start(&servers[0].client(), request);
    for kill in 0..trial.kills {
        wait_for(&servers[0].client(), &id, trial.machines * (kill + 1) / (trial.kills + 2));
        servers.remove(0).kill();
        servers.push(place.start());
    }
    let operation = ended(&servers[0].client(), &id);
    let machines = trial.machines;
    assert_eq!(operation["state"], "SUCCEEDED", "{operation}");
    assert_eq!(operation["progress"], json!({"matched": machines, "done": machines, "unchanged": 0, "rejected": 0}));
    assert_eq!(results(&servers[0].client(), &id), machines);
    operation
}

fn survive_kills(place: &Place, trial: &Trial) {
    let mut servers = place.start_together();
    servers[0].client().create_cluster();
    let template = json!({"name": "web-{n}", "cluster_name": "web"});
    let create = json!({"kind": "CREATE", "count": trial.machines, "template": template});
    run_and_kill(place, &mut servers, &create, trial);
    run_and_kill(place, &mut servers, &json!({"kind": "STOP", "all": true}), trial);
    let client = servers[0].client();
    for state in ["STARTING", "STOPPING"] {
        let counts = entries(&client, state);
        assert_eq!(counts.len() as u64, trial.machines, "{state}");
        assert!(counts.values().all(|count| *count == 1), "{state}: a machine was operated twice");
    }
    let stats = client.get("/stats").json();
    assert_eq!(stats["states"], json!({"STOPPED": trial.machines}), "{stats}");
}

#[test]
fn an_operation_outlives_twenty_kills_and_operates_each_machine_once() {
    survive_kills(&Place::new("embedded"), &Trial { machines: 8_000, kills: 10 });
}

#[test]
fn another_server_on_mongodb_takes_an_operation_up() {
    survive_kills(&Place::new("mongodb"), &Trial { machines: 4_000, kills: 2 });
}
