//! Observation changes nothing: machines that are read all the time end as machines that nobody read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cloudm_domain::Preset;
use serde_json::Value;

use crate::client::Client;
use crate::inside::Inside;

const READERS: usize = 16;
const MACHINES: usize = 12;

/// Makes machines and asks something of each from time to time, over two hours.
fn live(inside: &Inside, settle: bool) -> Vec<String> {
    let client = &inside.client;
    client.create_cluster();
    let ids: Vec<_> = (0..MACHINES).map(|number| client.create_machine(&format!("web-{number}"))).collect();
    for step in 0..240 {
        inside.pass("30s");
        let action = ["STOP", "START", "REBOOT", "SUSPEND", "RESUME"][step % 5];
        let id = &ids[step * 7 % MACHINES];
        // Whether it is refused is part of what has to be the same.
        client.send("POST", &format!("/machines/{id}?action={action}"), &[], None);
        if settle && step % 3 == 0 {
            inside.settle();
        }
    }
    ids
}

fn read_everything(client: &Client, number: usize, done: &AtomicBool) -> usize {
    let mut reads = 0;
    while !done.load(Ordering::SeqCst) {
        let list = client.get("/machines?page_size=5&order_by=name").json();
        for machine in list["items"].as_array().unwrap() {
            let id = machine["id"].as_str().unwrap();
            client.machine(id);
            if number.is_multiple_of(4) {
                client.get(&format!("/machines/{id}/events"));
            }
        }
        client.get(["/machines?state=RUNNING", "/events?page_size=1000", "/machines"][number % 3]);
        reads += 1;
    }
    reads
}

/// The machines and their events, without what only says where in the stream they stand.
fn end(inside: &Inside, ids: &[String]) -> Vec<(Value, Vec<Value>)> {
    let without_position = |event: &Value| {
        let mut event = event.clone();
        event.as_object_mut().unwrap().remove("id");
        event
    };
    let client = &inside.client;
    let events = |id: &String| {
        let page = client.get(&format!("/machines/{id}/events?page_size=1000")).json();
        page["items"].as_array().unwrap().iter().map(without_position).collect()
    };
    ids.iter().map(|id| (client.machine(id), events(id))).collect()
}

#[test]
fn watched_machines_live_as_unwatched_ones() {
    for preset in [Preset::Realistic, Preset::Flaky] {
        let alone = Inside::new(preset);
        let ids = live(&alone, false);

        let watched = Inside::new(preset);
        let done = AtomicBool::new(false);
        let same_ids = thread::scope(|scope| {
            let done = &done;
            let readers: Vec<_> = (0..READERS)
                .map(|number| (number, Client::new(&watched.base)))
                .map(|(number, client)| scope.spawn(move || read_everything(&client, number, done)))
                .collect();
            let ids = live(&watched, true);
            done.store(true, Ordering::SeqCst);
            let reads: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert!(reads > 0);
            ids
        });
        assert_eq!(same_ids, ids);
        let (seen, unseen) = (end(&watched, &ids), end(&alone, &ids));
        assert!(unseen.iter().map(|(_, events)| events.len()).sum::<usize>() > 20 * MACHINES, "little happened");
        assert_eq!(seen, unseen);
    }
}
