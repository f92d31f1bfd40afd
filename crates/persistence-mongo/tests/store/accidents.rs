//! Accidents at every command of every way to write: the effect is there once, and the answer says so.

use std::sync::Arc;
use std::time::Duration;

use cloudm_application::ports::{CreationQuery, Store};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Instant, Preset, Rules, Selector};
use cloudm_persistence_contract::builders::{after, cluster, draft_at, events, made, query, seed, touched, update};
use cloudm_persistence_mongo::{MongoStore, Options, Time};
use cloudm_testing_mongo::{self as testing, Program, Running};
use futures_util::future::join_all;
use mongodb::Client;
use mongodb::bson::doc;
use tempfile::TempDir;

use crate::proxy::{Accident, Proxy};
use crate::writes::{Trial, Way};

/// A MongoDB that nobody else uses, and a store in it that nothing happens to.
struct Site {
    running: Running,
    _directory: TempDir,
    store: Arc<dyn Store>,
}

async fn open(uri: String) -> Arc<dyn Store> {
    let (time, entropy) =
        (Time::Shared(Arc::new(ManualWall::new(1_900_000_000_000))), Arc::new(CountingEntropy::default()));
    MongoStore::open(Options { uri, database: "accidents".into(), time, entropy }).await.unwrap()
}

