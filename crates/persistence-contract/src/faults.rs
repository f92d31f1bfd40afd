//! Faults: how often they matched is counted with what they matched.

use std::collections::BTreeSet;

use cloudm_application::ports::{
    Commit, FaultMatches, FleetBatch, FleetEntry, ForkedWorld, MachineWrite, RequestCounted, World, WorldCommit,
    WorldPorts,
};
use cloudm_domain::{
    Cause, Cluster, Command, Effect, FaultId, FaultOn, FaultRefusal, FaultRule, Incarnation, Machine, MachineEvent,
    Outcome, RequestPattern, Rules, Span,
};

use crate::builders::{
    self, FOREVER, START, after, create, done, draft, lease, made, new_world, operation, remove, touched, update,
};
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

/// Rules by which nothing takes time, with faults; and their ids.
pub(crate) fn with(faults: impl IntoIterator<Item = FaultRule>) -> (Rules, Vec<FaultId>) {
    let mut rules = Rules::new(builders::seed(), cloudm_domain::Preset::Instant.behaviour());
    for fault in faults {
        rules.faults.push(fault, START, builders::seed());
    }
    let ids = rules.faults.iter().map(|fault| fault.id).collect();
    (rules, ids)
}

pub(crate) fn refuses(operation: Cause) -> FaultRule {
    FaultRule::new(FaultOn::Operation(operation), Effect::Refuse(FaultRefusal { code: "no".into(), status: 500 }))
}

pub(crate) fn loses_replies() -> FaultRule {
    let on = FaultOn::Request(RequestPattern { method: None, path: "/machines".into() });
    FaultRule::new(on, Effect::LoseReply)
}

/// Every REBOOT is let pass the first time, and takes a second longer the second time.
fn reboots() -> FaultRule {
    let delay = FaultRule::new(FaultOn::Operation(Cause::Reboot), Effect::Delay(Span::from_secs(1)));
    FaultRule { after: 1, times: Some(1), ..delay }
}

fn reboot(machine: &Machine, rules: &Rules) -> Outcome {
    builders::asked(machine, Command::Reboot, machine.updated_at.plus(Span::from_secs(2)), rules)
}

pub(crate) async fn matches(ports: &WorldPorts) -> Vec<(FaultId, u64, u64)> {
    let mut matches = ports.faults.matches().await.unwrap();
    matches.sort_unstable();
    matches.into_iter().map(|FaultMatches { fault, matches, struck }| (fault, matches, struck)).collect()
}

/// A machine that a fault keeps from being made: what is written of it.
fn unmade(cluster: &Cluster, name: &str, rules: &Rules) -> MachineWrite {
    let made = draft(cluster, name).made(rules);
    assert!(made.struck_down.is_some());
    MachineWrite { before: None, after: None, events: made.events }
}

