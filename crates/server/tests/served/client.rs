//! A client of the API.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

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
    pub(crate) fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)));
        Self { agent: config.build().new_agent(), base: base.to_owned() }
    }

    /// Sends a request; an error where no whole answer came.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let json = [("content-type", "application/json")];
        match body {
            Some(body) => self.raw(method, &format!("/api/v1{path}"), &[headers, &json].concat(), &body.to_string()),
            None => self.raw(method, &format!("/api/v1{path}"), headers, ""),
        }
    }

    /// Sends a request to any path with any body.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = if body.is_empty() && method != "POST" {
            self.agent.run(request.body(())?)?
        } else {
            self.agent.run(request.body(body.to_owned())?)?
        };
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
