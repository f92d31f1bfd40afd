//! Nothing acknowledged is lost, whatever is killed.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::Server;

const KILLS: usize = 20;
const CLIENTS: usize = 8;

/// How many writes are acknowledged before the server is killed.
const WRITES: usize = 60;

/// What a client was told of a machine: its id and the body of the last acknowledged write.
type Told = Vec<(String, Value)>;

/// Writes until the server is gone: makes a machine, stops it, tags it, makes the next. What was under way when it went
/// is not told.
fn write_until_killed(client: &Client, prefix: &str, acknowledged: &AtomicUsize) -> Told {
    let mut told = Told::new();
    let count = || acknowledged.fetch_add(1, Ordering::SeqCst);
    for number in 0.. {
        let body = json!({"name": format!("{prefix}-{number}"), "cluster_name": "web"});
        let Ok(answer) = client.try_send("POST", "/machines", &[], Some(&body)) else { break };
        assert_eq!(answer.status, 201, "{answer:?}");
        count();
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        told.push((id.clone(), answer.json()));
        let tags = json!({"tags": [format!("round:{prefix}")]});
        let writes =
            [("POST", format!("/machines/{id}?action=STOP"), None), ("PATCH", format!("/machines/{id}"), Some(&tags))];
        for (method, path, body) in writes {
            let Ok(answer) = client.try_send(method, &path, &[], body) else { return told };
            assert_eq!(answer.status, 200, "{answer:?}");
            count();
            told.last_mut().unwrap().1 = answer.json();
        }
    }
    told
}

/// Runs a server under load and kills it; returns what the clients were told.
fn round(directory: &Path, number: usize) -> Told {
    let server = Server::start(directory, "embedded");
    if number == 0 {
        server.client().create_cluster();
    }
    let acknowledged = AtomicUsize::new(0);
    let acknowledged = &acknowledged;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| (server.client(), format!("m{number}-{client}")))
            .map(|(client, prefix)| scope.spawn(move || write_until_killed(&client, &prefix, acknowledged)))
            .collect();
        while acknowledged.load(Ordering::SeqCst) < WRITES {
            thread::yield_now();
        }
        server.kill();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Checks that a machine is as its client was told, or one unanswered write further on.
fn check(client: &Client, id: &str, told: &Value) {
    let machine = client.machine(id);
    let version = client.check_chain(id);
    let known = told["version"].as_u64().unwrap();
    assert!((known..=known + 2).contains(&version), "told {told}, found {machine}");
    if version == known {
        assert_eq!(&machine, told);
    }
}

#[test]
fn every_acknowledged_write_outlives_twenty_kills() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = Told::new();
    for number in 0..KILLS {
        told.extend(round(directory.path(), number));
    }
    let server = Server::start(directory.path(), "embedded");
    let client = server.client();
    assert!(told.len() >= KILLS, "{}", told.len());
    for (id, told) in &told {
        check(&client, id, told);
    }
}

#[test]
fn everything_is_there_after_a_clean_stop() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "embedded");
    let client = server.client();
    client.create_cluster();
    let id = client.create_machine("web-1");
    let (machine, list) = (client.machine(&id), client.get("/machines").json());
    server.terminate();
    assert!(server.wait().success());

    let server = Server::start(directory.path(), "embedded");
    assert_eq!(server.client().machine(&id), machine);
    assert_eq!(server.client().get("/machines").json(), list);
}
