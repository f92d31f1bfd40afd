//! Worlds and their clocks.

use cloudm_application::ports::{ClusterCommit, ClusterWrite, NewWorld, StoreError, WorldPorts};
use cloudm_domain::{Instant, Preset, Rate, Seed, Selector, Span};

use crate::builders::{self, FOREVER, START, after, answer, draft, draft_at, new_world, query};
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

fn real_time() -> NewWorld {
    NewWorld { rate: Rate::REAL, ..new_world("default", 1) }
}

pub async fn a_world_is_made_as_asked(fixture: &dyn Fixture) {
    let new = NewWorld { preset: Preset::Flaky, ..real_time() };
    let scene = Scene::open_with(fixture, new.clone()).await;
    let view = scene.ports.world.read().await.unwrap();
    assert_eq!(*view.world, cloudm_application::ports::World::create(new, Scene::WALL));
    assert_eq!((view.now, view.wall), (START, Scene::WALL));
}

pub async fn a_world_that_exists_stays_as_it_is(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let before = scene.ports.world.read().await.unwrap().world;
    scene.cluster("web").await;
    let other = NewWorld { seed: Seed::new(8).unwrap(), rate: Rate::REAL, ..new_world("default", 2) };
    let again = scene.store.ensure_world(other).await.unwrap();
    assert_eq!(again.world.read().await.unwrap().world, before);
    assert_eq!(again.clusters.all().await.unwrap().len(), 1);
}

