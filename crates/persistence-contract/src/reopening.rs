//! What a store keeps over a restart.

use cloudm_application::ports::{
    ClusterCommitError, ClusterWrite, CommitError, Cursor, FleetBatch, ForkedWorld, NewWorld, RequestCounted, SortKey,
    World, WorldCommit,
};
use cloudm_domain::{
    Cause, Clock, Command, FleetOutcome, FleetState, Incarnation, OrderKey, Rate, Seed, Selector, WorldName,
};

use crate::builders::{
    self, FOREVER, START, after, answer, asked, changed, cluster_in, decided, done, draft, draft_at, ending, lease,
    new_world, operation, query,
};
use crate::{Fixture, Scene, assert_refused, faults};

pub async fn all_that_was_acknowledged_is_there(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.make(cluster_in("db", "B")).await;
    let running = scene.create(draft(&web, "a").tags(&["team:x", "y"]).made(&scene.rules)).await;
    let resizing = scene.machine(&web, "b").await;
    let stopped = scene.update(&resizing, asked(&resizing, Command::Stop, START, &scene.rules)).await;
    let resize = Command::Resize("large".parse().unwrap());
    let resizing = scene.update(&stopped, asked(&stopped, resize, after(5), &scene.slow)).await;
    assert!(scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());
    let (history, clusters) = (scene.history().await, scene.ports.clusters.all().await.unwrap());

    let scene = scene.reopen().await;
    assert_eq!(scene.ports.clusters.all().await.unwrap(), clusters);
    for machine in [&running, &resizing] {
        assert_eq!(scene.ports.machines.get(machine.id).await.unwrap().unwrap().machine, *machine);
    }
    assert_eq!(scene.history().await, history);
    assert_eq!(scene.ports.answers.get("key", 0).await.unwrap(), Some(answer("key", FOREVER)));
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), resizing.due_at());
    let page = scene.ports.machines.list(&query(&Selector::default(), None, 10)).await.unwrap();
    assert_eq!(page.machines.len(), 2);
}

pub async fn positions_hold(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let first = scene.ports.events.position().await.unwrap();
    let machine = scene.machine(&web, "a").await;
    let between = scene.ports.events.position().await.unwrap();

    let scene = scene.reopen().await;
    scene.machine(&web, "b").await;
    let count = |after| async {
        scene.ports.events.page(&builders::events(None, Some(after), 100)).await.unwrap().events.len() as u64
    };
    assert_eq!(count(first).await, 2 * machine.version);
    assert_eq!(count(between).await, machine.version);
}

pub async fn now_does_not_go_back(fixture: &dyn Fixture) {
    let real = NewWorld { rate: Rate::REAL, ..new_world("default", 1) };
    let scene = Scene::open_with(fixture, real).await;
    let web = scene.cluster("web").await;
    scene.wall.advance(60_000);
    let machine = scene.create(draft_at(&web, "a", scene.now().await).made(&scene.rules)).await;
    scene.wall.set(Scene::WALL - 1_000_000);

    let scene = scene.reopen().await;
    assert!(scene.now().await >= machine.updated_at);
    let scene = scene.reopen().await;
    assert!(scene.now().await >= machine.updated_at);
}

pub async fn the_page_token_key_stays(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let key = scene.store.page_token_key().await.unwrap();
    let scene = scene.reopen().await;
    assert_eq!(scene.store.page_token_key().await.unwrap(), key);
}

pub async fn what_was_used_stays_used(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, gone) = (scene.cluster("web").await, scene.cluster("gone").await);
    scene.write(ClusterWrite::Delete { id: gone.id, expected: 1, at: START }).await.unwrap();
    let machine = scene.machine(&web, "a").await;
    let machine = scene.terminate(machine).await;
    scene.remove(&machine).await;
    assert!(scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());

    let scene = scene.reopen().await;
    assert_refused!(scene.write(ClusterWrite::Create(gone)).await, ClusterCommitError::IdUsed);
    let again = builders::create(draft(&web, "a").made(&scene.rules));
    assert_refused!(scene.commit(again).await, CommitError::IdUsed);
    assert!(!scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());
}

pub async fn a_world_stays_what_it_was_made(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let made = scene.ports.world.read().await.unwrap().world;
    let scene = scene.reopen().await;
    assert_eq!(scene.ports.world.read().await.unwrap().world, made);
    let other = NewWorld { seed: Seed::new(99).unwrap(), ..new_world("default", 5) };
    let ensured = scene.store.ensure_world(other).await.unwrap();
    assert_eq!(ensured.world.read().await.unwrap().world, made);
}

pub async fn what_a_clock_has_shown_is_not_taken_back(fixture: &dyn Fixture) {
    let real = NewWorld { rate: Rate::REAL, ..new_world("default", 1) };
    let scene = Scene::open_with(fixture, real).await;
    scene.wall.advance(3_600_000);
    assert_eq!(scene.now().await, after(3_600_000));
    scene.wall.set(Scene::WALL);

    let scene = scene.reopen().await;
    assert_eq!(scene.now().await, after(3_600_000));
}

pub async fn a_moved_clock_stays_where_it_is(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let before = scene.ports.world.read().await.unwrap().world;
    let clock = Clock::new(after(3_600_000), Scene::WALL, Rate::try_from(2.0).unwrap());
    let world = World { clock, version: 2, ..World::clone(&before) };
    scene.ports.world.commit(WorldCommit { expected: 1, world, unseen: None, keep: None }).await.unwrap();
    scene.wall.advance(1_000);

    let scene = scene.reopen().await;
    assert_eq!(scene.now().await, after(3_602_000));
    assert_eq!(scene.ports.world.read().await.unwrap().world.version, 2);
}

