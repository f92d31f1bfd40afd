//! Worlds part by part: read whole, and made of parts.

use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommitError, ClusterWrite, CommitError, GoneCluster, Part, Store, StoreError, World, WorldPorts, WorldsError,
};
use cloudm_domain::{Clock, Incarnation, Machine, MachineEvent, Rate, Selector, fold};
use tokio::sync::mpsc;

use crate::builders::{
    after, cluster, create, draft, draft_at, named, new_world, query, renamed, terminated, touched, update,
};
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

/// All parts of a world.
async fn read(store: &Arc<dyn Store>, incarnation: Incarnation) -> Result<Vec<Part>, WorldsError> {
    let (to, mut from) = mpsc::channel(2);
    let reading = store.read_world(incarnation, to);
    let taking = async {
        let mut parts = Vec::new();
        while let Some(part) = from.recv().await {
            parts.push(part);
        }
        parts
    };
    let (read, parts) = tokio::join!(reading, taking);
    read.map(|()| parts)
}

/// Makes a world of parts, as far as they go.
async fn load(
    store: &Arc<dyn Store>,
    (old, world): (Option<Incarnation>, World),
    parts: Vec<Part>,
) -> Result<WorldPorts, WorldsError> {
    let (to, from) = mpsc::channel(2);
    let giving = async move {
        for part in parts {
            // Whoever refuses takes no more.
            if to.send(part).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(store.load_world(old, world, from), giving).0
}

/// The record of a world of this name that is at an instant.
fn record(name: &str, number: u8, secs: u64) -> World {
    let world = World::create(new_world(name, number), Scene::WALL);
    World { clock: Clock::new(after(secs * 1_000), 0, Rate::PAUSED), ..world }
}

/// What comes after the record.
fn contents(parts: Vec<Part>) -> Vec<Part> {
    parts.into_iter().filter(|part| !matches!(part, Part::World(..))).collect()
}

fn machines(parts: &[Part]) -> Vec<Machine> {
    let some = parts.iter().filter_map(|part| if let Part::Machines(some) = part { Some(some) } else { None });
    some.flatten().cloned().collect()
}

fn events(parts: &[Part]) -> Vec<MachineEvent> {
    let some = parts.iter().filter_map(|part| if let Part::Events(some) = part { Some(some) } else { None });
    some.flatten().cloned().collect()
}

/// A world with everything in it that a world can hold; gives the parts that it has to have, but for its history.
async fn furnish(scene: &Scene<'_>) -> Vec<Part> {
    let web = scene.cluster("web").await;
    let db = scene.make_in("db", "F").await;
    let renamed = renamed(&db, "database");
    scene.write(ClusterWrite::Update { expected: 1, cluster: renamed.clone(), sizes: None }).await.unwrap();
    let gone = scene.cluster("gone").await;
    let running = scene.create(draft(&web, "a").tags(&["x", "y"]).made(&scene.rules)).await;
    let starting = scene.create(draft_at(&renamed, "b", after(7)).made(&scene.slow)).await;
    let ended = scene.machine(&web, "c").await;
    let ended = scene.terminate(ended).await;
    let forgotten = scene.machine(&web, "d").await;
    let forgotten = scene.terminate(forgotten).await;
    scene.remove(&forgotten).await;
    let orphan = scene.machine(&gone, "e").await;
    scene.terminate(orphan).await;
    scene.write(ClusterWrite::Delete { id: gone.id, expected: 1, at: after(9) }).await.unwrap();
    let gone = GoneCluster { cluster: Arc::new(gone), at: after(9) };
    let clusters = scene.ports.clusters.all().await.unwrap();
    let mut machines = vec![running, starting, ended];
    machines.sort_by_key(|machine| machine.id);
    vec![Part::Clusters(clusters), Part::GoneClusters(vec![gone]), Part::Machines(machines)]
}

pub async fn a_world_is_read_whole(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut expected = furnish(&scene).await;
    expected.push(Part::Events(scene.history().await));
    let view = scene.ports.world.read().await.unwrap();
    expected.insert(0, Part::World(Box::new(World::clone(&view.world)), view.now));
    expected.push(Part::End);
    assert_eq!(read(&scene.store, scene.ports.incarnation).await.unwrap(), expected);
    let absent = read(&scene.store, Incarnation::from_bytes([9; 12])).await;
    assert_refused!(absent, WorldsError::Conflict);
}

pub async fn many_parts_hold_everything_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut machine = scene.machine(&web, "a").await;
    for _ in 0..2_500 / 50 {
        let mut outcome = touched(&machine, &scene.rules);
        for _ in 1..50 {
            let next = touched(&outcome.machine, &scene.rules);
            outcome.events.extend(next.events);
            outcome.machine = next.machine;
        }
        machine = scene.update(&machine, outcome).await;
    }
    let parts = read(&scene.store, scene.ports.incarnation).await.unwrap();
    assert_eq!(events(&parts), scene.history().await);
    let loaded = load(&scene.store, (None, record("copy", 2, 0)), contents(parts.clone())).await.unwrap();
    let copy = read(&scene.store, loaded.incarnation).await.unwrap();
    assert_eq!(events(&copy), events(&parts));
}

pub async fn a_loaded_world_is_the_one_that_was_read(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let parts = contents({
        furnish(&scene).await;
        read(&scene.store, scene.ports.incarnation).await.unwrap()
    });
    scene.wall.set(Scene::WALL + 5_000);
    let record = World { clock: Clock::new(after(9), 0, Rate::REAL), ..record("copy", 2, 0) };
    let copy = load(&scene.store, (None, record.clone()), parts.clone()).await.unwrap();
    assert_eq!(contents(read(&scene.store, copy.incarnation).await.unwrap()), parts);
    let view = copy.world.read().await.unwrap();
    assert_eq!((view.now, &*view.world), (after(9), &record.resumed(Scene::WALL + 5_000)));
    scene.wall.set(Scene::WALL + 6_000);
    assert_eq!(copy.world.read().await.unwrap().now, after(1_009), "its clock goes on");
    // It is as alive as any.
    let web = copy.clusters.find(&"web".parse().unwrap()).await.unwrap().unwrap();
    let tagged = Selector { tags: vec!["y".parse().unwrap()], ..Selector::default() };
    let page = copy.machines.list(&query(&tagged, None, 9)).await.unwrap();
    let running = page.machines[0].machine.clone();
    assert_eq!(
        copy.machines.next_due().await.unwrap(),
        machines(&parts).iter().filter_map(|one| one.next).map(|step| step.at).min()
    );
    let taken = draft(&web, "a").id(cloudm_domain::MachineId::from_bytes([7; 12])).made(&scene.rules);
    assert_refused!(copy.machines.commit(create(taken)).await, CommitError::NameTaken);
    // That of a machine that was forgotten.
    assert_refused!(copy.machines.commit(create(draft(&web, "d").made(&scene.rules))).await, CommitError::IdUsed);
    let before = copy.events.position().await.unwrap();
    let outcome = named(&running, "other", &scene.rules);
    copy.machines.commit(update(&running, outcome.clone())).await.unwrap();
    let later = copy.events.page(&crate::builders::events(None, Some(before), 9)).await.unwrap();
    assert_eq!(later.events.into_iter().map(|one| one.event).collect::<Vec<_>>(), outcome.events);
    let commit =
        |cluster| cloudm_application::ports::ClusterCommit { write: ClusterWrite::Create(cluster), keep: None };
    let taken = cloudm_domain::Cluster { name: web.name.clone(), ..cluster("new") };
    assert_refused!(copy.clusters.commit(commit(taken)).await, ClusterCommitError::NameTaken);
    assert_refused!(copy.clusters.commit(commit(cluster("gone"))).await, ClusterCommitError::IdUsed);
    copy.clusters.commit(commit(cluster("new"))).await.unwrap();
    // Neither knows anything of the other.
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), 2);
    assert_eq!(scene.ports.machines.get(running.id).await.unwrap().unwrap().machine, running);
}

