//! A running server process, and races against it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;

use cloudm_testing_mongo as testing_mongo;
use tempfile::TempDir;

use crate::client::Client;

/// The kinds of store.
pub(crate) const STORES: [&str; 3] = ["embedded", "memory", "mongodb"];

/// Where servers keep their worlds in a test: a directory of its own, and a database of its own in MongoDB.
pub(crate) struct Place {
    directory: TempDir,
    store: &'static str,
    uri: String,
}

impl Place {
    /// A place for this kind of store. With MongoDB, it is the one that the tests share.
    pub(crate) fn new(store: &'static str) -> Self {
        let uri = if store == "mongodb" { testing_mongo::uri().unwrap() } else { String::new() };
        Self { directory: tempfile::tempdir().unwrap(), store, uri }
    }

    /// A place in the MongoDB at this URI.
    pub(crate) fn at(uri: String) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), store: "mongodb", uri }
    }

    /// Starts a server here.
    pub(crate) fn start(&self) -> Server {
        let place = [("CLOUDM__STORE__URI", self.uri.clone()), ("CLOUDM__STORE__DATABASE", self.database())];
        Server::start_with(self.directory.path(), self.store, &place)
    }

    /// Starts as many servers at the same moment as can share this place: two in MongoDB.
    pub(crate) fn start_together(&self) -> Vec<Server> {
        let count = if self.store == "mongodb" { 2 } else { 1 };
        thread::scope(|scope| {
            let starts: Vec<_> = (0..count).map(|_| scope.spawn(|| self.start())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        })
    }

    /// The name of the database: that of the directory, which nobody else has.
    fn database(&self) -> String {
        format!("cloudm-test{}", self.directory.path().file_name().unwrap().to_str().unwrap().replace('.', "-"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.store == "mongodb" {
            testing_mongo::drop_database(&self.uri, &self.database());
        }
    }
}

/// A server process. It is killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    /// Kept open, so that the server can go on printing.
    _stdout: BufReader<ChildStdout>,
    pub(crate) base: String,
}

impl Server {
    /// Starts a server on a free port with its data in this directory, and waits for its banner.
    pub(crate) fn start(directory: &Path, store: &str) -> Self {
        Self::start_with(directory, store, &[])
    }

    fn start_with(directory: &Path, store: &str, environment: &[(&str, String)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cloudm-server"))
            .current_dir(directory)
            .env_clear()
            .envs([
                ("CLOUDM__HTTP__BIND", "127.0.0.1:0"),
                ("CLOUDM__STORE__KIND", store),
                ("CLOUDM__LOG__LEVEL", "warn"),
            ])
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("/api/v1\n") {
            assert_ne!(stdout.read_line(&mut banner).unwrap(), 0, "the server ended before it was ready: {banner}");
        }
        let from = banner.find("http://").unwrap();
        let base = banner[from..].split("/api/v1").next().unwrap().to_owned();
        Self { process, _stdout: stdout, base }
    }

    /// Kills it without a word, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets `count` clients, each with connections of its own, begin at the same moment, at one server after the other; returns
/// what each did.
pub(crate) fn race<T: Send>(servers: &[Server], count: usize, act: impl Fn(&Client, usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    let (act, barrier) = (&act, &barrier);
    thread::scope(|scope| {
        let run = |number: usize| {
            let client = servers[number % servers.len()].client();
            scope.spawn(move || {
                barrier.wait();
                act(&client, number)
            })
        };
        let racers: Vec<_> = (0..count).map(run).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}
