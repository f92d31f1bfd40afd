//! The lives of worlds: how one is made, copied, replaced and deleted.

use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommit, ClusterWrite, ForkedWorld, MAX_WORLDS, NewWorld, Store, StoreError, World, WorldPorts, WorldsError,
};
use cloudm_domain::{Incarnation, Instant, Rate, Seed, Selector, WorldName, fold};

use crate::builders::{self, FOREVER, START, after, answer, draft, draft_at, named, new_world, query};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

fn name(text: &str) -> WorldName {
    text.parse().unwrap()
}

fn life(number: u8) -> Incarnation {
    Incarnation::from_bytes([number; 12])
}

fn fork(text: &str, number: u8) -> ForkedWorld {
    ForkedWorld { name: name(text), incarnation: life(number), seed: None, asked: None }
}

async fn find(store: &Arc<dyn Store>, text: &str) -> Option<Incarnation> {
    store.find_world(&name(text)).await.unwrap().map(|found| found.incarnation)
}

/// The whole history of a world.
async fn history(ports: &WorldPorts) -> Vec<cloudm_domain::MachineEvent> {
    let page = ports.events.page(&builders::events(None, None, 10_000)).await.unwrap();
    page.events.into_iter().map(|one| one.event).collect()
}

pub async fn a_new_world_is_made_as_asked(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let new = NewWorld { rate: Rate::REAL, ..new_world("other", 2) };
    let ports = scene.store.create_world(new.clone()).await.unwrap();
    assert_eq!(*ports.world.read().await.unwrap().world, World::create(new, Scene::WALL));
    assert_eq!((ports.incarnation, find(&scene.store, "other").await), (life(2), Some(life(2))));
    assert_eq!(find(&scene.store, "third").await, None);
}

pub async fn a_new_world_needs_a_free_name(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let refused = scene.store.create_world(new_world("default", 2)).await.map(drop);
    assert_refused!(refused, WorldsError::NameTaken);
    for round in 0..5 {
        let text = format!("race-{round}");
        let made = race(6, |number| {
            let (store, new) = (scene.store.clone(), new_world(&text, 10 + round * 6 + number as u8));
            async move { store.create_world(new).await.map(|ports| ports.incarnation) }
        })
        .await;
        assert_eq!(winners(&made), 1, "{made:?}");
        assert_eq!(find(&scene.store, &text).await, made.into_iter().find_map(Result::ok));
    }
}

pub async fn worlds_are_listed_in_order_of_their_names(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for (number, text) in (2..).zip(["b", "a-1", "a", "z", "a0"]) {
        scene.store.create_world(new_world(text, number)).await.unwrap();
    }
    let all: Vec<_> = ["a", "a-1", "a0", "b", "default", "z"].map(name).into();
    assert_eq!(scene.store.worlds(None, 100).await.unwrap(), all);
    assert_eq!(scene.store.worlds(None, 2).await.unwrap(), all[..2]);
    assert_eq!(scene.store.worlds(Some(name("a-1")), 3).await.unwrap(), all[2..5]);
    assert!(scene.store.worlds(Some(name("z")), 3).await.unwrap().is_empty());
}

pub async fn a_store_has_room_for_so_many_worlds(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let new = |number: usize| {
        let mut incarnation = [1; 12];
        incarnation[..4].copy_from_slice(&(number as u32).to_be_bytes());
        let incarnation = Incarnation::from_bytes(incarnation);
        NewWorld { incarnation, ..new_world(&format!("w{number}"), 1) }
    };
    race(16, |number| {
        let store = scene.store.clone();
        let mine: Vec<_> = (1..MAX_WORLDS - 1).filter(|world| world % 16 == number).map(new).collect();
        async move {
            for new in mine {
                store.create_world(new).await.unwrap();
            }
        }
    })
    .await;
    // One place is left.
    let last = race(3, |number| {
        let (store, new) = (scene.store.clone(), new(MAX_WORLDS + number));
        async move { store.create_world(new).await.map(drop) }
    })
    .await;
    assert_eq!(winners(&last), 1, "{last:?}");
    assert!(last.iter().all(|made| matches!(made, Ok(()) | Err(WorldsError::TooMany))), "{last:?}");
    let copied = scene.store.fork_world(scene.ports.incarnation, fork("copy", 9)).await.map(drop);
    assert_refused!(copied, WorldsError::TooMany);
    // A reset takes no place, and a deletion gives one back.
    scene.store.replace_world(scene.ports.incarnation, new_world("default", 8)).await.unwrap();
    scene.store.delete_world(&name("w1"), find(&scene.store, "w1").await.unwrap()).await.unwrap();
    scene.store.create_world(new(2 * MAX_WORLDS)).await.unwrap();
}