pub async fn a_load_that_does_not_end_changes_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    furnish(&scene).await;
    let old = scene.ports.incarnation;
    let whole = read(&scene.store, old).await.unwrap();
    let mut parts = contents(whole.clone());
    parts.pop();
    let stopped = load(&scene.store, (None, record("copy", 2, 9)), parts.clone()).await.map(drop);
    assert_refused!(stopped, WorldsError::Store(StoreError::Failed(_)));
    assert_eq!(scene.store.find_world(&"copy".parse().unwrap()).await.unwrap(), None);
    let stopped = load(&scene.store, (Some(old), record("default", 3, 9)), parts).await.map(drop);
    assert_refused!(stopped, WorldsError::Store(StoreError::Failed(_)));
    assert_eq!(
        scene.store.find_world(&"default".parse().unwrap()).await.unwrap().map(|found| found.incarnation),
        Some(old)
    );
    assert_eq!(read(&scene.store, old).await.unwrap(), whole);
}

pub async fn a_load_needs_the_name(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let old = scene.ports.incarnation;
    let taken = load(&scene.store, (None, record("default", 2, 0)), vec![Part::End]).await.map(drop);
    assert_refused!(taken, WorldsError::NameTaken);
    let other = Incarnation::from_bytes([9; 12]);
    let stale = load(&scene.store, (Some(other), record("default", 3, 0)), vec![Part::End]).await.map(drop);
    assert_refused!(stale, WorldsError::Conflict);
    let absent = load(&scene.store, (Some(other), record("other", 4, 0)), vec![Part::End]).await.map(drop);
    assert_refused!(absent, WorldsError::Conflict);
    let results = race(4, |number| {
        let (store, record) = (scene.store.clone(), record("default", 5 + number as u8, 0));
        async move { load(&store, (Some(old), record), vec![Part::End]).await.map(drop) }
    })
    .await;
    assert_eq!(crate::race::winners(&results), 1, "{results:?}");
}

