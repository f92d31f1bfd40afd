//! Faults whose matches are counted for the whole world: each match is written where it is the next one, and nowhere else.

use cloudm_application::ports::{CommitError, FleetBatch, ForkedWorld, MachineWrite, WorldPorts};
use cloudm_domain::{Cause, Cluster, FaultRule, FaultScope, Incarnation, MachineId, Rules};

use crate::builders::{FOREVER, draft, lease, made, operation};
use crate::faults::{matches, refuses, with};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

/// Rules by which so many creations of the world are let pass, and the others are refused.
fn after(passing: u32) -> Rules {
    with([FaultRule { scope: FaultScope::World, after: passing, ..refuses(Cause::Create) }]).0
}

/// What is written of a creation, once so many matched; an id of its own makes it another machine.
fn creation(cluster: &Cluster, (name, id): (&str, u8), rules: &Rules, matched: u64) -> MachineWrite {
    let mut rules = rules.clone();
    let counted: Vec<_> = rules.faults.iter().map(|fault| (fault.id, matched)).collect();
    rules.faults.recount(counted);
    let outcome = draft(cluster, name).id(MachineId::from_bytes([id; 12])).made(&rules);
    match outcome.struck_down {
        None => made(outcome),
        Some(_) => MachineWrite { before: None, after: None, events: outcome.events },
    }
}

async fn counted(ports: &WorldPorts) -> Option<(u64, u64)> {
    matches(ports).await.first().map(|(_, matches, struck)| (*matches, *struck))
}

fn taken(written: &[Result<(), CommitError>]) -> Vec<bool> {
    let fits = |one: &Result<(), CommitError>| matches!(one, Ok(()) | Err(CommitError::Miscounted));
    assert!(written.iter().all(fits), "{written:?}");
    written.iter().map(Result::is_ok).collect()
}

pub async fn only_the_next_match_in_the_world_is_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = after(1);
    let write = |name, id, matched| creation(&web, (name, id), &rules, matched);
    assert_refused!(scene.commit(write("a", 1, 1).into()).await, CommitError::Miscounted);
    scene.commit(write("a", 1, 0).into()).await.unwrap();
    let history = scene.history().await;
    for early in [write("b", 2, 0), write("a", 1, 0), write("b", 2, 2)] {
        assert_refused!(scene.commit(early.into()).await, CommitError::Miscounted);
    }
    assert_eq!(scene.history().await, history, "nothing is written of it");
    assert_refused!(scene.commit(write("b", 1, 1).into()).await, CommitError::IdUsed);
    let refused = write("b", 2, 1);
    assert!(refused.unmade().is_some());
    scene.commit(refused.into()).await.unwrap();
    assert_eq!(counted(&scene.ports).await, Some((2, 1)));
}

pub async fn writes_at_once_tell_one_match_after_the_other(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = after(2);
    let write = |name, id, matched| creation(&web, (name, id), &rules, matched);
    let plain = made(draft(&web, "plain").made(&scene.rules));
    let writes = vec![write("a", 1, 0), plain, write("b", 2, 0), write("c", 3, 1), write("d", 4, 3), write("e", 5, 2)];
    let written = scene.ports.machines.commit_all(writes, None).await.unwrap();
    assert_eq!(taken(&written), [true, true, false, true, false, true]);
    assert_eq!(counted(&scene.ports).await, Some((3, 1)));
}

pub async fn a_fleet_operation_tells_one_match_after_the_other(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = after(1);
    let accepted = scene.ports.operations.accept(operation(1), Some(lease(1, 0, FOREVER)), None).await.unwrap();
    let batch = |writes: Vec<MachineWrite>| FleetBatch {
        operation: accepted.id,
        lease: lease(1, 0, FOREVER),
        entries: writes.into_iter().map(crate::builders::done).collect(),
        cursor: accepted.cursor.clone(),
        ending: None,
        sizes: None,
    };
    let write = |name, id, matched| creation(&web, (name, id), &rules, matched);
    let first = batch(vec![write("a", 1, 0), write("b", 2, 1), write("c", 3, 1)]);
    let worked = scene.ports.operations.work(first.clone()).await.unwrap();
    assert_eq!(taken(&worked.entries), [true, true, false]);
    // Whoever works on the same machines again finds them done, and goes on.
    let again = batch(vec![write("a", 1, 0), write("b", 2, 1), write("c", 3, 2)]);
    assert_eq!(taken(&scene.ports.operations.work(again).await.unwrap().entries), [true; 3]);
    assert_eq!(counted(&scene.ports).await, Some((3, 2)));
}

pub async fn of_those_that_race_for_a_match_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = after(100);
    for matched in 0..3 {
        let results = race(16, |number| {
            let write =
                creation(&web, (&format!("m-{matched}-{number}"), 16 * matched as u8 + number as u8), &rules, matched);
            let machines = scene.ports.machines.clone();
            async move { machines.commit(write.into()).await }
        })
        .await;
        assert_eq!(winners(&results), 1);
        taken(&results);
        assert_eq!(counted(&scene.ports).await, Some((matched + 1, 0)));
    }
}

pub async fn copies_of_a_world_go_on_counting(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = after(100);
    let write = |name, id, matched| creation(&web, (name, id), &rules, matched);
    scene.commit(write("a", 1, 0).into()).await.unwrap();
    let life = Incarnation::from_bytes([2; 12]);
    let fork = ForkedWorld { name: "copy".parse().unwrap(), incarnation: life, seed: None, asked: None };
    let copy = scene.store.fork_world(scene.ports.incarnation, fork).await.unwrap();
    for world in [&scene.ports, &copy] {
        assert_refused!(world.machines.commit(write("b", 2, 0).into()).await, CommitError::Miscounted);
        world.machines.commit(write("b", 2, 1).into()).await.unwrap();
        assert_eq!(counted(world).await, Some((2, 0)));
    }
}