pub async fn a_machine_is_read_with_the_matches_of_its_faults(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = with([reboots(), refuses(Cause::Stop)]);
    let running = scene.machine(&web, "a").await;
    let once = scene.update(&running, reboot(&running, &rules)).await;
    let twice = scene.update(&once, reboot(&once, &rules)).await;
    let refused = scene.update(&twice, builders::asked(&twice, Command::Stop, after(9_000), &rules)).await;
    assert_eq!(faults.iter().map(|fault| refused.matches_of(*fault)).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(scene.holder(&web, "a").await, Some(refused.clone()));
    assert_eq!(scene.ports.machines.get(refused.id).await.unwrap().unwrap().machine, refused);
    assert_eq!(matches(&scene.ports).await, sorted([(faults[0], 2, 1), (faults[1], 1, 1)]));
}

fn sorted<const N: usize>(mut counts: [(FaultId, u64, u64); N]) -> Vec<(FaultId, u64, u64)> {
    counts.sort_unstable();
    counts.to_vec()
}

pub async fn matches_are_counted_with_what_is_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    assert_eq!(matches(&scene.ports).await, []);
    let (rules, faults) = with([reboots(), refuses(Cause::Create)]);
    let (slow, never) = (faults[0], faults[1]);
    let running = scene.machine(&web, "a").await;
    let rebooted = scene.update(&running, reboot(&running, &rules)).await;
    assert_eq!(matches(&scene.ports).await, [(slow, 1, 0)]);
    // What is refused counts nothing.
    scene.commit(update(&running, reboot(&running, &rules))).await.unwrap_err();
    scene.commit(unmade(&builders::cluster("none"), "b", &rules).into()).await.unwrap_err();
    assert_eq!(matches(&scene.ports).await, [(slow, 1, 0)]);
    scene.commit(unmade(&web, "b", &rules).into()).await.unwrap();
    assert!(scene.ports.machines.id_used(unmade(&web, "b", &rules).machine().unwrap()).await.unwrap());
    let writes = vec![
        builders::changed(&rebooted, reboot(&rebooted, &rules)),
        unmade(&web, "c", &rules),
        unmade(&web, "b", &rules),
        made(draft(&web, "d").made(&scene.rules)),
    ];
    let written = scene.ports.machines.commit_all(writes, None).await.unwrap();
    assert_eq!(written.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(matches(&scene.ports).await, sorted([(slow, 2, 1), (never, 2, 2)]));
}

pub async fn matches_of_a_fleet_operation_are_counted(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = with([refuses(Cause::Create), refuses(Cause::Reboot)]);
    let running = scene.machine(&web, "a").await;
    let accepted = scene.ports.operations.accept(operation(1), Some(lease(1, 0, FOREVER)), None).await.unwrap();
    let entries: Vec<FleetEntry> =
        vec![done(unmade(&web, "b", &rules)), done(builders::changed(&running, reboot(&running, &rules)))];
    let batch = FleetBatch {
        operation: accepted.id,
        lease: lease(1, 0, FOREVER),
        entries,
        cursor: accepted.cursor.clone(),
        ending: None,
        sizes: None,
    };
    let worked = scene.ports.operations.work(batch.clone()).await.unwrap();
    assert!(worked.entries.iter().all(Result::is_ok));
    let counted = sorted([(faults[0], 1, 1), (faults[1], 1, 1)]);
    assert_eq!(matches(&scene.ports).await, counted);
    // Whoever works on the same machines again finds them done.
    scene.ports.operations.work(batch).await.unwrap();
    assert_eq!(matches(&scene.ports).await, counted);
}

pub async fn matches_are_right_after_a_crowd(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = with([refuses(Cause::Create)]);
    let refused = race(8, |task| {
        let (machines, web, rules) = (scene.ports.machines.clone(), web.clone(), rules.clone());
        async move {
            for number in 0..5 {
                // Two tasks each race for the same ids.
                let write = unmade(&web, &format!("m-{}-{number}", task / 2), &rules);
                let _ = machines.commit(Commit::from(write)).await;
            }
        }
    });
    refused.await;
    let told = scene.history().await.iter().filter(|event| is_match(event)).count() as u64;
    assert_eq!((told, matches(&scene.ports).await), (20, vec![(faults[0], 20, 20)]));
}

fn is_match(event: &MachineEvent) -> bool {
    event.change.fault_match().is_some()
}

pub async fn a_refused_creation_leaves_nothing_but_its_history(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, _) = with([refuses(Cause::Create)]);
    let write = unmade(&web, "a", &rules);
    scene.commit(write.clone().into()).await.unwrap();
    assert_eq!(scene.history().await, write.events);
    assert_eq!(scene.holder(&web, "a").await, None);
    assert!(scene.ports.machines.counts().await.unwrap().is_empty());
    let again = scene.commit(write.into()).await;
    assert_refused!(again, cloudm_application::ports::CommitError::IdUsed);
    let torn = MachineWrite { before: None, after: None, events: Vec::new() };
    assert!(scene.commit(torn.into()).await.is_err());
}

