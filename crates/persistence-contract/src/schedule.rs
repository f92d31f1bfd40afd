//! What is done to machines at known instants.

use cloudm_application::ports::WorldCommit;
use cloudm_domain::{Instant, Machine, Preset, Rules, ScheduleKind, ScheduleRule, Selector, Span};

use crate::builders::{self, START, after};
use crate::{Fixture, Scene};

/// Rules by which nothing takes time, with an entry that tells every machine a second after the start of what is done to it a minute
/// later.
fn told_after(kind: ScheduleKind) -> Rules {
    let mut rules = Rules::new(builders::seed(), Preset::Instant.behaviour());
    let not_before = after(61_000);
    let rule = ScheduleRule {
        kind,
        selector: Selector::default(),
        not_before,
        deadline: not_before.plus(Span::from_secs(60)),
        notice: Span::from_secs(60),
    };
    rules.schedule.push(rule, START, builders::seed());
    rules
}

/// The machine as it is at an instant, written.
async fn at(scene: &Scene<'_>, machine: &Machine, instant: Instant, rules: &Rules) -> Machine {
    let settled = machine.clone().settle(instant, rules);
    assert!(settled.changed);
    scene.update(machine, settled).await
}

pub async fn what_a_machine_was_told_is_read_and_due(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = told_after(ScheduleKind::MaintenanceStop);
    let running = scene.machine(&web, "a").await;
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
    let told = at(&scene, &running, after(1_000), &rules).await;
    let due = told.scheduled[0].at;
    assert_eq!(scene.holder(&web, "a").await, Some(told.clone()));
    assert_eq!(scene.ports.machines.get(told.id).await.unwrap().unwrap().machine, told);
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), Some(due));
    assert_eq!(scene.ports.machines.due(due, 10).await.unwrap(), std::slice::from_ref(&told));
    let before = Instant::from_millis(due.millis() - 1).unwrap();
    assert_eq!(scene.ports.machines.due(before, 10).await.unwrap(), []);
    at(&scene, &told, due, &rules).await;
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
}

pub async fn what_a_machine_does_by_itself_stays_beside_it(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut rules = told_after(ScheduleKind::MaintenanceStop);
    rules.behaviour = scene.slow.behaviour.clone();
    // It is on its way, and so left alone when it is reached.
    let made = scene.create(builders::draft_at(&web, "a", START).made(&scene.slow)).await;
    let own = made.next.unwrap();
    let told = at(&scene, &made, after(1_000), &rules).await;
    assert_eq!(told.next, Some(own));
    assert_eq!(scene.ports.machines.get(told.id).await.unwrap().unwrap().machine, told);
    let first = own.at.min(told.scheduled[0].at);
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), Some(first));
}

pub async fn a_schedule_is_read_as_it_was_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let view = scene.ports.world.read().await.unwrap();
    let mut world = view.world.as_ref().clone();
    world.rules.schedule = told_after(ScheduleKind::SpotTermination).schedule;
    assert!(world.rules.schedule.all_told(after(1_000)));
    world.version += 1;
    let commit = WorldCommit { expected: view.world.version, world: world.clone(), unseen: None, keep: None };
    scene.ports.world.commit(commit).await.unwrap();
    assert_eq!(scene.ports.world.read().await.unwrap().world.rules.schedule, world.rules.schedule);
}