pub async fn a_replaced_world_begins_anew(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let ports = scene.store.replace_world(scene.ports.incarnation, new_world("default", 2)).await.unwrap();
    assert_eq!(find(&scene.store, "default").await, Some(life(2)));
    assert_refused!(scene.ports.world.read().await, StoreError::WorldGone);
    assert_eq!(ports.world.read().await.unwrap().now, START);
    assert!(ports.clusters.all().await.unwrap().is_empty());
    assert!(history(&ports).await.is_empty());
    // The same ids are free there, and what is written there is read there.
    let write = ClusterWrite::Create(web.clone());
    ports.clusters.commit(ClusterCommit { write, keep: None }).await.unwrap();
    ports.machines.commit(builders::create(draft(&web, "a").made(&scene.rules))).await.unwrap();
    let opened = scene.store.open_world(&name("default")).await.unwrap().unwrap();
    assert_eq!(opened.machines.get(machine.id).await.unwrap().unwrap().machine, machine);
    assert_eq!(history(&opened).await.len() as u64, machine.version);
}

pub async fn a_replacement_needs_the_incarnation_that_is_there(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let stale = scene.store.replace_world(life(7), new_world("default", 2)).await.map(drop);
    assert_refused!(stale, WorldsError::Conflict);
    assert_refused!(scene.store.delete_world(&name("default"), life(7)).await, WorldsError::Conflict);
    assert_refused!(scene.store.delete_world(&name("other"), life(1)).await, WorldsError::Conflict);
    assert_eq!(find(&scene.store, "default").await, Some(life(1)));
    for round in 0..5 {
        let old = find(&scene.store, "default").await.unwrap();
        let replaced = race(6, |number| {
            let (store, new) = (scene.store.clone(), new_world("default", 10 + round * 6 + number as u8));
            async move { store.replace_world(old, new).await.map(|ports| ports.incarnation) }
        })
        .await;
        assert_eq!(winners(&replaced), 1, "{replaced:?}");
        assert_eq!(find(&scene.store, "default").await, replaced.into_iter().find_map(Result::ok));
    }
}

pub async fn a_deleted_world_is_absent(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let other = scene.store.create_world(new_world("other", 2)).await.unwrap();
    let web = scene.cluster("web").await;
    let write = ClusterWrite::Create(web.clone());
    other.clusters.commit(ClusterCommit { write, keep: Some(answer("key", FOREVER)) }).await.unwrap();
    scene.store.delete_world(&name("other"), life(2)).await.unwrap();
    assert_eq!(find(&scene.store, "other").await, None);
    assert!(scene.store.open_world(&name("other")).await.unwrap().is_none());
    assert_eq!(scene.store.worlds(None, 9).await.unwrap(), [name("default")]);
    assert_refused!(other.world.read().await, StoreError::WorldGone);
    assert_refused!(scene.store.delete_world(&name("other"), life(2)).await, WorldsError::Conflict);
    // Others stay, and the name is free.
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), 1);
    let again = scene.store.create_world(new_world("other", 3)).await.unwrap();
    assert!(again.clusters.all().await.unwrap().is_empty());
    assert_eq!(again.answers.get("key", 0).await.unwrap(), None);
}

pub async fn a_fork_holds_what_its_source_held(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let running = scene.create(draft(&web, "a").tags(&["x"]).made(&scene.rules)).await;
    let starting = scene.create(draft_at(&web, "b", after(7)).made(&scene.slow)).await;
    let forgotten = scene.machine(&web, "c").await;
    let forgotten = scene.terminate(forgotten).await;
    scene.remove(&forgotten).await;
    assert!(scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());

    let asked = ForkedWorld { seed: Some(Seed::new(99).unwrap()), ..fork("copy", 2) };
    let copy = scene.store.fork_world(scene.ports.incarnation, asked.clone()).await.unwrap();
    let (source, view) = (scene.ports.world.read().await.unwrap(), copy.world.read().await.unwrap());
    assert_eq!(*view.world, source.world.forked(asked, source.now, Scene::WALL));
    assert_eq!((view.now, view.world.version), (after(7), 1));
    assert_eq!(copy.clusters.all().await.unwrap(), scene.ports.clusters.all().await.unwrap());
    for machine in [&running, &starting] {
        assert_eq!(copy.machines.get(machine.id).await.unwrap(), scene.ports.machines.get(machine.id).await.unwrap());
    }
    assert!(copy.machines.get(forgotten.id).await.unwrap().is_none());
    assert!(copy.machines.id_used(forgotten.id).await.unwrap() && copy.clusters.id_used(web.id).await.unwrap());
    assert_eq!(copy.machines.next_due().await.unwrap(), starting.due_at());
    assert_eq!(history(&copy).await, scene.history().await);
    assert_eq!(copy.answers.get("key", 0).await.unwrap(), None, "kept answers stay behind");
    let tagged = Selector { tags: vec!["x".parse().unwrap()], ..Selector::default() };
    assert_eq!(copy.machines.list(&query(&tagged, None, 9)).await.unwrap().machines.len(), 1);
}