impl Site {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let running = Program::from_env().unwrap().start(directory.path(), testing::Options::default()).unwrap();
        let store = open(running.uri()).await;
        Self { running, _directory: directory, store }
    }

    /// The commands of one way to write.
    async fn commands(&self, way: Way, number: u32) -> Vec<String> {
        let proxy = Proxy::to(self.running.port()).await;
        let trial = Trial::prepare(self.store.as_ref(), way, number).await;
        let store = open(proxy.uri()).await;
        let ports = trial.ready(store.as_ref()).await;
        proxy.passed();
        trial.write(store.as_ref(), ports.as_ref()).await.unwrap();
        let mut passed = proxy.passed();
        // What a world held that is gone is swept beside everything else.
        if let Some(last) = passed.iter().rposition(|command| command == "commitTransaction") {
            passed.truncate(last + 1);
        }
        passed
    }

    /// Lets an accident happen at one command of a write.
    async fn try_accident(&self, way: Way, command: usize, accident: Accident, number: u32) {
        let proxy = Proxy::to(self.running.port()).await;
        for attempt in 1..=TRIES {
            let trial = Trial::prepare(self.store.as_ref(), way, number * TRIES + attempt).await;
            let store = open(proxy.uri()).await;
            let ports = trial.ready(store.as_ref()).await;
            proxy.set_up(command, accident);
            let written = trial.write(store.as_ref(), ports.as_ref()).await;
            assert!(!proxy.is_set_up(), "{way:?} has no command {command}");
            if attempt < TRIES && was_late(&written) {
                continue;
            }
            assert_eq!(written, Ok(()), "{way:?}: {accident:?} at command {command} of {:?}", proxy.passed());
            return trial.check(self.store.as_ref()).await;
        }
    }

    /// Each command of each way to write, numbered.
    async fn everything(&self) -> Vec<(u32, Way, usize)> {
        let mut everything = Vec::new();
        for (number, way) in (1_000_000..).zip(Way::ALL) {
            let commands = self.commands(way, number).await;
            assert!(!commands.is_empty(), "{way:?}");
            everything.extend((0..commands.len()).map(|command| (way, command)));
        }
        (0..).zip(everything).map(|(number, (way, command))| (number, way, command)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_before_a_command() {
    let site = Site::start().await;
    for (number, way, command) in site.everything().await {
        site.try_accident(way, command, Accident::ClosedBefore, number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_after_a_command() {
    let site = Site::start().await;
    for (number, way, command) in site.everything().await {
        site.try_accident(way, command, Accident::ClosedAfter, number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_stalled() {
    let site = Site::start().await;
    let stalled = Accident::Stalled(Duration::from_secs(3));
    let everything = site.everything().await;
    // All at the same time, for each takes as long as it is stalled.
    for some in everything.chunks(24) {
        join_all(some.iter().map(|(number, way, command)| site.try_accident(*way, *command, stalled, *number))).await;
    }
}

/// Lets the database answer the next command of this name with a code.
async fn fail_next(client: &Client, command: &str, code: i32) {
    let data = doc! { "failCommands": [command], "errorCode": code, "appName": "accidents" };
    let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    client.database("admin").run_command(fail).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_answered_with_a_code() {
    let site = Answering::start().await;
    let mut number = 0;
    for way in Way::ALL {
        let undisturbed = site.site.commands(way, 1_000_000 + number).await;
        let mut commands = undisturbed.clone();
        commands.sort_unstable();
        commands.dedup();
        for command in &commands {
            // Shutting down, in conflict, no primary any more, interrupted by a shutdown.
            for code in [91, 112, 10107, 11600] {
                number += TRIES;
                site.answer((way, command), code, number, undisturbed.len()).await;
            }
        }
    }
}

/// What a database says that closed a cursor.
const CURSOR_NOT_FOUND: i32 = 43;

/// How often an accident is tried whose write did not end in time: on a host that stands still for seconds it may not.
const TRIES: u32 = 3;

fn was_late(written: &Result<(), String>) -> bool {
    written.as_ref().is_err_and(|why| why.contains("did not answer in time"))
}

/// A site whose database answers with codes.
struct Answering {
    site: Site,
    client: Client,
    proxy: Proxy,
    store: Arc<dyn Store>,
}

impl Answering {
    async fn start() -> Self {
        let site = Site::start().await;
        let client = Client::with_uri_str(site.running.uri()).await.unwrap();
        let proxy = Proxy::to(site.running.port()).await;
        let store = open(format!("{}&appName=accidents", proxy.uri())).await;
        Self { site, client, proxy, store }
    }

    async fn answer(&self, (way, command): (Way, &str), code: i32, number: u32, undisturbed: usize) {
        for attempt in 1..=TRIES {
            let trial = Trial::prepare(self.site.store.as_ref(), way, number + attempt).await;
            let ports = trial.ready(self.store.as_ref()).await;
            fail_next(&self.client, command, code).await;
            self.proxy.passed();
            let mut written = trial.write(self.store.as_ref(), ports.as_ref()).await;
            if written.is_err() && code == 112 {
                // No server says so outside of a transaction, and nobody tries again there; then nothing was done, and
                // the same can be done anew.
                written = trial.write(self.store.as_ref(), ports.as_ref()).await;
            }
            if attempt < TRIES && was_late(&written) {
                continue;
            }
            assert_eq!(written, Ok(()), "{way:?}: {command} answered with {code}");
            let passed = self.proxy.passed();
            assert!(passed.len() > undisturbed, "{way:?}: {command} was not answered with {code}: {passed:?}");
            return trial.check(self.site.store.as_ref()).await;
        }
    }
}

#[tokio::test]
async fn the_database_gives_up_what_nobody_waits_for_any_more() {
    let site = Site::start().await;
    let proxy = Proxy::to(site.running.port()).await;
    let trial = Trial::prepare(site.store.as_ref(), Way::CreateMachine, 1).await;
    let store = open(proxy.uri()).await;
    let ports = trial.ready(store.as_ref()).await.unwrap();
    proxy.timed();
    ports.machines.list(&query(&Selector::default(), None, 2)).await.unwrap();
    assert_eq!(proxy.timed(), 1);
    ports.events.page(&events(None, None, 10)).await.unwrap();
    assert_eq!(proxy.timed(), 1);
    let past = CreationQuery { until: Instant::DEFAULT_START, after: None, descending: false, limit: 2 };
    ports.events.created(&past).await.unwrap();
    assert_eq!(proxy.timed(), 1);
    ports.machines.due(Instant::DEFAULT_START, 2).await.unwrap();
    assert_eq!(proxy.timed(), 1);
    // It stays open from page to page.
    ports.machines.walk(query(&Selector::default(), None, 2)).next().await.unwrap();
    assert_eq!(proxy.timed(), 0);
}

/// Machines that a walk with two on a page meets in several openings.
const MACHINES: u64 = 1_100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_whose_cursors_are_lost_meets_each_machine_once_as_it_is() {
    let site = Answering::start().await;
    let trial = Trial::prepare(site.site.store.as_ref(), Way::CreateMachine, 1).await;
    let machines = trial.ready(site.store.as_ref()).await.unwrap().machines;
    let (web, rules) = (cluster("web"), Rules::new(seed(), Preset::Instant.behaviour()));
    let fleet = (0..MACHINES).map(|number| draft_at(&web, &format!("m-{number}"), after(number)).made(&rules));
    let fleet: Vec<_> = fleet.collect();
    let written = machines.commit_all(fleet.iter().cloned().map(made).collect(), None).await.unwrap();
    assert!(written.iter().all(Result::is_ok));
    let (mut walk, mut met, mut more) = (machines.walk(query(&Selector::default(), None, 2)), Vec::new(), true);
    while more {
        if met.len() % 200 == 100 {
            fail_next(&site.client, "getMore", CURSOR_NOT_FOUND).await;
        }
        let page = walk.next().await.unwrap();
        if met.is_empty() {
            let last = &fleet[fleet.len() - 1].machine;
            machines.commit(update(last, touched(last, &rules))).await.unwrap();
        }
        met.extend(page.machines.into_iter().map(|placed| (placed.machine.id, placed.machine.version)));
        more = page.next.is_some();
    }
    let mut expected: Vec<_> = fleet.iter().map(|made| (made.machine.id, made.machine.version)).collect();
    expected.iter_mut().last().unwrap().1 += 1;
    assert_eq!(met, expected);
}
