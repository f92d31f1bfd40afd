//! Machines that are TERMINATED, and machines that are forgotten.

use cloudm_application::ports::{ClusterWrite, CommitError, EventPage};
use cloudm_domain::{Instant, MachineId, MachineState, Selector};

use crate::builders::{START, create, draft, events, query, remove, terminated, touched, update};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

pub async fn a_name_is_free_once_its_machine_is_terminated(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in 1..4 {
        let made = draft(&web, "a").id(MachineId::from_bytes([number; 12])).made(&scene.rules);
        let machine = scene.create(made).await;
        assert_eq!(scene.holder(&web, "a").await, Some(machine.clone()));
        scene.terminate(machine).await;
        assert_eq!(scene.holder(&web, "a").await, None);
    }
    // A TERMINATED machine that is written again does not ask for its name back.
    let holder = scene.machine(&web, "a").await;
    let ended = scene.ports.machines.get(MachineId::from_bytes([1; 12])).await.unwrap().unwrap().machine;
    let marked = ended.clone().delete(ended.updated_at, &scene.rules).unwrap();
    scene.update(&ended, marked).await;
    assert_eq!(scene.holder(&web, "a").await, Some(holder));
}

pub async fn a_terminated_machine_is_found_by_its_id(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let machine = scene.terminate(machine).await;
    assert_eq!(machine.state, MachineState::Terminated);
    let found = scene.ports.machines.get(machine.id).await.unwrap().unwrap();
    assert_eq!((&found.machine, &*found.cluster), (&machine, &web));
}

async fn events_of(scene: &Scene<'_>, id: MachineId) -> EventPage {
    scene.ports.events.page(&events(Some(id), None, 100)).await.unwrap()
}

pub async fn a_removed_machine_is_gone_and_its_events_stay(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.create(draft(&web, "a").tags(&["x"]).made(&scene.rules)).await;
    let machine = scene.terminate(machine).await;
    let before = events_of(&scene, machine.id).await;
    assert_eq!(before.events.len() as u64, machine.version);
    scene.remove(&machine).await;

    assert_eq!(scene.ports.machines.get(machine.id).await.unwrap(), None);
    assert_eq!(scene.ports.machines.due(Instant::MAX, 10).await.unwrap(), []);
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
    for state in MachineState::ALL {
        let selector = Selector { states: vec![*state], ..Selector::default() };
        assert!(scene.ports.machines.list(&query(&selector, None, 10)).await.unwrap().machines.is_empty());
    }
    assert_eq!(events_of(&scene, machine.id).await, before);
    assert_refused!(scene.commit(remove(&machine, Vec::new())).await, CommitError::Conflict);
}

pub async fn a_removal_writes_the_events_it_is_given(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.create(draft(&web, "a").tags(&["x"]).made(&scene.rules)).await;
    // From RUNNING to its end and forgotten in one write.
    let ended = terminated(&machine, &scene.rules);
    scene.commit(remove(&machine, ended.events.clone())).await.unwrap();
    assert_eq!(scene.ports.machines.get(machine.id).await.unwrap(), None);
    let kept = events_of(&scene, machine.id).await.events;
    assert_eq!(kept.len() as u64, ended.machine.version);
    assert!(kept.into_iter().map(|one| one.event).skip(machine.version as usize).eq(ended.events));
    // What it held is free, and a tag does not find it any more.
    scene.create(draft(&web, "a").id(MachineId::from_bytes([1; 12])).made(&scene.rules)).await;
    let tagged = Selector { tags: vec!["x".parse().unwrap()], ..Selector::default() };
    assert!(scene.ports.machines.list(&query(&tagged, None, 10)).await.unwrap().machines.is_empty());
}

pub async fn a_removal_needs_the_expected_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let first = scene.machine(&web, "a").await;
    let second = scene.update(&first, touched(&first, &scene.rules)).await;
    let stale = remove(&first, terminated(&first, &scene.rules).events);
    let history = scene.history().await;
    assert_refused!(scene.commit(stale).await, CommitError::Conflict);
    assert_eq!(scene.ports.machines.get(first.id).await.unwrap().unwrap().machine, second);
    assert_eq!(scene.history().await, history);
    let absent = draft(&web, "absent").made(&scene.rules).machine;
    assert_refused!(scene.commit(remove(&absent, Vec::new())).await, CommitError::Conflict);
}

pub async fn of_a_racing_removal_and_update_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for round in 0..10 {
        let machine = scene.machine(&web, &format!("m-{round}")).await;
        let results = race(4, |number| {
            let machines = scene.ports.machines.clone();
            let commit = if number % 2 == 0 {
                remove(&machine, terminated(&machine, &scene.rules).events)
            } else {
                update(&machine, touched(&machine, &scene.rules))
            };
            async move { machines.commit(commit).await }
        })
        .await;
        assert_eq!(winners(&results), 1, "{results:?}");
        let removed = results[0].is_ok() || results[2].is_ok();
        assert_eq!(scene.ports.machines.get(machine.id).await.unwrap().is_none(), removed);
    }
}

pub async fn terminated_machines_of_a_deleted_cluster_are_seen_no_more(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let machine = scene.terminate(machine).await;
    scene.write(ClusterWrite::Delete { id: web.id, expected: 1, at: START }).await.unwrap();

    assert_eq!(scene.ports.machines.get(machine.id).await.unwrap(), None);
    assert!(scene.ports.machines.id_used(machine.id).await.unwrap());
    // A cluster of the same name is another one.
    let again = cloudm_domain::Cluster { id: cloudm_domain::ClusterId::from_bytes([9; 12]), ..web };
    scene.make(again.clone()).await;
    assert_eq!(scene.ports.machines.get(machine.id).await.unwrap(), None);
    let made = draft(&again, "a").id(machine.id).made(&scene.rules);
    assert_refused!(scene.commit(create(made)).await, CommitError::IdUsed);
    // It is still there to be forgotten.
    let due = scene.ports.machines.due(Instant::MAX, 10).await.unwrap();
    assert_eq!(due, std::slice::from_ref(&machine));
    scene.commit(remove(&machine, Vec::new())).await.unwrap();
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
}
