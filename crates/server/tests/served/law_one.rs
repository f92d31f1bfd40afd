//! Observation changes nothing: a world full of faults and with a full schedule that many read while it is advanced, by servers that are killed, ends as one that nobody
//! looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{Place, Server};

const READERS: usize = 16;
const KILLS: usize = 10;
const STEPS: usize = 22;

/// The machines of a fleet in each store. MongoDB's is smaller, for a commit takes longer there.
const SIZES: [(&str, usize); 2] = [("embedded", 1_000), ("mongodb", 200)];

/// How far the worlds go, in virtual seconds.
const SPAN: u64 = 24 * 3600;

fn post(client: &Client, path: &str, body: &Value) -> Result<Value, ureq::Error> {
    let answer = client.raw("POST", path, &[("content-type", "application/json")], &body.to_string())?;
    assert!((200..300).contains(&answer.status) || answer.status == 503, "{path}: {answer:?}");
    Ok(answer.json())
}

/// What goes wrong in a world, besides what its preset lets go wrong. The last one, on requests, leaves no trace in its history.
fn faults() -> [Value; 5] {
    [
        json!({"on": {"operation": "CREATE"}, "effect": {"kind": "fail"}, "probability": 0.1}),
        json!({"on": {"state": "STARTING"}, "effect": {"kind": "delay", "by": "10m"}, "probability": 0.3}),
        json!({"on": {"state": "RUNNING"}, "effect": {"kind": "crash", "in": "2h"}, "after": 1, "times": 2}),
        json!({"on": {"state": "REPAIRING"}, "effect": {"kind": "stick", "for": "1h"}, "probability": 0.5,
            "active_from": "2030-01-01T03:00:00Z", "active_until": "2030-01-01T20:00:00Z"}),
        json!({"on": {"request": {"method": "GET", "path": "/machines/*"}}, "effect": {"kind": "throttle"},
            "probability": 0.05}),
    ]
}

/// What is done to machines of a world at known instants.
fn schedule() -> [Value; 4] {
    [
        json!({"kind": "SPOT_TERMINATION", "selector": {"name": "m-1*"}, "notice": "10m",
            "not_before": "2030-01-01T05:00:00Z", "deadline": "2030-01-01T07:00:00Z"}),
        json!({"kind": "MAINTENANCE_MIGRATION", "selector": {"cluster": "web", "state": "RUNNING"},
            "not_before": "2030-01-01T08:00:00Z", "deadline": "2030-01-01T10:00:00Z"}),
        json!({"kind": "MAINTENANCE_STOP", "selector": {"name": "m-2*"}, "notice": "1h",
            "not_before": "2030-01-01T12:00:00Z"}),
        json!({"kind": "REGION_OUTAGE", "selector": {"region": "A"},
            "not_before": "2030-01-01T15:00:00Z", "deadline": "2030-01-01T16:00:00Z"}),
    ]
}

/// How often each of them matched and struck machines.
fn struck(server: &Server, world: &str) -> Vec<Value> {
    let answer = server.client().raw("GET", &format!("/sim/v1/worlds/{world}/faults"), &[], "").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut faults = answer.json()["items"].as_array().unwrap().clone();
    faults.pop();
    faults
}

