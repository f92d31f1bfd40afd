//! A world to ask bad things of, and the good requests that bad ones are made of.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::Site;
use crate::spec::{self, Operation};

/// A machine that exists, is STOPPED, and is called `a` in the cluster `web`.
pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) cluster: String,
    pub(super) machine: String,
    /// One that has ended, with results.
    pub(super) operation: String,
    /// One of the world `spare`.
    fault: String,
    /// One of its schedule.
    entry: String,
    /// That of the world `spare`.
    snapshot: Vec<u8>,
}

/// A request that would be carried out as it is.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.retain(|(other, _)| other != name);
        self.query.push((name.into(), value.into()));
        self
    }

    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), content_type: Some("application/json"), ..self }
    }

    pub(super) fn uri(&self) -> String {
        let pairs: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

impl Scene {
    pub(super) async fn new() -> Self {
        let site = Site::memory(Preset::Instant).await;
        let cluster = site.cluster("web").await;
        site.cluster("other").await;
        let stopped = json!({"name": "a", "cluster_name": "web", "tags": ["x"], "start": false});
        let machine = site.machine_of(&stopped).await;
        site.machine("b").await;
        let nothing = json!({"kind": "TAG", "all": true, "remove_tags": ["none-has-it"]});
        site.start(&nothing).await.expect(200);
        let operation = site.start(&nothing).await.expect(200).json();
        let operation = format!("/operations/{}", operation["id"].as_str().unwrap());
        let spare = json!({"name": "spare", "seed": 7, "preset": "realistic"});
        site.simulate("POST", "/worlds", &spare).await.expect(201);
        let snapshot = site.simulate("GET", "/worlds/spare/snapshot", &Value::Null).await.expect(200).body;
        let fault = post(&site, "faults", "createFault").await;
        let entry = post(&site, "schedule", "createScheduleEntry").await;
        Self { site, cluster, machine, operation, fault, entry, snapshot }
    }

    /// A request of this operation that would be carried out.
    pub(super) fn request(&self, operation: &'static Operation) -> Request {
        let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let id = match &operation.path {
            path if path.contains("/clusters/") => id(&self.cluster),
            path if path.contains("/operations/") => id(&self.operation),
            path if path.contains("/faults/") => self.fault.clone(),
            path if path.contains("/schedule/") => self.entry.clone(),
            _ => id(&self.machine),
        };
        let method = operation.method.as_str();
        let mut request = Request {
            method,
            path: operation.path.replace("{id}", &id).replace("{world}", "spare"),
            query: vec![],
            content_type: None,
            body: vec![],
        };
        if operation.body().is_some() {
            request = request.body(good_body(&operation.id).to_string());
        }
        if operation.takes_other_than_json() {
            let lines = if operation.id == "putSnapshot" { self.snapshot.clone() } else { IMPORT.into() };
            request = Request { content_type: Some("application/x-ndjson"), ..request.body(lines) };
        }
        if operation.id == "waitForMachine" {
            request = request.query("state", "STOPPED");
        }
        if operation.has_query("action") { request.query("action", "START") } else { request }
    }

    /// Sends a bad request: the answer is this problem, and nothing has changed.
    pub(super) async fn refuses(&self, request: &Request, status: u16, code: &str, pointer: Option<&str>) {
        let before = self.site.everything().await;
        let content_type = request.content_type.map(|value| ("content-type", value));
        let headers: Vec<_> = content_type.into_iter().collect();
        let answer = self.site.send(request.method, &request.uri(), &headers, &request.body).await;
        let label = format!("{} {} {}", request.method, request.uri(), String::from_utf8_lossy(&request.body));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{label:.300}: {answer}");
        if pointer.is_some() {
            let mistake = &answer.json()["errors"][0];
            assert_eq!((mistake["pointer"].as_str(), &mistake["code"]), (pointer, &json!(code)), "{label:.300}");
        }
        assert_eq!(self.site.everything().await, before, "{label:.300}");
    }
}

/// Lets the world `spare` have a fault or an entry of its schedule, and returns its id.
async fn post(site: &Site, what: &str, operation: &str) -> String {
    let posted = site.simulate("POST", &format!("/worlds/spare/{what}"), &good_body(operation)).await.expect(201);
    posted.json()["id"].as_str().unwrap().to_owned()
}

/// Lines that would be imported.
const IMPORT: &str = "{\"name\": \"imported\", \"cluster_name\": \"web\"}\n";

/// A body with which an operation would be carried out.
pub(super) fn good_body(operation: &str) -> Value {
    match operation {
        "createCluster" => json!({"name": "new", "region_code": "B"}),
        "editCluster" => json!({"name": "new", "region_code": "B"}),
        "createMachine" => json!({
            "name": "new", "cluster_name": "web", "tags": ["y"], "machine_type": "large", "start": false,
            "protection": {"stop": true, "terminate": false},
        }),
        "editMachine" => json!({"name": "new", "tags": ["y"], "protection": {"stop": true, "terminate": true}}),
        // What goes with other kinds is tried beside the tests of fleets.
        "createOperation" => json!({"kind": "STOP", "selector": {"name": "b"}, "force": true}),
        "createWorld" => json!({
            "name": "new", "seed": 8, "start": "2030-01-01T00:00:00Z", "rate": 60.0, "preset": "flaky", "retention": "2h",
        }),
        "editWorld" => json!({"retention": "2h"}),
        "forkWorld" => json!({"name": "copy", "seed": 9}),
        "editClock" => json!({"rate": 2.0}),
        "advanceClock" => json!({"by": "2m"}),
        "runUntilIdle" => json!({"limit": "2m"}),
        "putBehaviour" => serde_json::to_value(Preset::Flaky.behaviour()).unwrap(),
        "putCapacity" => json!({
            "pools": [{"region_code": "A", "machine_type": "small", "size": 10}], "suspended_frees_place": true,
        }),
        "editCapacity" => json!({
            "region_code": "A", "machine_type": "small", "size": 10,
            "refills": [{"at": "2030-01-02T00:00:00Z", "size": 20}],
        }),
        "createFault" => json!({
            "on": {"operation": "START"}, "selector": {"name": "b"}, "scope": "world", "after": 1, "times": 2,
            "probability": 0.5,
            "effect": {"kind": "delay", "by": "30s"}, "active_from": "2030-01-02T00:00:00Z",
            "active_until": "2030-01-03T00:00:00Z",
        }),
        "createScheduleEntry" => json!({
            "kind": "MAINTENANCE_STOP", "selector": {"name": "b"}, "not_before": "2030-01-02T00:00:00Z",
            "deadline": "2030-01-02T01:00:00Z", "notice": "10m",
        }),
        "putScenario" => json!({
            "seed": 8, "start": "2030-01-01T00:00:00Z", "rate": 60.0, "retention": "2h", "preset": "realistic",
            "behaviour": Preset::Flaky.behaviour(), "capacity": good_body("putCapacity"), "faults": [good_body("createFault")],
            "schedule": [good_body("createScheduleEntry")],
            "clusters": [{"name": "web", "region_code": "A"}], "machines": [{"name": "m-{n}", "count": 2, "cluster_name": "web"}],
        }),
        other => panic!("{other} needs a good body here"),
    }
}

/// The fields of a body with their good values.
pub(super) fn fields(operation: &Operation) -> Vec<(String, Value)> {
    good_body(&operation.id).as_object().unwrap().clone().into_iter().collect()
}

/// The operation's good body with a field in place of what it had.
pub(super) fn with(operation: &Operation, field: &str, value: impl Into<Value>) -> String {
    let mut body = good_body(&operation.id);
    body[field] = value.into();
    body.to_string()
}

pub(super) fn operations() -> impl Iterator<Item = &'static Operation> {
    spec::operations().iter()
}

