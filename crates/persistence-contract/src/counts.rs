//! How many machines there are, held against what lists show.

use std::collections::BTreeMap;

use cloudm_application::ports::{
    ClusterWrite, FleetBatch, FleetEntry, ForkedWorld, MachineCount, MachineWrite, Part, World, WorldPorts,
};
use cloudm_domain::{Clock, ClusterId, Code, Command, Incarnation, Machine, MachineState, Rate, Selector};
use tokio::sync::mpsc;

use crate::builders::{
    self, FOREVER, START, asked, changed, cluster_in, create, done, draft, ending, lease, named, new_world, operation,
    renamed, terminated, update,
};
use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::race::race;
use crate::{Fixture, Scene};

type Counts = BTreeMap<(ClusterId, Code, MachineState), u64>;

/// What lists of all states show.
async fn listed(ports: &WorldPorts) -> Counts {
    let selector = Selector { states: MachineState::ALL.to_vec(), ..Selector::default() };
    let (mut counts, mut next) = (Counts::new(), None);
    loop {
        let page = ports.machines.list(&builders::query(&selector, next, 1_000)).await.unwrap();
        for placed in page.machines {
            let key = (placed.cluster.id, placed.machine.machine_type.clone(), placed.machine.state);
            *counts.entry(key).or_default() += 1;
        }
        next = page.next;
        if next.is_none() {
            return counts;
        }
    }
}

async fn counted(ports: &WorldPorts) -> Counts {
    let mut counts = Counts::new();
    for MachineCount { cluster, machine_type, state, count } in ports.machines.counts().await.unwrap() {
        assert!(count > 0, "of nothing there is no count");
        let before = counts.insert((cluster.id, machine_type, state), count);
        assert_eq!(before, None, "each kind is there once");
        assert_eq!(ports.clusters.get(cluster.id).await.unwrap(), Some(cluster));
    }
    counts
}

async fn check(ports: &WorldPorts) -> Counts {
    let counts = counted(ports).await;
    assert_eq!(counts, listed(ports).await);
    counts
}

fn in_state(counts: &Counts, state: MachineState) -> u64 {
    counts.iter().filter(|((_, _, one), _)| *one == state).map(|(_, count)| count).sum()
}

pub async fn counts_are_what_lists_show(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    assert!(counted(&scene.ports).await.is_empty());
    let fleet = Fleet::make(&scene).await;
    let counts = check(&scene.ports).await;
    assert_eq!(counts.values().sum::<u64>(), fleet.placed.len() as u64);
    let terminated = fleet.placed.iter().filter(|one| !one.machine.holds_name()).count() as u64;
    assert!(terminated > 0);
    assert_eq!(in_state(&counts, MachineState::Terminated), terminated);
}

pub async fn counts_follow_each_write(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let now = || async { check(&scene.ports).await };
    let key = |code: &str, state| (web.id, code.parse::<Code>().unwrap(), state);
    let running = scene.machine(&web, "a").await;
    assert_eq!(now().await, Counts::from([(key("small", MachineState::Running), 1)]));
    let edited = scene.update(&running, named(&running, "b", &scene.rules)).await;
    let stopped = scene.update(&edited, asked(&edited, Command::Stop, START, &scene.rules)).await;
    assert_eq!(now().await, Counts::from([(key("small", MachineState::Stopped), 1)]));
    let large = asked(&stopped, Command::Resize("large".parse().unwrap()), START, &scene.rules);
    let large = scene.update(&stopped, large).await;
    assert_eq!(now().await, Counts::from([(key("large", MachineState::Stopped), 1)]));
    // What is refused counts nothing.
    scene.commit(update(&stopped, terminated(&stopped, &scene.rules))).await.unwrap_err();
    scene.commit(create(draft(&web, "b").made(&scene.rules))).await.unwrap_err();
    scene.commit(builders::remove(&stopped, Vec::new())).await.unwrap_err();
    assert_eq!(now().await, Counts::from([(key("large", MachineState::Stopped), 1)]));
    let ended = scene.terminate(large).await;
    assert_eq!(now().await, Counts::from([(key("large", MachineState::Terminated), 1)]));
    scene.remove(&ended).await;
    assert!(now().await.is_empty());
}

pub async fn counts_follow_a_cluster(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let machine = scene.machine(&web, "a").await;
    scene.machine(&db, "a").await;
    let other = renamed(&web, "other");
    scene.write(ClusterWrite::Update { expected: 1, cluster: other, sizes: None }).await.unwrap();
    assert_eq!(check(&scene.ports).await.len(), 2);
    let ended = scene.terminate(machine).await;
    assert_eq!(in_state(&check(&scene.ports).await, MachineState::Terminated), 1);
    scene.write(ClusterWrite::Delete { id: web.id, expected: 2, at: START }).await.unwrap();
    assert_eq!(in_state(&check(&scene.ports).await, MachineState::Terminated), 0, "it goes with its cluster");
    scene.remove(&ended).await;
    assert_eq!(check(&scene.ports).await.len(), 1);
}

