//! A MongoDB that goes and comes back under its servers, which go on without a restart.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cloudm_testing_mongo::{Options, Program, Running};
use serde_json::json;
use tempfile::TempDir;

use crate::client::Answer;
use crate::crash::{Told, check, write};
use crate::support::{Place, Server};

/// A MongoDB of its own, which keeps what it acknowledged.
struct Mongo {
    directory: TempDir,
    running: Option<Running>,
    port: u16,
}

impl Mongo {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { durable: true, ..Options::default() };
        let running = Program::from_env().unwrap().start(directory.path(), options).unwrap();
        Self { port: running.port(), directory, running: Some(running) }
    }

    fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    fn start_again(&mut self) {
        let options = Options { durable: true, port: Some(self.port), ..Options::default() };
        self.running = Some(Program::from_env().unwrap().start(self.directory.path(), options).unwrap());
    }
}

/// The most times in a row that a client is sent away.
const PATIENCE: usize = 500;

/// Asks until the server answers with something else than an outage.
fn ask(send: impl Fn() -> Answer) -> Answer {
    for _ in 0..PATIENCE {
        let answer = send();
        if answer.status != 503 {
            return answer;
        }
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    }
    panic!("the server does not come back")
}

#[test]
fn an_outage_is_told_and_ends_by_itself() {
    let mut mongo = Mongo::start();
    let place = Place::at(mongo.uri());
    let server = place.start();
    let client = server.client();
    client.create_cluster();
    let id = client.create_machine("web-1");
    let (path, before) = (format!("/machines/{id}"), client.machine(&id));
    mongo.kill();
    let tags = json!({"tags": ["x"]});
    let stop = format!("{path}?action=STOP");
    for (method, path, body) in [
        ("GET", path.as_str(), None),
        ("GET", "/machines?state=RUNNING", None),
        ("POST", stop.as_str(), None),
        ("PATCH", path.as_str(), Some(&tags)),
        ("GET", "/events", None),
    ] {
        let answer = client.send(method, path, &[], body);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("store_unavailable")), "{answer:?}");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(client.raw("GET", "/readyz", &[], "").unwrap().status, 503);
    assert_eq!(client.raw("GET", "/livez", &[], "").unwrap().status, 200);
    mongo.start_again();
    assert_eq!(ask(|| client.get(&path)).json(), before);
    assert_eq!(client.send("PATCH", &path, &[], Some(&tags)).status, 200);
    assert_eq!(client.raw("GET", "/readyz", &[], "").unwrap().status, 200);
}

/// Kills the database under load, so often, and starts it again.
fn kill_under_load(mongo: &mut Mongo, acknowledged: &AtomicUsize) {
    const KILLS: usize = 20;
    const WRITES: usize = 40;
    for _ in 0..KILLS {
        let until = acknowledged.load(Ordering::SeqCst) + WRITES;
        while acknowledged.load(Ordering::SeqCst) < until {
            thread::yield_now();
        }
        mongo.kill();
        mongo.start_again();
    }
}

#[test]
fn every_acknowledged_write_outlives_twenty_deaths_of_the_database() {
    let mut mongo = Mongo::start();
    let place = Place::at(mongo.uri());
    let servers: Vec<Server> = place.start_together();
    servers[0].client().create_cluster();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (stop, acknowledged) = (&stop, &acknowledged);
    let told: Told = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| (servers[number % 2].client(), format!("m{number}")))
            .map(|(client, prefix)| scope.spawn(move || write(&client, &prefix, acknowledged, stop)))
            .collect();
        kill_under_load(&mut mongo, acknowledged);
        stop.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let client = servers[0].client();
    ask(|| client.get("/machines"));
    for (id, told) in &told {
        check(&client, id, told);
    }
}
