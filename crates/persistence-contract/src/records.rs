//! The record of a world, and how it is changed.

use cloudm_application::ports::{Commit, World, WorldCommit, WorldCommitError};
use cloudm_domain::{Clock, Instant, Preset, Rate, Span};

use crate::builders::{self, FOREVER, START, after, answer, draft_at};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

/// The record with a clock that says `now` and stands still.
fn at(world: &World, now: Instant) -> WorldCommit {
    let clock = Clock::new(now, Scene::WALL, Rate::PAUSED);
    let world = World { clock, version: world.version + 1, ..world.clone() };
    WorldCommit { expected: world.version - 1, world, unseen: None, keep: None }
}

pub async fn a_record_is_read_as_it_was_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let before = scene.ports.world.read().await.unwrap().world;
    let mut commit = at(&before, after(90_000));
    commit.world.rules.behaviour.push(after(90_000), Preset::Flaky.behaviour()).unwrap();
    commit.world.rules.retention.push(after(7), Span::from_secs(5)).unwrap();
    scene.ports.world.commit(commit.clone()).await.unwrap();
    let view = scene.ports.world.read().await.unwrap();
    assert_eq!((&*view.world, view.now), (&commit.world, after(90_000)));
    let again = scene.store.open_world(&before.name).await.unwrap().unwrap();
    assert_eq!(*again.world.read().await.unwrap().world, commit.world);
}

pub async fn a_record_needs_the_expected_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let first = scene.ports.world.read().await.unwrap().world;
    scene.ports.world.commit(at(&first, after(10))).await.unwrap();
    assert_refused!(scene.ports.world.commit(at(&first, after(20))).await, WorldCommitError::Conflict);
    let second = scene.ports.world.read().await.unwrap();
    assert_eq!((second.world.version, second.now), (first.version + 1, after(10)));
    let ahead = WorldCommit { expected: 9, ..at(&second.world, after(20)) };
    assert_refused!(scene.ports.world.commit(ahead).await, WorldCommitError::Conflict);
    scene.ports.world.commit(at(&second.world, after(20))).await.unwrap();
    assert_eq!(scene.now().await, after(20));
}

pub async fn of_racing_records_one_wins_each_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 0..5 {
        let before = scene.ports.world.read().await.unwrap();
        let written = race(8, |number| {
            let world = scene.ports.world.clone();
            let to = before.now.plus(Span::from_millis(number as u64 + 1));
            let commit = at(&before.world, to);
            async move { world.commit(commit).await.map(|()| to) }
        })
        .await;
        assert_eq!(winners(&written), 1, "{written:?}");
        let view = scene.ports.world.read().await.unwrap();
        assert_eq!(view.world.version, round + 2);
        assert_eq!(Some(view.now), written.into_iter().find_map(Result::ok));
    }
}

pub async fn an_instant_that_was_seen_is_refused(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let unseen = |world: &World, unseen| WorldCommit { unseen: Some(unseen), ..at(world, unseen) };
    let view = scene.ports.world.read().await.unwrap();
    // The clock has shown this one, which a read by anybody tells.
    assert_refused!(scene.ports.world.commit(unseen(&view.world, START)).await, WorldCommitError::Conflict);
    scene.ports.world.commit(unseen(&view.world, after(1))).await.unwrap();
    let view = scene.ports.world.read().await.unwrap();
    assert_refused!(scene.ports.world.commit(unseen(&view.world, after(1))).await, WorldCommitError::Conflict);
    // So has an event that was committed, whoever did.
    let web = scene.cluster("web").await;
    scene.commit(builders::create(draft_at(&web, "a", after(50)).made(&scene.rules))).await.unwrap();
    assert_refused!(scene.ports.world.commit(unseen(&view.world, after(50))).await, WorldCommitError::Conflict);
    scene.ports.world.commit(unseen(&view.world, after(51))).await.unwrap();
}

pub async fn an_answer_is_kept_with_a_record(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let first = scene.ports.world.read().await.unwrap().world;
    let keep = Some(answer("key", FOREVER));
    // Refused for its version: the answer is not kept either.
    let refused = WorldCommit { expected: 7, keep: keep.clone(), ..at(&first, after(10)) };
    assert_refused!(scene.ports.world.commit(refused).await, WorldCommitError::Conflict);
    assert_eq!(scene.ports.answers.get("key", 0).await.unwrap(), None);
    scene.ports.world.commit(WorldCommit { keep: keep.clone(), ..at(&first, after(10)) }).await.unwrap();
    assert_eq!(scene.ports.answers.get("key", 0).await.unwrap(), keep);
    // The key comes before the version.
    let taken = WorldCommit { keep, ..at(&first, after(20)) };
    assert_refused!(scene.ports.world.commit(taken).await, WorldCommitError::KeyTaken);
    assert_eq!(scene.now().await, after(10));
}

pub async fn a_clock_goes_on_while_machines_are_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut commits: Vec<Commit> = Vec::new();
    for number in 0..20 {
        commits.push(builders::create(draft_at(&web, &format!("m-{number}"), START).made(&scene.rules)));
    }
    let writing = race(20, |number| {
        let (machines, commit) = (scene.ports.machines.clone(), commits[number].clone());
        async move { machines.commit(commit).await.unwrap() }
    });
    let moving = async {
        for step in 1..=20 {
            let before = scene.ports.world.read().await.unwrap();
            scene.ports.world.commit(at(&before.world, after(step * 1_000))).await.unwrap();
        }
    };
    tokio::join!(writing, moving);
    assert_eq!(scene.now().await, after(20_000));
    assert_eq!(scene.history().await.len(), 60);
}