pub async fn what_is_gone_stays_gone(fixture: &dyn Fixture) {
    let life = |number| Incarnation::from_bytes([number; 12]);
    let name = |text: &str| text.parse::<WorldName>().unwrap();
    let scene = Scene::open(fixture).await;
    scene.cluster("web").await;
    scene.store.create_world(new_world("other", 2)).await.unwrap();
    scene.store.replace_world(life(1), new_world("default", 3)).await.unwrap();
    let fork = ForkedWorld { name: name("copy"), incarnation: life(4), seed: None, asked: None };
    scene.store.fork_world(life(3), fork).await.unwrap();
    scene.store.delete_world(&name("other"), life(2)).await.unwrap();

    let scene = scene.reopen().await;
    assert_eq!(scene.store.worlds(None, 9).await.unwrap(), [name("copy"), name("default")]);
    assert_eq!(scene.store.find_world(&name("default")).await.unwrap().map(|found| found.incarnation), Some(life(3)));
    assert!(scene.ports.clusters.all().await.unwrap().is_empty());
}

pub async fn an_operation_goes_on_after_a_restart(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (a, b) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await);
    let first = lease(1, 100, 200);
    scene.ports.operations.accept(operation(1), Some(first), None).await.unwrap();
    scene.ports.operations.accept(operation(2), Some(first), None).await.unwrap();
    let (ended, _) = scene.ports.operations.end(operation(2).id, ending(FOREVER)).await.unwrap().unwrap();
    let cursor = Cursor::Walked(Some(SortKey::of(&a, OrderKey::CreatedAt)));
    let stop = done(changed(&a, asked(&a, Command::Stop, START, &scene.rules)));
    let batch =
        FleetBatch { operation: operation(1).id, lease: first, entries: vec![stop], cursor, ending: None, sizes: None };
    let running = scene.ports.operations.work(batch.clone()).await.unwrap().operation;
    let results = scene.ports.operations.results(running.id, None, 9).await.unwrap();

    let scene = scene.reopen().await;
    let operations = &scene.ports.operations;
    assert_eq!(operations.unended().await.unwrap(), std::slice::from_ref(&running));
    assert_eq!(operations.list(None, 9).await.unwrap(), [ended, running.clone()]);
    assert_eq!(operations.results(running.id, None, 9).await.unwrap(), results);
    // Another runner takes it, at the latest when the lease has run out, and goes on where it stopped.
    let second = lease(2, 200, 300);
    assert_eq!(operations.claim(running.id, second).await.unwrap(), Some(running.clone()));
    let entries = vec![batch.entries[0].clone(), decided(b.id, FleetOutcome::Protected)];
    let last = FleetBatch { lease: second, entries, ending: Some(ending(FOREVER)), ..batch };
    let worked = operations.work(last).await.unwrap();
    assert!(worked.entries.iter().all(Result::is_ok), "{worked:?}");
    assert_eq!((worked.operation.state, worked.operation.progress.matched()), (FleetState::Partial, 2));
    assert_eq!(scene.history().await.iter().filter(|event| event.machine == a.id).count() as u64, a.version + 2);
    let later = operations.accept(operation(3), None, None).await.unwrap();
    assert!(later.number > worked.operation.number);
    let scene = scene.reopen().await;
    assert_eq!(scene.ports.operations.get(running.id).await.unwrap(), Some(worked.operation));
}

pub async fn counts_stay(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let stopped = scene.machine(&web, "b").await;
    scene.update(&stopped, asked(&stopped, Command::Stop, START, &scene.rules)).await;
    let counts = |scene: &Scene<'_>| {
        let machines = scene.ports.machines.clone();
        async move {
            let counts = machines.counts().await.unwrap();
            let mut counts: Vec<_> = counts.into_iter().map(|one| (one.state, one.count)).collect();
            counts.sort_unstable();
            counts
        }
    };
    let before = counts(&scene).await;
    assert_eq!(before.len(), 2);
    let scene = scene.reopen().await;
    assert_eq!(counts(&scene).await, before);
    let third = scene.machine(&web, "c").await;
    scene.terminate(third).await;
    assert_eq!(counts(&scene).await.len(), 3);
}

pub async fn what_faults_matched_stays(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (rules, faults) = faults::with([faults::refuses(Cause::Stop)]);
    let running = scene.machine(&web, "a").await;
    let refused = scene.update(&running, asked(&running, Command::Stop, START, &rules)).await;
    assert_eq!(refused.matches_of(faults[0]), 1);
    scene.ports.faults.count_request(faults[0], RequestCounted::Matched).await.unwrap();
    let view = scene.ports.world.read().await.unwrap();
    let mut world = World { version: view.world.version + 1, ..World::clone(&view.world) };
    world.rules.faults.push(faults::loses_replies(), after(5), builders::seed());
    let commit = WorldCommit { expected: view.world.version, world, unseen: None, keep: None };
    scene.ports.world.commit(commit.clone()).await.unwrap();

    let scene = scene.reopen().await;
    assert_eq!(scene.holder(&web, "a").await, Some(refused));
    assert_eq!(faults::matches(&scene.ports).await, [(faults[0], 1, 1)]);
    assert_eq!(scene.ports.faults.count_request(faults[0], RequestCounted::Matched).await.unwrap(), 1);
    assert_eq!(scene.ports.world.read().await.unwrap().world.rules.faults, commit.world.rules.faults);
    let found = scene.store.find_world(&WorldName::default_world()).await.unwrap().unwrap();
    assert!(found.request_faults);
}