pub async fn each_request_is_counted_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let faults = scene.ports.faults.clone();
    let (one, other) = (FaultId::from_bytes([1; 12]), FaultId::from_bytes([2; 12]));
    assert_eq!(faults.requests().await.unwrap(), []);
    let numbers = race(8, |_| {
        let faults = faults.clone();
        async move {
            let mut numbers = Vec::new();
            for _ in 0..5 {
                numbers.push(faults.count_request(one, RequestCounted::Matched).await.unwrap());
            }
            numbers
        }
    });
    let numbers: BTreeSet<_> = numbers.await.into_iter().flatten().collect();
    assert_eq!(numbers, (0..40).collect());
    assert_eq!(faults.count_request(other, RequestCounted::Drawn).await.unwrap(), 0);
    assert_eq!(faults.count_request(one, RequestCounted::Drawn).await.unwrap(), 0);
    assert_eq!(faults.count_request(one, RequestCounted::Drawn).await.unwrap(), 1);
    let mut requests = scene.ports.faults.requests().await.unwrap();
    requests.retain(|(_, matched)| *matched > 0);
    assert_eq!(requests, [(one, 40)]);
    assert_eq!(scene.ports.faults.count_request(one, RequestCounted::Matched).await.unwrap(), 40);
    assert_eq!(matches(&scene.ports).await, [], "they are in no history");
}

pub async fn the_first_requests_of_a_fault_are_counted_once_each(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for number in 0..20 {
        let fault = FaultId::from_bytes([number; 12]);
        let counted = race(16, |_| {
            let faults = scene.ports.faults.clone();
            async move { faults.count_request(fault, RequestCounted::Matched).await.unwrap() }
        });
        let mut counted = counted.await;
        counted.sort_unstable();
        assert_eq!(counted, (0..16).collect::<Vec<_>>());
    }
}

pub async fn copies_of_a_world_begin_with_the_matches_that_its_history_tells(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = with([refuses(Cause::Create)]);
    scene.commit(unmade(&web, "a", &rules).into()).await.unwrap();
    scene.ports.faults.count_request(faults[0], RequestCounted::Matched).await.unwrap();
    let before = [(faults[0], 1, 1)];
    let life = Incarnation::from_bytes([2; 12]);
    let fork = ForkedWorld { name: "copy".parse().unwrap(), incarnation: life, seed: None, asked: None };
    let copy = scene.store.fork_world(scene.ports.incarnation, fork).await.unwrap();
    let loaded = crate::counts::load(&scene, World::create(new_world("loaded", 3), Scene::WALL)).await;
    for world in [&copy, &loaded] {
        assert_eq!(matches(world).await, before);
        assert_eq!(world.faults.requests().await.unwrap(), []);
        world.machines.commit(unmade(&web, "b", &rules).into()).await.unwrap();
        assert_eq!(matches(world).await, [(faults[0], 2, 2)]);
    }
    assert_eq!(matches(&scene.ports).await, before);
    let reset = scene.store.replace_world(copy.incarnation, new_world("copy", 4)).await.unwrap();
    assert_eq!(matches(&reset).await, []);
}

pub async fn a_name_says_that_there_are_faults_on_requests(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let view = scene.ports.world.read().await.unwrap();
    let mut world = World::clone(&view.world);
    world.rules.faults.push(loses_replies(), after(5), builders::seed());
    world.version += 1;
    let commit = WorldCommit { expected: view.world.version, world, unseen: None, keep: None };
    scene.ports.world.commit(commit.clone()).await.unwrap();
    assert_eq!(*scene.ports.world.read().await.unwrap().world, commit.world);
    let life = Incarnation::from_bytes([2; 12]);
    let fork = ForkedWorld { name: "copy".parse().unwrap(), incarnation: life, seed: None, asked: None };
    let copy = scene.store.fork_world(scene.ports.incarnation, fork).await.unwrap();
    assert_eq!(copy.world.read().await.unwrap().world.rules.faults, commit.world.rules.faults);
    for name in ["default", "copy"] {
        let found = scene.store.find_world(&name.parse().unwrap()).await.unwrap().unwrap();
        assert!(found.request_faults, "{name}");
    }
}

pub async fn a_machine_that_faults_matched_is_forgotten(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = with([refuses(Cause::Stop)]);
    let running = scene.create(draft(&web, "a").made(&rules)).await;
    let refused = scene.update(&running, builders::asked(&running, Command::Stop, START, &rules)).await;
    let touched = scene.update(&refused, touched(&refused, &rules)).await;
    let ended = scene.terminate(touched).await;
    scene.commit(remove(&ended, Vec::new())).await.unwrap();
    assert_eq!(matches(&scene.ports).await, [(faults[0], 1, 1)], "its history stays");
    scene.commit(create(draft(&web, "b").made(&rules))).await.unwrap();
}