/// Makes a world with a fleet, and returns the ids of its machines.
fn fleet(server: &Server, world: &str, size: usize) -> Vec<String> {
    let client = server.client();
    post(&client, "/sim/v1/worlds", &json!({"name": world, "seed": 42, "preset": "flaky", "retention": "48h"}))
        .unwrap();
    for fault in faults() {
        post(&client, &format!("/sim/v1/worlds/{world}/faults"), &fault).unwrap();
    }
    for entry in schedule() {
        post(&client, &format!("/sim/v1/worlds/{world}/schedule"), &entry).unwrap();
    }
    post(&client, &format!("/worlds/{world}/api/v1/clusters"), &json!({"name": "web", "region_code": "A"})).unwrap();
    let path = format!("/worlds/{world}/api/v1/machines");
    let make = |maker: usize| {
        let client = server.client();
        let mine = (maker..size).step_by(READERS);
        let make =
            |number| post(&client, &path, &json!({"name": format!("m-{number}"), "cluster_name": "web"})).unwrap();
        mine.map(|number| make(number)["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let makers: Vec<_> = (0..READERS).map(|maker| scope.spawn(move || make(maker))).collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    })
}

/// Moves the clock of a world to so many seconds after its start; says whether it is there.
fn go_to(client: &Client, world: &str, seconds: u64) -> bool {
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    let to = format!("2030-01-{:02}T{hours:02}:{minutes:02}:{:02}Z", 1 + seconds / 86_400, seconds % 60);
    let moved = post(client, &format!("/sim/v1/worlds/{world}/clock/advance"), &json!({ "to": to }));
    moved.is_ok_and(|moved| moved.get("to").is_some())
}

/// Reads whatever there is, until it is told to stop or the server is gone.
fn read(client: &Client, world: &str, ids: &[String], reader: usize, stop: &AtomicBool) {
    let base = format!("/worlds/{world}/api/v1");
    for turn in reader.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let id = &ids[turn * 31 % ids.len()];
        let path = match turn % 5 {
            0 => format!("{base}/machines?state=FAILED,REPAIRING&page_size=50"),
            1 => format!("{base}/machines/{id}/events"),
            2 => format!("{base}/events?page_size=20"),
            _ => format!("{base}/machines/{id}"),
        };
        let Ok(answer) = client.raw("GET", &path, &[], "") else { return };
        assert!([200, 429, 503].contains(&answer.status), "{path}: {answer:?}");
    }
}

fn digest(server: &Server, world: &str) -> Value {
    let path = format!("/sim/v1/worlds/{world}/digest");
    let answer = server.client().raw("GET", &path, &[], "").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Advances the world by steps of all sizes while others read. With `kill`, the servers are killed in the middle of the next
/// step; else they are given back.
fn observed(servers: Vec<Server>, ids: &[String], (from, last): (usize, usize), kill: bool) -> Vec<Server> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (client, stop) = (servers[reader % servers.len()].client(), &stop);
            scope.spawn(move || read(&client, "seen", ids, reader, stop));
        }
        // A step of a square number of parts is a long one among short ones.
        let at = |step: usize| SPAN * (step * step) as u64 / (STEPS * STEPS) as u64;
        for step in from + 1..=last {
            let client = servers[step % servers.len()].client();
            assert!(go_to(&client, "seen", at(step)), "step {step}");
        }
        let left = if kill {
            let client = servers[0].client();
            let moving = scope.spawn(move || go_to(&client, "seen", at(STEPS.min(last + 1))));
            thread::yield_now();
            servers.into_iter().for_each(Server::kill);
            // Whether it took effect is not known; the next round goes there too.
            let _ = moving.join().unwrap();
            Vec::new()
        } else {
            servers
        };
        stop.store(true, Ordering::SeqCst);
        left
    })
}

fn check(place: &Place, size: usize, kills: usize) {
    let mut servers = place.start_together();
    let ids = fleet(&servers[0], "seen", size);
    fleet(&servers[0], "unseen", size);
    let round = STEPS.div_ceil(kills + 1);
    for from in (0..STEPS).step_by(round) {
        let last = STEPS.min(from + round);
        servers = observed(servers, &ids, (from, last), last < STEPS);
        if servers.is_empty() {
            servers = place.start_together();
        }
    }
    let client = servers[0].client();
    assert!(go_to(&client, "seen", SPAN) && go_to(&client, "unseen", SPAN));
    let (seen, unseen) = (digest(&servers[0], "seen"), digest(&servers[0], "unseen"));
    assert_eq!(seen, unseen);
    let faults = struck(&servers[0], "seen");
    assert_eq!(faults, struck(&servers[0], "unseen"));
    assert!(faults.iter().all(|fault| fault["struck"].as_u64() > Some(0)), "{faults:?}");
    assert!(seen["events"].as_u64().unwrap() > 8 * size as u64, "{seen}");
}

#[test]
fn a_world_that_many_read_ends_as_one_that_nobody_looked_at() {
    for (store, size) in SIZES {
        check(&Place::new(store), size, 0);
    }
}

#[test]
fn so_does_one_whose_servers_are_killed_on_the_way() {
    for (store, size) in SIZES {
        check(&Place::new(store), size, KILLS);
    }
}