pub(super) fn with_a_body() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|operation| operation.body().is_some())
}

pub(super) fn with_the_parameter(name: &'static str) -> impl Iterator<Item = &'static Operation> {
    operations().filter(move |operation| operation.has_query(name))
}

#[actix_web::test]
async fn the_requests_that_the_bad_ones_are_made_of_are_good() {
    let scene = Scene::new().await;
    let empty = scene.site.cluster("empty").await;
    for operation in operations() {
        let mut request = scene.request(operation);
        if operation.has_query("dry_run") {
            request = request.query("dry_run", "true");
        }
        if operation.id == "deleteCluster" {
            request.path = format!("/api/v1{empty}");
        }
        if operation.id == "deleteWorld" {
            scene.site.simulate("POST", "/worlds", &json!({"name": "going"})).await.expect(201);
            request.path = request.path.replace("spare", "going");
        }
        if operation.path.contains("/faults/") {
            request.path = request.path.replace(&scene.fault, &post(&scene.site, "faults", "createFault").await);
        }
        if operation.path.contains("/schedule/") {
            let another = post(&scene.site, "schedule", "createScheduleEntry").await;
            request.path = request.path.replace(&scene.entry, &another);
        }
        let headers: Vec<_> = request.content_type.map(|value| ("content-type", value)).into_iter().collect();
        let answer = scene.site.send(request.method, &request.uri(), &headers, &request.body).await;
        assert!((200..300).contains(&answer.status), "{}: {answer}", operation.id);
    }
}

#[actix_web::test]
async fn the_good_bodies_have_every_field() {
    for operation in with_a_body() {
        let properties = operation.body().unwrap()["properties"].as_object().unwrap();
        let named: Vec<_> = properties.keys().cloned().collect();
        let given: Vec<_> = fields(operation).into_iter().map(|(name, _)| name).collect();
        // A clock is moved by one of two; and each kind of operation has its fields.
        let others: &[&str] = match operation.id.as_str() {
            "advanceClock" => &["to"],
            "createOperation" => &["count", "template", "all", "machine_type", "add_tags", "remove_tags"],
            _ => &[],
        };
        let named = named.into_iter().filter(|name| !others.contains(&name.as_str())).collect();
        assert_eq!(sorted(given), sorted(named), "{}", operation.id);
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}