pub async fn racing_callers_open_one_incarnation(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 0..10 {
        let name = format!("race-{round}");
        let opened = race(8, |number| {
            let (store, new) = (scene.store.clone(), new_world(&name, 10 + round * 8 + number as u8));
            async move {
                let ports = store.ensure_world(new).await.unwrap();
                ports.world.read().await.unwrap().world.incarnation
            }
        })
        .await;
        assert!(opened.iter().all(|incarnation| *incarnation == opened[0]), "{opened:?}");
        let open = scene.store.open_world(&name.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(open.world.read().await.unwrap().world.incarnation, opened[0]);
    }
}

pub async fn a_world_that_does_not_exist_is_absent(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    assert!(scene.store.open_world(&"other".parse().unwrap()).await.unwrap().is_none());
    assert!(scene.store.open_world(&"default".parse().unwrap()).await.unwrap().is_some());
}

pub async fn worlds_know_nothing_of_each_other(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    assert!(scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());

    let other = scene.store.ensure_world(new_world("other", 2)).await.unwrap();
    assert!(other.clusters.all().await.unwrap().is_empty());
    assert!(!other.clusters.id_used(web.id).await.unwrap());
    assert!(other.machines.get(machine.id).await.unwrap().is_none());
    assert!(!other.machines.id_used(machine.id).await.unwrap());
    let all = Selector::default();
    assert!(other.machines.list(&query(&all, None, 10)).await.unwrap().machines.is_empty());
    assert!(other.events.page(&builders::events(None, None, 10)).await.unwrap().events.is_empty());
    assert!(other.answers.get("key", 0).await.unwrap().is_none());

    // The same names and ids are free there.
    let write = ClusterWrite::Create(web.clone());
    other.clusters.commit(ClusterCommit { write, keep: Some(answer("key", FOREVER)) }).await.unwrap();
    other.machines.commit(builders::create(draft(&web, "a").made(&scene.rules))).await.unwrap();
    assert_eq!(scene.history().await.len() as u64, machine.version);
}

pub async fn a_world_without_a_start_begins_at_wall_time(fixture: &dyn Fixture) {
    let scene = Scene::open_with(fixture, NewWorld { start: None, ..real_time() }).await;
    let wall = Instant::from_millis(Scene::WALL).unwrap();
    assert_eq!(scene.now().await, wall);
    scene.wall.advance(5);
    assert_eq!(scene.now().await, wall.plus(Span::from_millis(5)));
}

pub async fn now_follows_the_wall_at_the_worlds_rate(fixture: &dyn Fixture) {
    let minute_a_second = NewWorld { rate: Rate::try_from(60.0).unwrap(), ..new_world("fast", 2) };
    let scene = Scene::open(fixture).await;
    let fast = scene.store.ensure_world(minute_a_second).await.unwrap();
    scene.wall.advance(1_000);
    let view = fast.world.read().await.unwrap();
    assert_eq!((view.now, view.wall), (after(60_000), Scene::WALL + 1_000));
    assert_eq!(scene.now().await, START, "a clock that stands still");
}

pub async fn now_never_goes_back(fixture: &dyn Fixture) {
    let scene = Scene::open_with(fixture, real_time()).await;
    scene.wall.advance(10_000);
    assert_eq!(scene.now().await, after(10_000));
    scene.wall.set(Scene::WALL + 3_000);
    assert_eq!(scene.now().await, after(10_000));
    // Also where the wall moves to and fro while many read.
    let reads = race(4, |number| {
        let (world, wall) = (scene.ports.world.clone(), scene.wall.clone());
        async move {
            let mut seen = Vec::new();
            for step in 0..50 {
                wall.set(Scene::WALL + 10_000 + (step * 7 + number as u64 * 13) % 50);
                seen.push(world.read().await.unwrap().now);
            }
            seen
        }
    })
    .await;
    assert!(reads.iter().all(|seen| seen.is_sorted()), "{reads:?}");
}

pub async fn now_is_not_before_a_committed_event(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.create(draft_at(&web, "a", after(9_000)).made(&scene.rules)).await;
    assert_eq!(scene.now().await, after(9_000));
    // A refused write moves nothing.
    let refused = draft_at(&web, "a", after(20_000)).made(&scene.rules);
    scene.commit(builders::create(refused)).await.unwrap_err();
    assert_eq!(scene.now().await, after(9_000));
}

pub async fn the_page_token_key_is_one(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let keys = race(4, |_| {
        let store = scene.store.clone();
        async move { store.page_token_key().await.unwrap() }
    })
    .await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_ne!(keys[0][..16], keys[0][16..], "both halves come from entropy");
}

pub async fn a_closed_store_refuses_everything(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.store.check().await.unwrap();
    scene.store.close().await;
    scene.store.close().await;

    let store = &scene.store;
    assert_refused!(store.check().await, StoreError::Unavailable(_));
    assert_refused!(store.page_token_key().await, StoreError::Unavailable(_));
    assert_refused!(store.ensure_world(new_world("default", 1)).await.map(drop), StoreError::Unavailable(_));
    assert_refused!(store.open_world(&"default".parse().unwrap()).await.map(drop), StoreError::Unavailable(_));
    let WorldPorts { world, clusters, machines, events, answers, .. } = scene.ports.clone();
    assert_refused!(world.read().await, StoreError::Unavailable(_));
    assert_refused!(clusters.get(web.id).await, StoreError::Unavailable(_));
    assert_refused!(clusters.all().await, StoreError::Unavailable(_));
    assert_refused!(machines.next_due().await, StoreError::Unavailable(_));
    assert_refused!(machines.due(Instant::MAX, 1).await, StoreError::Unavailable(_));
    assert_refused!(machines.list(&query(&Selector::default(), None, 1)).await, StoreError::Unavailable(_));
    assert_refused!(events.position().await, StoreError::Unavailable(_));
    assert_refused!(events.page(&builders::events(None, None, 1)).await, StoreError::Unavailable(_));
    assert_refused!(answers.get("key", 0).await, StoreError::Unavailable(_));
    assert_refused!(answers.keep(answer("key", 1), 0).await, StoreError::Unavailable(_));
    let made = builders::create(draft(&web, "a").made(&scene.rules));
    let refused = machines.commit(made).await;
    assert_refused!(refused, cloudm_application::ports::CommitError::Store(StoreError::Unavailable(_)));
}
