//! Streams of events: nothing is missed, whoever is cut off, and through whichever server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{Place, STORES, Server};

/// An open stream.
struct Stream(BufReader<TcpStream>);

/// One message of a stream.
#[derive(Debug, Default)]
struct Message {
    id: String,
    event: String,
    data: Value,
}

impl Stream {
    /// Opens a stream that goes on after an id, or begins now.
    fn open(server: &Server, path: &str, after: Option<&str>) -> Self {
        let address = server.base.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let last = after.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: cloudm\r\naccept: text/event-stream\r\n{last}\r\n").unwrap();
        let mut stream = Self(BufReader::new(socket));
        let head: Vec<_> = std::iter::from_fn(|| Some(stream.line()).filter(|line| !line.is_empty())).collect();
        assert_eq!(head[0], "HTTP/1.1 200 OK", "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream broke off");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// The next message; what frames the chunks is passed by.
    fn next(&mut self) -> Message {
        let mut message = Message::default();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("id", id)) => message.id = id.to_owned(),
                Some(("event", event)) => message.event = event.to_owned(),
                Some(("data", data)) => message.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !message.id.is_empty() => return message,
                _ => {}
            }
        }
    }
}

fn on_every_store(test: impl Fn(&[Server], &Client)) {
    for store in STORES {
        let place = Place::new(store);
        let servers = place.start_together();
        let client = servers[0].client();
        client.create_cluster();
        test(&servers, &client);
    }
}

#[test]
fn a_stream_tells_what_happens_and_goes_on_where_it_was() {
    on_every_store(|servers, client| {
        let other = servers.last().unwrap();
        let before = client.create_machine("before");
        let mut stream = Stream::open(other, "/api/v1/events", None);
        let first = stream.next();
        assert_eq!((first.event.as_str(), &first.data), ("", &Value::Null), "only where it is");
        let id = client.create_machine("after");
        let mut last = String::new();
        for version in 1..=3 {
            let message = stream.next();
            assert_eq!((&message.data["machine_id"], &message.data["version"]), (&json!(id), &json!(version)));
            assert_eq!(message.event, message.data["kind"].as_str().unwrap());
            last = message.id;
        }
        drop(stream);
        client.send("POST", &format!("/machines/{before}?action=STOP"), &[], None);
        let mut stream = Stream::open(other, "/api/v1/events", Some(&last));
        assert_eq!(stream.next().id, last);
        assert_eq!(stream.next().data["machine_id"], json!(before));
        // Of one machine.
        let mut stream = Stream::open(other, &format!("/api/v1/machines/{id}/events?after={}", first.id), None);
        let versions: Vec<_> = (0..4).map(|_| stream.next().data["version"].clone()).collect();
        assert_eq!(versions, [Value::Null, json!(1), json!(2), json!(3)]);
        // And its end is told when the world is.
        let reset = client.raw("POST", "/sim/v1/worlds/default/reset", &[], "").unwrap();
        assert_eq!(reset.status, 200, "{reset:?}");
        if servers.len() == 1 {
            let end = std::iter::from_fn(|| Some(stream.line())).find(|line| line.starts_with("data: ")).unwrap();
            assert!(end.contains("no_such_world"), "{end}");
        }
    });
}

const CLIENTS: usize = 16;
const CUTS: usize = 200;

/// A fleet as a client knows it: of each machine its version, name and state.
type Fleet = BTreeMap<String, (u64, String, String)>;

fn list(client: &Client) -> (Fleet, String) {
    let page = client.get("/machines?page_size=1000").json();
    let text = |machine: &Value, field: &str| machine[field].as_str().unwrap().to_owned();
    let known = |machine: &Value| {
        (text(machine, "id"), (machine["version"].as_u64().unwrap(), text(machine, "name"), text(machine, "state")))
    };
    (page["items"].as_array().unwrap().iter().map(known).collect(), text(&page, "position"))
}

fn apply(fleet: &mut Fleet, event: &Value) {
    let (id, version) = (event["machine_id"].as_str().unwrap(), event["version"].as_u64().unwrap());
    let machine = fleet.entry(id.to_owned()).or_default();
    if version <= machine.0 {
        return;
    }
    assert_eq!(version, machine.0 + 1, "an event of {id} was missed");
    machine.0 = version;
    if let Some(name) = event["name"].as_str() {
        machine.1 = name.to_owned();
    }
    if let Some(state) = event["state"].as_str() {
        machine.2 = state.to_owned();
    }
}

/// Changes machines of its own until the subscriber has been cut off often enough.
fn change(client: &Client, number: usize, cuts: &AtomicUsize) {
    let id = client.create_machine(&format!("m-{number}-0"));
    let mut turn = 0;
    while cuts.load(Ordering::SeqCst) < CUTS || turn < 4 {
        turn += 1;
        match turn % 4 {
            // As many as a page of the list has room for.
            0 if turn < 100 => drop(client.create_machine(&format!("m-{number}-{turn}"))),
            1 => {
                let name = json!({"name": format!("n-{number}-{turn}")});
                client.send("PATCH", &format!("/machines/{id}"), &[], Some(&name));
            }
            2 => drop(client.send("POST", &format!("/machines/{id}?action=STOP"), &[], None)),
            _ => drop(client.send("POST", &format!("/machines/{id}?action=START"), &[], None)),
        }
    }
}

#[test]
fn a_fleet_is_rebuilt_from_a_list_and_a_stream_that_is_cut_off() {
    on_every_store(|servers, client| {
        let cuts = AtomicUsize::new(0);
        client.create_machine("first");
        let (mut fleet, mut after) = list(client);
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (client, cuts) = (servers[number % servers.len()].client(), &cuts);
                scope.spawn(move || change(&client, number, cuts));
            }
            while cuts.load(Ordering::SeqCst) < CUTS {
                let cut = cuts.fetch_add(1, Ordering::SeqCst);
                let mut stream = Stream::open(&servers[cut % servers.len()], "/api/v1/events", Some(&after));
                stream.next();
                for _ in 0..1 + cut % 3 {
                    let message = stream.next();
                    apply(&mut fleet, &message.data);
                    after = message.id;
                }
            }
        });
        let (listed, _) = list(client);
        let mut stream = Stream::open(&servers[0], "/api/v1/events", Some(&after));
        stream.next();
        while fleet != listed {
            apply(&mut fleet, &stream.next().data);
        }
    });
}
