//! Requests that are not measured: they set a scene, and ask how far something is.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// Who makes them.
pub(crate) struct Control {
    agent: Agent,
    base: String,
}

impl Control {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(600)));
        Self { agent: config.build().into(), base: format!("http://{address}") }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        parsed(&self.get_text(path)?)
    }

    pub(crate) fn get_text(&self, path: &str) -> Result<String> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        text(path, answer)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Content-Type", "application/json");
        parsed(&text(path, request.send(body.to_string()))?)
    }

    /// A POST without a body.
    pub(crate) fn post_nothing(&self, path: &str) -> Result<String> {
        text(path, self.agent.post(format!("{}{path}", self.base)).send_empty())
    }

    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let answer = self.agent.delete(format!("{}{path}", self.base)).call();
        text(path, answer).map(drop)
    }

    /// A form, as the API of EC2 has them.
    pub(crate) fn form(&self, fields: &str) -> Result<String> {
        let authorization =
            "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=x";
        let request = self.agent.post(&self.base).header("Authorization", authorization);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        text(fields.get(..80).unwrap_or(fields), request.send(fields))
    }
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))
}

fn text(what: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String> {
    let mut answer = answer.with_context(|| format!("{what} was not answered"))?;
    let status = answer.status();
    let body = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if status.is_success() {
        return Ok(body);
    }
    let begin: String = body.chars().take(600).collect();
    bail!("{what} was answered {status}: {begin}")
}
