//! A world of its own for each test. Copy it into your tests.
//!
//! A server has to run (`cargo run --release`, or `CLOUDM_URL` says where one is). A test forks a world that was furnished once: a
//! fork takes milliseconds, has the same future each time, and what a test does in it, no other test sees.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

/// What a server answers that does not do what it is asked: its problem (RFC 9457), or that it was not reached.
#[derive(Debug)]
pub enum Refused {
    /// The server says so.
    Problem(Value),
    /// The server was not reached, or did not answer in JSON.
    Failed(ureq::Error),
}

impl Refused {
    /// The code of the problem; nothing where there is none.
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => problem["code"].as_str().unwrap_or_default(),
            Self::Failed(_) => "",
        }
    }
}

impl From<ureq::Error> for Refused {
    fn from(error: ureq::Error) -> Self {
        Self::Failed(error)
    }
}

/// What comes of a request: the JSON of the answer.
pub type Answer = Result<Value, Refused>;

/// Sends a request; a null body is none.
///
/// # Errors
/// When the server refuses it, or is not there.
pub fn send(method: &str, path: &str, body: &Value) -> Answer {
    let base = std::env::var("CLOUDM_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".into());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder().method(method).uri(format!("{base}{path}"));
    let answered = if body.is_null() {
        agent.run(request.body(()).map_err(ureq::Error::from)?)
    } else {
        let request = request.header("content-type", "application/json");
        agent.run(request.body(body.to_string()).map_err(ureq::Error::from)?)
    };
    let mut answered = answered?;
    let status = answered.status();
    let text = answered.body_mut().read_to_string()?;
    let answer = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() { Ok(answer) } else { Err(Refused::Problem(answer)) }
}

/// A cloud of its own, whose time stands still until it is moved. It is deleted when it is dropped.
#[derive(Debug)]
pub struct World(String);

impl World {
    /// A new world of this seed and preset.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn make(seed: u64, preset: &str) -> Result<Self, Refused> {
        let world = Self(new_name());
        send("POST", "/sim/v1/worlds", &json!({"name": world.0, "seed": seed, "preset": preset}))?;
        Ok(world)
    }

    /// A copy of it as it is now, with the same future.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn fork(&self) -> Result<Self, Refused> {
        let copy = Self(new_name());
        self.control("POST", "/fork", &json!({"name": copy.0}))?;
        Ok(copy)
    }

    /// Moves its time, as in `90s` or `12h`; tells what happened.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn advance(&self, by: &str) -> Answer {
        Ok(self.control("POST", "/clock/advance", &json!({ "by": by }))?["happened"].take())
    }

    /// Moves its time until no machine is on its way.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn run_until_idle(&self) -> Answer {
        self.control("POST", "/clock/run-until-idle", &Value::Null)
    }

    /// What tells its history from every other one.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn digest(&self) -> Answer {
        Ok(self.control("GET", "/digest", &Value::Null)?["digest"].take())
    }

    /// Asks its cloud.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        send(method, &format!("/worlds/{}/api/v1{path}", self.0), body)
    }

    /// The machines that a query selects: a page of a thousand.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn machines(&self, query: &str) -> Result<Vec<Value>, Refused> {
        let mut page = self.ask("GET", &format!("/machines?page_size=1000&{query}"), &Value::Null)?;
        Ok(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Answer {
        send(method, &format!("/sim/v1/worlds/{}{path}", self.0), body)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that fails has more to say than that its world is left.
        let _ = self.control("DELETE", "", &Value::Null);
    }
}

/// A world that tests begin with, furnished when the first of them needs it.
pub struct Origin {
    furnish: fn() -> Result<World, Refused>,
    made: Mutex<Weak<World>>,
}

/// A test's own fork of an [`Origin`].
pub struct Fork {
    world: World,
    /// Deleted when no test needs it any more.
    _origin: Arc<World>,
}

impl Origin {
    /// A world that `furnish` makes.
    pub const fn new(furnish: fn() -> Result<World, Refused>) -> Self {
        Self { furnish, made: Mutex::new(Weak::new()) }
    }

    /// A fork of it.
    ///
    /// # Errors
    /// When the server refuses it, or is not there.
    pub fn fork(&self) -> Result<Fork, Refused> {
        // A test that failed while it held this has not made a world.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = match made.upgrade() {
            Some(origin) => origin,
            None => Arc::new((self.furnish)()?),
        };
        *made = Arc::downgrade(&origin);
        Ok(Fork { world: origin.fork()?, _origin: origin })
    }
}

impl Deref for Fork {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// A name that no other test has.
fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
