//! The application over a store, with the time moved by hand.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::rt;
use actix_web::test::{self, TestRequest};
use cloudm_application::ports::{NewWorld, Store};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_application::{Cloud, Worlds};
use cloudm_domain::{Catalogue, Incarnation, Instant, Preset, Rate, Rules, Seed, WorldName};
use cloudm_http_actix::HttpApi;
use cloudm_persistence_embedded::{EmbeddedStore, Options};
use cloudm_persistence_mongo::{self as mongo, MongoStore, Time};
use cloudm_testing_mongo as testing_mongo;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::spec;

/// What the wall says when a world is made: 2030-01-01T00:00:00Z.
pub(crate) const START: u64 = 1_893_456_000_000;

/// What [`START`] is in answers.
pub(crate) const START_TEXT: &str = "2030-01-01T00:00:00.000Z";

/// An hour of wall time.
pub(crate) const HOUR: u64 = 3_600_000;

const SEED: u64 = 7;

type Serve = Rc<dyn Fn(TestRequest) -> Pin<Box<dyn Future<Output = Answer>>>>;

thread_local! {
    /// The operations that succeeded in this thread.
    static SUCCEEDED: RefCell<BTreeSet<String>> = RefCell::default();
}

/// The operations that succeeded in this thread since this was last asked.
pub(crate) fn take_succeeded() -> BTreeSet<String> {
    SUCCEEDED.take()
}

/// What the application is made of, for any thread.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) api: HttpApi,
    pub(crate) worlds: Arc<Worlds>,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) wall: Arc<ManualWall>,
}

/// The application over a store, as one thread of a server has it. Clones share it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) parts: Parts,
    serve: Serve,
}