/// Writes by fleet operations, each of which has a machine once.
async fn work(scene: &Scene<'_>, number: &mut u8, writes: impl Iterator<Item = MachineWrite>) {
    let mut batches: Vec<Vec<FleetEntry>> = Vec::new();
    for entry in writes.map(done) {
        match batches.last_mut() {
            Some(last) if last.iter().all(|one| one.result.machine != entry.result.machine) => last.push(entry),
            _ => batches.push(vec![entry]),
        }
    }
    for entries in batches {
        *number += 1;
        let (id, lease) = (operation(*number).id, lease(1, 0, FOREVER));
        scene.ports.operations.accept(operation(*number), Some(lease), None).await.unwrap();
        let cursor = operation(*number).cursor;
        let sent = FleetBatch { operation: id, lease, entries, cursor, ending: None, sizes: None };
        let worked = scene.ports.operations.work(sent.clone()).await.unwrap();
        // Sent again, what was written is not counted again.
        let written = sent.entries.iter().zip(&worked.entries).filter(|(_, taken)| taken.is_ok());
        let entries = written.map(|(entry, _)| entry.clone()).collect();
        let again = scene.ports.operations.work(FleetBatch { entries, ..sent }).await.unwrap();
        assert_eq!(again.operation.progress, worked.operation.progress);
        scene.ports.operations.end(id, ending(FOREVER)).await.unwrap().unwrap();
    }
}

pub async fn counts_follow_whatever_is_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut chance = Chance::new(&scene, 11).await;
    let mut number = 0;
    for round in 0..9 {
        let writes = chance.writes(40).await.into_iter().map(|(write, _)| write);
        match round % 3 {
            0 => {
                for write in writes {
                    // Some are refused.
                    let _ = scene.commit(write.into()).await;
                }
            }
            1 => drop(scene.ports.machines.commit_all(writes.collect(), None).await.unwrap()),
            _ => work(&scene, &mut number, writes).await,
        }
        assert_eq!(check(&scene.ports).await, check(&chance.other).await);
    }
    let counts = check(&scene.ports).await;
    assert!(counts.len() > 6 && in_state(&counts, MachineState::Terminated) > 0, "{counts:?}");
}

pub async fn counts_are_right_after_a_crowd(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    race(6, |racer| {
        let (port, web, rules) = (scene.ports.machines.clone(), web.clone(), scene.rules.clone());
        async move {
            for number in 0..8 {
                // Half of the names are those of the neighbour, too.
                let name = format!("m-{}-{number}", racer / (1 + number % 2));
                let made = draft(&web, &name).made(&rules);
                let machine = made.machine.clone();
                let _ = port.commit(create(made)).await;
                let stop = changed(&machine, asked(&machine, Command::Stop, START, &rules));
                let end = changed(&machine, terminated(&machine, &rules));
                port.commit_all(vec![stop, end], None).await.unwrap();
            }
        }
    })
    .await;
    let counts = check(&scene.ports).await;
    assert!(in_state(&counts, MachineState::Stopped) + in_state(&counts, MachineState::Terminated) > 20, "{counts:?}");
}

pub async fn counts_show_one_moment(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut machines = Vec::new();
    for number in 0..6 {
        machines.push(scene.machine(&web, &format!("m-{number}")).await);
    }
    let (port, rules) = (scene.ports.machines.clone(), scene.rules.clone());
    let turning = tokio::spawn(async move {
        for round in 0..40 {
            let command = || if round % 2 == 0 { Command::Stop } else { Command::Start };
            let after: Vec<_> = machines.iter().map(|one| asked(one, command(), START, &rules)).collect();
            let next: Vec<Machine> = after.iter().map(|one| one.machine.clone()).collect();
            let writes = machines.iter().zip(after).map(|(before, after)| changed(before, after)).collect();
            let written = port.commit_all(writes, None).await.unwrap();
            assert!(written.iter().all(Result::is_ok), "{written:?}");
            machines = next;
        }
    });
    loop {
        let ended = turning.is_finished();
        let counts = counted(&scene.ports).await;
        assert_eq!(counts.values().sum::<u64>(), 6, "{counts:?}");
        if ended {
            break;
        }
    }
    turning.await.unwrap();
    check(&scene.ports).await;
}

pub async fn copies_of_a_world_count_their_own(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    Fleet::make(&scene).await;
    let before = check(&scene.ports).await;
    let life = |number| Incarnation::from_bytes([number; 12]);
    let fork = ForkedWorld { name: "copy".parse().unwrap(), incarnation: life(2), seed: None, asked: None };
    let copy = scene.store.fork_world(scene.ports.incarnation, fork).await.unwrap();
    let loaded = load(&scene, World::create(new_world("loaded", 3), Scene::WALL)).await;
    for world in [&copy, &loaded] {
        assert_eq!(check(world).await, before);
        let front = cluster_in("front", "A");
        world.machines.commit(create(draft(&front, "fresh").made(&scene.rules))).await.unwrap();
        assert_eq!(check(world).await.values().sum::<u64>(), before.values().sum::<u64>() + 1);
    }
    assert_eq!(check(&scene.ports).await, before);
    let reset = scene.store.replace_world(copy.incarnation, new_world("copy", 4)).await.unwrap();
    assert!(check(&reset).await.is_empty());
}

/// A world that is loaded from what is read of the scene's.
pub(crate) async fn load(scene: &Scene<'_>, world: World) -> WorldPorts {
    let world = World { clock: Clock::new(builders::after(100_000), 0, Rate::PAUSED), ..world };
    let (to, mut from) = mpsc::channel(2);
    let (give, take) = mpsc::channel(2);
    let reading = scene.store.read_world(scene.ports.incarnation, to);
    let passing = async move {
        while let Some(part) = from.recv().await {
            if !matches!(part, Part::World(..)) {
                give.send(part).await.unwrap();
            }
        }
    };
    let (read, (), loaded) = tokio::join!(reading, passing, scene.store.load_world(None, world, take));
    read.unwrap();
    loaded.unwrap()
}
