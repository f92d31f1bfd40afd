//! Rules that make chosen things go wrong.

mod aftermath;
mod in_world;
pub(crate) mod listed;
mod striking;

use cloudm_domain::{MachineState, Preset};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

/// A world whose time stands still unless it is moved by hand.
pub(crate) struct World<'a> {
    pub(crate) site: &'a Site,
    pub(crate) name: &'static str,
}

impl<'a> World<'a> {
    /// A new world with the cluster `web`, in which everything is done at once.
    pub(crate) async fn new(site: &'a Site, name: &'static str) -> Self {
        site.simulate("POST", "/worlds", &json!({"name": name, "seed": 42})).await.expect(201);
        let world = Self { site, name };
        world.ask("POST", "/clusters", &json!({"name": "web", "region_code": "A"})).await.expect(201);
        world
    }

    /// One in which every active state takes ten seconds.
    async fn slow(site: &'a Site, name: &'static str) -> Self {
        let world = Self::new(site, name).await;
        let active = MachineState::ALL.iter().filter(|state| state.is_active());
        let ten = json!({"duration": {"distribution": "fixed", "value": "10s"}});
        let behaviour: Map<_, _> = active.map(|state| (state.code().to_lowercase(), ten.clone())).collect();
        world.simulate("PUT", "/behaviour", &behaviour.into()).await.expect(200);
        world
    }

    /// Sends a request to its simulated cloud.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    pub(crate) async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.site.send(method, &format!("/worlds/{}/api/v1{path}", self.name), &headers, body.as_bytes()).await
    }

    /// Sends a request to whoever controls it.
    pub(crate) async fn simulate(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.site.simulate(method, &format!("/worlds/{}{path}", self.name), body).await
    }

    /// Posts a fault and returns its path.
    pub(crate) async fn post(&self, fault: Value) -> String {
        let posted = self.simulate("POST", "/faults", &fault).await.expect(201).json();
        format!("/faults/{}", posted["id"].as_str().unwrap())
    }

    pub(crate) async fn faults(&self) -> Vec<Value> {
        self.simulate("GET", "/faults", &Value::Null).await.expect(200).items()
    }

    /// How often each fault matched, and struck.
    pub(crate) async fn counts(&self) -> Vec<(u64, u64)> {
        let count = |fault: &Value, name: &str| fault[name].as_u64().unwrap();
        self.faults().await.iter().map(|fault| (count(fault, "matches"), count(fault, "struck"))).collect()
    }

    pub(crate) async fn clock(&self) -> Value {
        self.simulate("GET", "/clock", &Value::Null).await.expect(200).json()
    }

    async fn go(&self, by: &str) {
        self.simulate("POST", "/clock/advance", &json!({ "by": by })).await.expect(200);
    }

    pub(crate) async fn create(&self, name: &str) -> Answer {
        self.ask("POST", "/machines", &json!({"name": name, "cluster_name": "web"})).await
    }

    /// Makes a machine and returns its path.
    pub(crate) async fn machine(&self, name: &str, start: bool) -> String {
        let body = json!({"name": name, "cluster_name": "web", "start": start});
        let made = self.ask("POST", "/machines", &body).await.expect(201).json();
        format!("/machines/{}", made["id"].as_str().unwrap())
    }

    pub(crate) async fn operate(&self, machine: &str, action: &str) -> Answer {
        self.ask("POST", &format!("{machine}?action={action}"), &Value::Null).await
    }

    /// The names and states of the machines, in the order of their names.
    pub(crate) async fn states(&self) -> Vec<String> {
        let machines = self.ask("GET", "/machines?order_by=name&page_size=1000", &Value::Null).await.items();
        let shown =
            |machine: &Value| format!("{} {}", machine["name"].as_str().unwrap(), machine["state"].as_str().unwrap());
        machines.iter().map(shown).collect()
    }

    pub(crate) async fn events(&self, path: &str) -> Vec<Value> {
        self.ask("GET", &format!("{path}?page_size=1000"), &Value::Null).await.expect(200).items()
    }

    /// What the faults did to a machine, match by match; null where they let it pass.
    async fn effects(&self, machine: &str) -> Vec<Value> {
        let events = self.events(&format!("{machine}/events")).await;
        let matched = events.into_iter().filter(|event| event["kind"] == "FAULT_MATCHED");
        matched.map(|event| event.get("effect").cloned().unwrap_or_default()).collect()
    }

    pub(crate) async fn digest(&self) -> Value {
        self.simulate("GET", "/digest", &Value::Null).await.expect(200).json()["digest"].clone()
    }
}

/// A fault on an operation that is refused.
pub(crate) fn refusing(operation: &str, code: &str, status: u16) -> Value {
    json!({"on": {"operation": operation}, "effect": {"kind": "refuse", "code": code, "status": status}})
}

/// The same with more fields.
pub(crate) fn with(mut fault: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    fault.as_object_mut().unwrap().extend(more);
    fault
}

/// Checks that a fault refused it like this, and that it says so.
#[track_caller]
fn expect_refused(answer: &Answer, status: u16, code: &str, fault: &str) {
    answer.expect_problem(status, code, None);
    let told = answer.json();
    assert_eq!(told["title"], json!("Refused by a fault"));
    assert_eq!(told["detail"], json!("a fault of the world refuses it"));
    assert_eq!(told["fault"], json!(fault.replace("/faults/", "")), "{answer}");
}

/// Lets the same happen in two worlds of one seed, on every store: they have the same history.
pub(crate) async fn twice(happens: impl AsyncFn(&World)) {
    on_every_store(Preset::Instant, async |site| {
        let mut digests = Vec::new();
        for name in ["a", "b"] {
            let world = World::slow(site, name).await;
            happens(&world).await;
            digests.push(world.digest().await);
        }
        assert_eq!(digests[0], digests[1]);
    })
    .await;
}