/// What a server does without being asked.
pub(crate) struct Background(rt::task::JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Deref for Site {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Site {
    /// A new world of this preset in memory.
    pub(crate) async fn memory(preset: Preset) -> Self {
        Self::memory_seeded(preset, SEED).await
    }

    /// A new world of this preset and seed in memory.
    pub(crate) async fn memory_seeded(preset: Preset, seed: u64) -> Self {
        let wall = Arc::new(ManualWall::new(START));
        let store = EmbeddedStore::memory(wall.clone(), Arc::new(CountingEntropy::default())).unwrap();
        Self::over(store, preset, seed, wall).await
    }

    /// The world in this directory, made with this preset where there is none; the wall says `wall`.
    pub(crate) async fn open(path: &Path, preset: Preset, wall: u64) -> Self {
        let wall = Arc::new(ManualWall::new(wall));
        let entropy = Arc::new(CountingEntropy::default());
        let options = Options { path: path.to_owned(), wall: wall.clone(), entropy };
        Self::over(EmbeddedStore::open(options).unwrap(), preset, SEED, wall).await
    }

    /// A new world of this preset in this database.
    pub(crate) async fn mongo(uri: &str, database: &str, preset: Preset) -> Self {
        let wall = Arc::new(ManualWall::new(START));
        let (entropy, time) = (Arc::new(CountingEntropy::default()), Time::Shared(wall.clone()));
        let options = mongo::Options { uri: uri.into(), database: database.into(), time, entropy };
        Self::over(MongoStore::open(options).await.unwrap(), preset, SEED, wall).await
    }

    /// A new world of this preset in this store, or the one that is there.
    pub(crate) async fn over(store: Arc<dyn Store>, preset: Preset, seed: u64, wall: Arc<ManualWall>) -> Self {
        let new = NewWorld {
            name: WorldName::default_world(),
            incarnation: Incarnation::from_bytes([1; 12]),
            seed: Seed::new(seed).unwrap(),
            start: None,
            rate: Rate::REAL,
            preset,
            retention: Rules::DEFAULT_RETENTION,
            asked: None,
        };
        let entropy = Arc::new(CountingEntropy::default());
        let worlds = Worlds::open(store.clone(), entropy.clone(), Arc::new(Catalogue::default()), new).await.unwrap();
        let cloud = worlds.cloud(&WorldName::default_world()).await.unwrap();
        let worlds = Arc::new(worlds);
        let api = HttpApi::new(worlds.clone(), store.clone(), entropy);
        Self::of(Parts { api, worlds, cloud, store, wall }).await
    }

    /// The same application in this thread.
    pub(crate) async fn of(parts: Parts) -> Self {
        let service = Rc::new(test::init_service(parts.api.app()).await);
        let serve: Serve = Rc::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                let answered = test::call_service(&*service, request.to_request()).await;
                let (status, headers) = (answered.status().as_u16(), answered.headers().clone());
                let body = to_bytes(answered.into_body()).await.unwrap_or_else(|_| panic!("the body broke off"));
                Answer { status, headers, body: body.to_vec() }
            })
        });
        Self { parts, serve }
    }

    /// Does what a server does without being asked, as long as the answer lives.
    pub(crate) fn background(&self) -> Background {
        let worlds = self.worlds.clone();
        Background(rt::spawn(async move { worlds.run().await }))
    }

    /// Sends any request at all, and checks of its answer what holds of every answer.
    pub(crate) async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = TestRequest::with_uri(uri).method(Method::from_bytes(method.as_bytes()).unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        if !body.is_empty() {
            request = request.set_payload(body.to_vec());
        }
        let answer = (self.serve)(request).await;
        let path = spec::of_any_world(uri.split('?').next().unwrap());
        let given_id = headers.iter().find(|(name, value)| *name == "x-request-id" && is_safe(value));
        answer.check(method, path, given_id.map(|(_, value)| *value));
        if let Some(operation) = spec::operation(method, path)
            && (200..300).contains(&answer.status)
        {
            SUCCEEDED.with_borrow_mut(|succeeded| succeeded.insert(operation.id.clone()));
        }
        answer
    }

    /// Sends a request under `/api/v1`, with a JSON body unless it is null.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let uri = format!("/api/v1{path}");
        if body.is_null() {
            return self.send(method, &uri, headers, &[]).await;
        }
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(method, &uri, &headers, body.to_string().as_bytes()).await
    }

    /// Sends a request under `/sim/v1`, with a JSON body unless it is null.
    pub(crate) async fn simulate(&self, method: &str, path: &str, body: &Value) -> Answer {
        let uri = format!("/sim/v1{path}");
        if body.is_null() {
            return self.send(method, &uri, &[], &[]).await;
        }
        self.send(method, &uri, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, &[], body).await
    }

    /// Changes a resource by a merge patch that is called one.
    pub(crate) async fn merge_patch(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/merge-patch+json; charset=utf-8")];
        self.send("PATCH", &format!("/api/v1{path}"), &headers, body.to_string().as_bytes()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], &Value::Null).await
    }

    /// Starts a fleet operation.
    pub(crate) async fn start(&self, body: &Value) -> Answer {
        self.post("/operations", body).await
    }

    /// Makes a cluster in region A and returns its path.
    pub(crate) async fn cluster(&self, name: &str) -> String {
        let made = self.post("/clusters", &json!({"name": name, "region_code": "A"})).await.expect(201);
        format!("/clusters/{}", made.json()["id"].as_str().unwrap())
    }

    /// Makes a machine in the cluster `web` and returns its path.
    pub(crate) async fn machine(&self, name: &str) -> String {
        self.machine_of(&json!({"name": name, "cluster_name": "web"})).await
    }

    /// Makes a machine of this body and returns its path.
    pub(crate) async fn machine_of(&self, body: &Value) -> String {
        let made = self.post("/machines", body).await.expect(201);
        format!("/machines/{}", made.json()["id"].as_str().unwrap())
    }

    /// Asks an operation of the machine at this path.
    pub(crate) async fn operate(&self, path: &str, action: &str) -> Answer {
        self.post(&format!("{path}?action={action}"), &Value::Null).await
    }

    /// The state of the machine at this path.
    pub(crate) async fn state(&self, path: &str) -> String {
        self.get(path).await.expect(200).json()["state"].as_str().unwrap().to_owned()
    }

    /// Moves the wall, and so the world, to an instant as answers write it.
    pub(crate) fn go_to(&self, instant: &Value) {
        self.wall.set(instant.as_str().unwrap().parse::<Instant>().unwrap().millis());
    }

    /// Moves the wall to one millisecond before the instant.
    pub(crate) fn go_just_before(&self, instant: &Value) {
        self.wall.set(instant.as_str().unwrap().parse::<Instant>().unwrap().millis() - 1);
    }

    /// All items of a list, page by page.
    pub(crate) async fn walk(&self, list: &str) -> Vec<Value> {
        let (mut items, mut link) = (Vec::new(), format!("/api/v1{list}"));
        loop {
            let page = self.send("GET", &link, &[], &[]).await.expect(200);
            items.extend(page.items());
            let Some(next) = page.header("link") else {
                assert_eq!(page.json().get("next_page_token"), None);
                return items;
            };
            let token = page.json()["next_page_token"].as_str().unwrap().to_owned();
            link = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(link.ends_with(&format!("page_token={token}")), "{link}");
        }
    }

    /// Everything that a client can see: a request that changes nothing leaves it as it is.
    pub(crate) async fn everything(&self) -> Value {
        let states: Vec<_> = cloudm_domain::MachineState::ALL.iter().map(|state| state.code()).collect();
        json!({
            "clusters": self.walk("/clusters?page_size=1000").await,
            "machines": self.walk(&format!("/machines?page_size=1000&state={}", states.join(","))).await,
            "events": self.walk("/events?page_size=1000").await,
            "operations": self.walk("/operations?page_size=1000").await,
            "worlds": self.simulate("GET", "/worlds?page_size=1000", &Value::Null).await.items(),
        })
    }
}

/// Whether a request id may be repeated in an answer and a log.
fn is_safe(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
}

/// Runs a test on a new world of this preset in memory, on one in a directory and on one in MongoDB.
pub(crate) async fn on_every_store(preset: Preset, test: impl AsyncFn(&Site)) {
    test(&Site::memory(preset).await).await;
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(directory.path(), preset, START).await;
    test(&site).await;
    site.store.close().await;

    let (uri, name) = (testing_mongo::uri().unwrap(), directory.path().file_name().unwrap().to_string_lossy());
    let database = format!("cloudm-test{}", name.replace('.', "-"));
    let site = Site::mongo(&uri, &database, preset).await;
    test(&site).await;
    site.store.close().await;
    testing_mongo::drop_database(&uri, &database);
}

/// The same, of what makes the same history on each of them.
pub(crate) async fn alike_on_every_store(preset: Preset, test: impl AsyncFn(&Site)) {
    let digests = RefCell::new(Vec::new());
    on_every_store(preset, async |site| {
        test(site).await;
        let mut told = Vec::new();
        for world in site.simulate("GET", "/worlds", &Value::Null).await.expect(200).items() {
            let path = format!("/worlds/{}/digest", world["name"].as_str().unwrap());
            told.push((
                path.clone(),
                site.simulate("GET", &path, &Value::Null).await.expect(200).json()["digest"].clone(),
            ));
        }
        digests.borrow_mut().push(told);
    })
    .await;
    let digests = digests.into_inner();
    assert!(digests.len() == 3 && digests.iter().all(|one| *one == digests[0]), "{digests:?}");
}
