//! A running server process, and races against it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;

use crate::client::Client;

/// The kinds of store that a server opens by itself.
pub(crate) const STORES: [&str; 2] = ["embedded", "memory"];

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
        let mut process = Command::new(env!("CARGO_BIN_EXE_cloudm-server"))
            .current_dir(directory)
            .env_clear()
            .envs([
                ("CLOUDM__HTTP__BIND", "127.0.0.1:0"),
                ("CLOUDM__STORE__KIND", store),
                ("CLOUDM__LOG__LEVEL", "warn"),
            ])
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

/// Lets `count` clients, each with connections of its own, begin at the same moment; returns what each did.
pub(crate) fn race<T: Send>(server: &Server, count: usize, act: impl Fn(&Client, usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    let (act, barrier) = (&act, &barrier);
    thread::scope(|scope| {
        let run = |number| {
            let client = server.client();
            scope.spawn(move || {
                barrier.wait();
                act(&client, number)
            })
        };
        let racers: Vec<_> = (0..count).map(run).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}