pub async fn a_loaded_world_takes_the_place_of_another(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let parts = contents(read(&scene.store, scene.ports.incarnation).await.unwrap());
    scene.machine(&web, "b").await;
    let old = scene.ports.incarnation;
    let loaded = load(&scene.store, (Some(old), record("default", 2, 0)), parts.clone()).await.unwrap();
    assert_eq!(
        scene.store.find_world(&"default".parse().unwrap()).await.unwrap().map(|found| found.incarnation),
        Some(loaded.incarnation)
    );
    assert_refused!(scene.ports.world.read().await, StoreError::WorldGone);
    assert_eq!(contents(read(&scene.store, loaded.incarnation).await.unwrap()), parts);
    assert_refused!(read(&scene.store, old).await, WorldsError::Conflict);
}

pub async fn a_world_is_read_at_one_moment(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let writing = race(4, |writer| {
        let (ports, web, rules) = (scene.ports.clone(), web.clone(), scene.rules.clone());
        async move {
            for number in 0..12 {
                let made = draft(&web, &format!("m-{writer}-{number}")).made(&rules);
                let machine = made.machine.clone();
                ports.machines.commit(create(made)).await.unwrap();
                let ended = terminated(&machine, &rules);
                ports.machines.commit(update(&machine, ended)).await.unwrap();
            }
        }
    });
    let reading = async {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(read(&scene.store, scene.ports.incarnation).await.unwrap());
        }
        all
    };
    let (_, all) = tokio::join!(writing, reading);
    for parts in all {
        let (machines, events) = (machines(&parts), events(&parts));
        for machine in &machines {
            let own: Vec<_> = events.iter().filter(|event| event.machine == machine.id).collect();
            assert_eq!(fold(own).unwrap(), *machine);
        }
        let made = events.iter().filter(|event| event.version == 1).count();
        assert_eq!(machines.len(), made);
    }
    // Nobody has to take it all.
    let (to, from) = mpsc::channel(1);
    drop(from);
    scene.store.read_world(scene.ports.incarnation, to).await.unwrap();
}
