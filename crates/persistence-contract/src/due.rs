//! What is due.

use cloudm_domain::{Command, Instant, Machine, MachineId, Span};

use crate::builders::{START, after, asked, draft, draft_at};
use crate::{Fixture, Scene};

async fn due(scene: &Scene<'_>, until: Instant, limit: usize) -> Vec<Machine> {
    scene.ports.machines.due(until, limit).await.unwrap()
}

pub async fn what_is_due_is_found_earliest_first(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut made = Vec::new();
    for millis in [5_000, 1_000, 9_000, 3_000] {
        let one = draft_at(&web, &format!("m-{millis}"), after(millis)).made(&scene.slow);
        made.push(scene.create(one).await);
    }
    let at = |machine: &Machine| machine.next.unwrap().at;
    made.sort_by_key(at);
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), Some(at(&made[0])));
    assert_eq!(due(&scene, Instant::MAX, 10).await, made);
    // `until` is included.
    assert_eq!(due(&scene, at(&made[1]), 10).await, made[..2]);
    let before = Instant::from_millis(at(&made[1]).millis() - 1).unwrap();
    assert_eq!(due(&scene, before, 10).await, made[..1]);
    assert_eq!(due(&scene, START, 10).await, []);
}

pub async fn what_is_due_at_one_instant_is_in_order_of_ids(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in [7, 2, 9, 4] {
        let id = MachineId::from_bytes([number; 12]);
        scene.create(draft(&web, &format!("m-{number}")).id(id).made(&scene.slow)).await;
    }
    let ids: Vec<_> = due(&scene, Instant::MAX, 10).await.iter().map(|machine| machine.id.as_bytes()[0]).collect();
    assert_eq!(ids, [2, 4, 7, 9]);
}

pub async fn no_more_than_the_limit_is_found(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in 0..5 {
        scene.create(draft_at(&web, &format!("m-{number}"), after(number)).made(&scene.slow)).await;
    }
    let names: Vec<_> = due(&scene, Instant::MAX, 3).await.iter().map(|machine| machine.name.to_string()).collect();
    assert_eq!(names, ["m-0", "m-1", "m-2"]);
}

pub async fn nothing_due_is_found_where_nothing_is(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    // RUNNING and at rest.
    scene.machine(&web, "a").await;
    assert_eq!(due(&scene, Instant::MAX, 10).await, []);
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
}

pub async fn what_is_to_be_forgotten_is_due(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let machine = scene.terminate(machine).await;
    let forgotten = machine.next.unwrap().at;
    assert!(forgotten > START.plus(Span::from_secs(60)));
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), Some(forgotten));
    assert_eq!(due(&scene, forgotten, 10).await, [machine]);
}

pub async fn a_write_moves_what_is_due(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let first = scene.create(draft(&web, "a").made(&scene.slow)).await;
    let other = scene.create(draft_at(&web, "b", after(10)).made(&scene.slow)).await;
    // PROVISIONING ends, STARTING begins: due a minute later.
    let settled = first.clone().settle(first.due_at().unwrap(), &scene.slow);
    let second = scene.update(&first, settled).await;
    assert!(second.due_at() > first.due_at());
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), other.due_at());
    // Once it is RUNNING, nothing of it is due.
    let settled = second.clone().settle(second.due_at().unwrap(), &scene.slow);
    let third = scene.update(&second, settled).await;
    assert_eq!(due(&scene, Instant::MAX, 10).await, std::slice::from_ref(&other));
    let stopping = asked(&third, Command::Stop, third.updated_at, &scene.slow);
    let stopping = scene.update(&third, stopping).await;
    assert_eq!(due(&scene, Instant::MAX, 10).await, [other, stopping]);
}
