//! A running server and a client of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

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
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        Client { agent: config.build().new_agent(), base: self.base.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON; null where there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }
}

/// A client with connections of its own.
pub(crate) struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// Sends a request; an error where no whole answer came.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}/api/v1{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.header("content-type", "application/json").body(body.to_string())?),
            None if method == "POST" => self.agent.run(request.body(String::new())?),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = answer?;
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), text })
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body))
    }

    /// Makes the cluster `web`.
    pub(crate) fn create_cluster(&self) {
        let answer = self.post("/clusters", &json!({"name": "web", "region_code": "A"}));
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Makes a machine in the cluster `web` and returns its id.
    pub(crate) fn create_machine(&self, name: &str) -> String {
        let answer = self.post("/machines", &json!({"name": name, "cluster_name": "web"}));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn machine(&self, id: &str) -> Value {
        let answer = self.get(&format!("/machines/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The versions of a machine's events, from all pages.
    pub(crate) fn event_versions(&self, id: &str) -> Vec<u64> {
        let (mut versions, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/machines/{id}/events?page_size=1000{token}")).json();
            versions.extend(page["items"].as_array().unwrap().iter().map(|event| event["version"].as_u64().unwrap()));
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => return versions,
            }
        }
    }

    /// Checks that a machine's events are one chain without a gap, up to its version, which it returns.
    pub(crate) fn check_chain(&self, id: &str) -> u64 {
        let version = self.machine(id)["version"].as_u64().unwrap();
        assert_eq!(self.event_versions(id), (1..=version).collect::<Vec<_>>(), "machine {id}");
        version
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