pub async fn a_fork_and_its_source_know_nothing_of_each_other(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let copy = scene.store.fork_world(scene.ports.incarnation, fork("copy", 2)).await.unwrap();
    let before = history(&copy).await.len();
    let position = scene.ports.events.position().await.unwrap();
    scene.update(&machine, named(&machine, "here", &scene.rules)).await;
    copy.machines.commit(builders::update(&machine, named(&machine, "there", &scene.rules))).await.unwrap();
    copy.machines.commit(builders::create(draft(&web, "b").made(&scene.rules))).await.unwrap();
    let id = machine.id;
    let seen = |ports: &WorldPorts| {
        let machines = ports.machines.clone();
        async move { machines.get(id).await.unwrap().unwrap().machine.name.to_string() }
    };
    assert_eq!((seen(&scene.ports).await, seen(&copy).await), ("here".to_owned(), "there".to_owned()));
    assert_eq!((scene.history().await.len(), history(&copy).await.len()), (before + 1, before + 4));
    // A position is one of its own world.
    let elsewhere = copy.events.page(&builders::events(None, Some(position), 9)).await;
    assert_refused!(elsewhere, StoreError::PositionGone);
    // A fork of a fork, when the first one is gone.
    let second = scene.store.fork_world(life(2), fork("copy-2", 3)).await.unwrap();
    scene.store.delete_world(&name("copy"), life(2)).await.unwrap();
    assert_eq!(history(&second).await.len(), before + 4);
    assert_eq!(scene.history().await.len(), before + 1);
}

pub async fn a_fork_is_refused_as_a_creation_is(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let taken = scene.store.fork_world(life(1), fork("default", 2)).await.map(drop);
    assert_refused!(taken, WorldsError::NameTaken);
    let gone = scene.store.fork_world(life(7), fork("copy", 2)).await.map(drop);
    assert_refused!(gone, WorldsError::Conflict);
    assert_eq!(scene.store.worlds(None, 9).await.unwrap(), [name("default")]);
    let forked = race(4, |number| {
        let (store, fork) = (scene.store.clone(), fork("copy", 10 + number as u8));
        async move { store.fork_world(life(1), fork).await.map(|ports| ports.incarnation) }
    })
    .await;
    assert_eq!(winners(&forked), 1, "{forked:?}");
    assert_eq!(find(&scene.store, "copy").await, forked.into_iter().find_map(Result::ok));
}

pub async fn a_fork_has_every_write_or_none_of_it(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let before = scene.machine(&web, "before").await;
    let writing = race(4, |writer| {
        let (machines, web, rules) = (scene.ports.machines.clone(), web.clone(), scene.rules.clone());
        async move {
            for number in 0..15 {
                let made = draft(&web, &format!("m-{writer}-{number}")).made(&rules);
                machines.commit(builders::create(made)).await.unwrap();
            }
        }
    });
    let forking = async {
        let mut forks = Vec::new();
        for number in 2..6 {
            let copy = scene.store.fork_world(life(1), fork(&format!("copy-{number}"), number)).await;
            forks.push(copy.unwrap());
        }
        forks
    };
    let (_, forks) = tokio::join!(writing, forking);
    for copy in forks {
        assert!(copy.machines.get(before.id).await.unwrap().is_some());
        let page = copy.machines.list(&query(&Selector::default(), None, 1_000)).await.unwrap();
        let events = history(&copy).await;
        assert_eq!(events.len(), 3 * page.machines.len());
        for placed in page.machines {
            let own: Vec<_> = events.iter().filter(|event| event.machine == placed.machine.id).collect();
            assert_eq!(fold(own).unwrap(), placed.machine);
        }
        // It goes on where it stands.
        let made = draft(&web, "after").made(&scene.rules);
        let (id, count) = (made.machine.id, events.len());
        copy.machines.commit(builders::create(made)).await.unwrap();
        assert_eq!(history(&copy).await.len(), count + 3);
        assert!(copy.machines.get(id).await.unwrap().is_some());
    }
}

pub async fn a_crowd_sees_the_old_world_or_the_new_one_or_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    // Each life of the world has a machine made at an instant of its own.
    let made = |number: u8| draft_at(&web, "a", after(u64::from(number))).made(&scene.rules);
    scene.create(made(1)).await;
    let (store, ended) = (scene.store.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let reading = race(4, |_| {
        let (store, ended) = (store.clone(), ended.clone());
        async move {
            while !ended.load(std::sync::atomic::Ordering::SeqCst) {
                let Some(ports) = store.open_world(&name("default")).await.unwrap() else { continue };
                let own: Instant = after(u64::from(ports.incarnation.as_bytes()[0]));
                if let Ok(page) = ports.events.page(&builders::events(None, None, 100)).await {
                    assert!(page.events.iter().all(|one| one.event.at == own), "{own}: {page:?}");
                }
                if let Ok(page) = ports.machines.list(&query(&Selector::default(), None, 9)).await {
                    assert!(page.machines.iter().all(|placed| placed.machine.created_at == own), "{own}: {page:?}");
                }
            }
        }
    });
    let replacing = async {
        for number in 2..20 {
            let ports = store.replace_world(life(number - 1), new_world("default", number)).await.unwrap();
            let write = ClusterWrite::Create(web.clone());
            ports.clusters.commit(ClusterCommit { write, keep: None }).await.unwrap();
            ports.machines.commit(builders::create(made(number))).await.unwrap();
        }
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    tokio::join!(reading, replacing);
}
