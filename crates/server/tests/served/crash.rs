//! Nothing acknowledged is lost, whatever is killed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::support::Place;

const KILLS: usize = 20;
const CLIENTS: usize = 8;

/// How many writes are acknowledged before the server is killed.
const WRITES: usize = 60;

/// What a client was told of a machine: its id and the body of the last acknowledged write.
pub(crate) type Told = Vec<(String, Value)>;

/// Writes until told to stop or the server is gone: makes a machine, stops it, tags it, makes the next. A write that was not
/// acknowledged is not told, and its machine left alone from then on.
pub(crate) fn write(client: &Client, prefix: &str, acknowledged: &AtomicUsize, stop: &AtomicBool) -> Told {
    let mut told = Told::new();
    let is_done = |answer: &Answer, expected| {
        assert!([expected, 503].contains(&answer.status), "{answer:?}");
        let done = answer.status == expected;
        acknowledged.fetch_add(usize::from(done), Ordering::SeqCst);
        done
    };
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let body = json!({"name": format!("{prefix}-{number}"), "cluster_name": "web"});
        let Ok(made) = client.try_send("POST", "/machines", &[], Some(&body)) else { break };
        if !is_done(&made, 201) {
            continue;
        }
        let id = made.json()["id"].as_str().unwrap().to_owned();
        told.push((id.clone(), made.json()));
        let tags = json!({"tags": [format!("round:{prefix}")]});
        let writes =
            [("POST", format!("/machines/{id}?action=STOP"), None), ("PATCH", format!("/machines/{id}"), Some(&tags))];
        for (method, path, body) in writes {
            let Ok(answer) = client.try_send(method, &path, &[], body) else { return told };
            if !is_done(&answer, 200) {
                break;
            }
            told.last_mut().unwrap().1 = answer.json();
        }
    }
    told
}

/// Runs a server under load and kills it; returns what the clients were told.
fn round(place: &Place, number: usize) -> Told {
    let server = place.start();
    if number == 0 {
        server.client().create_cluster();
    }
    let (acknowledged, never) = (&AtomicUsize::new(0), &AtomicBool::new(false));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| (server.client(), format!("m{number}-{client}")))
            .map(|(client, prefix)| scope.spawn(move || write(&client, &prefix, acknowledged, never)))
            .collect();
        while acknowledged.load(Ordering::SeqCst) < WRITES {
            thread::yield_now();
        }
        server.kill();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Checks that a machine is as its client was told, or one unanswered write further on.
pub(crate) fn check(client: &Client, id: &str, told: &Value) {
    let machine = client.machine(id);
    let version = client.check_chain(id);
    let known = told["version"].as_u64().unwrap();
    assert!((known..=known + 2).contains(&version), "told {told}, found {machine}");
    if version == known {
        assert_eq!(&machine, told);
    }
}

fn survive_kills(place: &Place) {
    let mut told = Told::new();
    for number in 0..KILLS {
        told.extend(round(place, number));
    }
    let server = place.start();
    let client = server.client();
    assert!(told.len() >= KILLS, "{}", told.len());
    for (id, told) in &told {
        check(&client, id, told);
    }
}

#[test]
fn every_acknowledged_write_outlives_twenty_kills() {
    survive_kills(&Place::new("embedded"));
}

#[test]
fn every_acknowledged_write_to_mongodb_outlives_twenty_kills() {
    survive_kills(&Place::new("mongodb"));
}

#[test]
fn everything_is_there_after_a_clean_stop() {
    for store in ["embedded", "mongodb"] {
        stop_and_look(&Place::new(store));
    }
}

fn stop_and_look(place: &Place) {
    let server = place.start();
    let client = server.client();
    client.create_cluster();
    let id = client.create_machine("web-1");
    let (machine, list) = (client.machine(&id), client.get("/machines").json());
    server.terminate();
    assert!(server.wait().success());

    let server = place.start();
    assert_eq!(server.client().machine(&id), machine);
    assert_eq!(server.client().get("/machines").json(), list);
}
