//! Places: a pool gives as many as it has, whoever asks, and a refusal is kept in the history.

use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommit, ClusterCommitError, ClusterWrite, Commit, CommitError, FleetBatch, MachineWrite, WorldPorts,
};
use cloudm_domain::{Cause, Cluster, ClusterEdit, Command, Machine, MachineId, MachineState, PoolSizes, WorldRefusal};

use crate::builders::{
    FOREVER, START, asked, changed, cluster, create, done, draft, lease, made, operation, pools, touched, update,
};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

type Sizes = Option<Arc<PoolSizes>>;

fn with(sizes: &Sizes, commit: Commit) -> Commit {
    Commit { sizes: sizes.clone(), ..commit }
}

/// How many places the machines of the type `small` in a region hold.
async fn held(ports: &WorldPorts, region: &str) -> u64 {
    let counts = ports.machines.counts().await.unwrap();
    let sizes = pools(&[("A", 1)]).unwrap();
    let there = |cluster: &Cluster| cluster.region_code.as_str() == region;
    let held = counts.iter().filter(|count| there(&count.cluster) && sizes.is_held_in(count.state));
    held.filter(|count| count.machine_type.as_str() == "small").map(|count| count.count).sum()
}

/// A machine that was made, and stopped.
async fn stopped(scene: &Scene<'_>, cluster: &Cluster, name: &str) -> Machine {
    let machine = scene.machine(cluster, name).await;
    let stop = asked(&machine, Command::Stop, START, &scene.rules);
    scene.commit(update(&machine, stop.clone())).await.unwrap();
    stop.machine
}

fn refused(cluster: &Cluster, name: &str) -> MachineWrite {
    MachineWrite { before: None, after: None, events: vec![draft(cluster, name).refused()] }
}

pub async fn a_full_pool_refuses_and_what_is_given_back_is_taken_again(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, far) = (scene.cluster("web").await, scene.make_in("far", "B").await);
    let sizes = pools(&[("A", 2)]);
    let creation = |cluster: &Cluster, name: &str| with(&sizes, create(draft(cluster, name).made(&scene.rules)));
    scene.commit(creation(&web, "a")).await.unwrap();
    scene.commit(creation(&web, "b")).await.unwrap();
    let history = scene.history().await;
    assert_refused!(scene.commit(creation(&web, "c")).await, CommitError::NoPlace);
    assert_eq!(scene.history().await, history, "nothing is written of it");
    let large = draft(&web, "c").machine_type("large").made(&scene.rules);
    scene.commit(with(&sizes, create(large))).await.unwrap();
    scene.commit(creation(&far, "c")).await.unwrap();
    let a = draft(&web, "a").made(&scene.rules).machine;
    let stop = asked(&a, Command::Stop, START, &scene.rules);
    scene.commit(with(&sizes, update(&a, stop.clone()))).await.unwrap();
    scene.commit(creation(&web, "d")).await.unwrap();
    let start = asked(&stop.machine, Command::Start, START, &scene.rules);
    assert_refused!(scene.commit(with(&sizes, update(&stop.machine, start.clone()))).await, CommitError::NoPlace);
    scene.commit(update(&stop.machine, start)).await.unwrap();
    assert_eq!(held(&scene.ports, "A").await, 3, "without pools there is room for any number");
}

pub async fn a_machine_that_holds_a_place_asks_for_no_other(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let sizes = pools(&[("A", 1)]);
    let mut machine = draft(&web, "a").made(&scene.rules).machine;
    scene.commit(with(&sizes, create(draft(&web, "a").made(&scene.rules)))).await.unwrap();
    let none = pools(&[("A", 0)]);
    for command in [Command::Reboot, Command::Suspend, Command::Resume, Command::Terminate] {
        let next = asked(&machine, command, START, &scene.rules);
        scene.commit(with(&none, update(&machine, next.clone()))).await.unwrap();
        machine = next.machine;
    }
    assert_eq!(held(&scene.ports, "A").await, 0);
}

pub async fn a_place_is_checked_last(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (full, absent) = (pools(&[("A", 0)]), cluster("absent"));
    let machine = stopped(&scene, &web, "a").await;
    let again = draft(&web, "a").made(&scene.rules);
    assert_refused!(scene.commit(with(&full, create(again))).await, CommitError::IdUsed);
    let homeless = draft(&absent, "a").made(&scene.rules);
    assert_refused!(scene.commit(with(&full, create(homeless))).await, CommitError::NoCluster);
    let namesake = draft(&web, "a").id(MachineId::from_bytes([9; 12])).made(&scene.rules);
    assert_refused!(scene.commit(with(&full, create(namesake))).await, CommitError::NameTaken);
    let start = asked(&machine, Command::Start, START, &scene.rules);
    assert_refused!(scene.commit(with(&full, update(&machine, start.clone()))).await, CommitError::NoPlace);
    scene.commit(update(&machine, touched(&machine, &scene.rules))).await.unwrap();
    assert_refused!(scene.commit(with(&full, update(&machine, start))).await, CommitError::Conflict);
}

pub async fn of_racing_creations_as_many_win_as_there_are_places(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let sizes = pools(&[("A", 10)]);
    let results = race(64, |number| {
        let cluster = if number % 2 == 0 { &web } else { &db };
        let commit = with(&sizes, create(draft(cluster, &format!("m-{number}")).made(&scene.rules)));
        let machines = scene.ports.machines.clone();
        async move { machines.commit(commit).await }
    })
    .await;
    assert_eq!(winners(&results), 10);
    let others = results.into_iter().filter_map(Result::err);
    assert!(others.into_iter().all(|error| matches!(error, CommitError::NoPlace)));
    assert_eq!(held(&scene.ports, "A").await, 10);
}

pub async fn of_racing_starts_and_calls_as_many_win_as_there_are_places(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let sizes = pools(&[("A", 7)]);
    let mut resting = Vec::new();
    for number in 0..12 {
        resting.push(stopped(&scene, &web, &format!("s-{number}")).await);
    }
    let results = race(16, |number| {
        let start = resting
            .get(number)
            .map(|machine| with(&sizes, update(machine, asked(machine, Command::Start, START, &scene.rules))));
        let call: Vec<_> = (0..3).map(|n| made(draft(&web, &format!("c-{number}-{n}")).made(&scene.rules))).collect();
        let (machines, sizes) = (scene.ports.machines.clone(), sizes.clone());
        async move {
            match start {
                Some(start) => usize::from(machines.commit(start).await.is_ok()),
                None => winners(&machines.commit_all(call, sizes).await.unwrap()),
            }
        }
    })
    .await;
    assert_eq!(results.into_iter().sum::<usize>(), 7);
    assert_eq!(held(&scene.ports, "A").await, 7);
}

pub async fn a_call_takes_the_places_that_there_are_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let sizes = pools(&[("A", 2)]);
    let fresh = |name: &str| draft(&web, name).made(&scene.rules);
    let a = scene.machine(&web, "a").await;
    let stop = changed(&a, asked(&a, Command::Stop, START, &scene.rules));
    let writes = vec![made(fresh("b")), made(fresh("c")), stop, made(fresh("d")), made(fresh("e"))];
    let written = scene.ports.machines.commit_all(writes, sizes).await.unwrap();
    let taken: Vec<_> = written.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true, true, false]);
    assert!(written.into_iter().filter_map(Result::err).all(|error| matches!(error, CommitError::NoPlace)));
    assert_eq!(held(&scene.ports, "A").await, 2);
}

pub async fn work_takes_the_places_that_there_are(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let lease = lease(1, 0, FOREVER);
    let running = scene.ports.operations.accept(operation(1), Some(lease), None).await.unwrap();
    let fresh = |name: &str| done(made(draft(&web, name).made(&scene.rules)));
    let entries = vec![fresh("a"), fresh("b"), fresh("c")];
    let (cursor, sizes) = (running.cursor.clone(), pools(&[("A", 2)]));
    let batch = FleetBatch { operation: running.id, lease, entries, cursor, ending: None, sizes };
    let worked = scene.ports.operations.work(batch.clone()).await.unwrap();
    let taken: Vec<_> = worked.entries.iter().map(Result::is_ok).collect();
    assert_eq!((taken, worked.operation.progress.done), (vec![true, true, false], 2));
    assert!(matches!(worked.entries[2], Err(CommitError::NoPlace)));
    let again = scene.ports.operations.work(batch).await.unwrap();
    assert_eq!(again.operation.progress.done, 2, "what has its place keeps it");
    assert_eq!(held(&scene.ports, "A").await, 2);
}

fn moved(cluster: &Cluster, region: &str, sizes: &Sizes) -> ClusterCommit {
    let edit = ClusterEdit { name: None, region_code: Some(region.parse().unwrap()) };
    let cluster = cluster.edit(&edit, START).unwrap();
    ClusterCommit { write: ClusterWrite::Update { expected: 1, cluster, sizes: sizes.clone() }, keep: None }
}

pub async fn a_cluster_moves_whole_or_not_at_all(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, far) = (scene.cluster("web").await, scene.make_in("far", "B").await);
    for name in ["a", "b"] {
        scene.machine(&web, name).await;
    }
    stopped(&scene, &web, "c").await;
    scene.machine(&far, "a").await;
    let clusters = &scene.ports.clusters;
    let refused = clusters.commit(moved(&web, "B", &pools(&[("B", 2)]))).await;
    assert!(matches!(refused, Err(ClusterCommitError::NoPlace(code)) if code.as_str() == "small"));
    assert_eq!(clusters.get(web.id).await.unwrap().unwrap().as_ref(), &web);
    clusters.commit(moved(&web, "B", &pools(&[("A", 0), ("B", 3)]))).await.unwrap();
    assert_eq!((held(&scene.ports, "A").await, held(&scene.ports, "B").await), (0, 3));
    let late = with(&pools(&[("B", 3)]), create(draft(&web, "d").made(&scene.rules)));
    assert_refused!(scene.commit(late).await, CommitError::NoPlace);
    // One without machines needs no room, however full the region is.
    let empty = scene.cluster("empty").await;
    clusters.commit(moved(&empty, "B", &pools(&[("B", 0)]))).await.unwrap();
}

pub async fn a_move_that_races_with_creations_leaves_no_region_too_full(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 0..4 {
        let (from, to) = (format!("A{round}"), format!("B{round}"));
        let web = scene.make_in(&format!("web-{round}"), &from).await;
        let far = scene.make_in(&format!("far-{round}"), &to).await;
        for name in ["a", "b", "c"] {
            scene.machine(&web, name).await;
        }
        let sizes = pools(&[(&from, 4), (&to, 5)]);
        race(9, |number| {
            let into = if number % 2 == 0 { &web } else { &far };
            let commit = with(&sizes, create(draft(into, &format!("m-{number}")).made(&scene.rules)));
            let (machines, clusters) = (scene.ports.machines.clone(), scene.ports.clusters.clone());
            let moving = (number == 4).then(|| moved(&web, &to, &sizes));
            async move {
                match moving {
                    Some(moving) => drop(clusters.commit(moving).await),
                    None => drop(machines.commit(commit).await),
                }
            }
        })
        .await;
        let held = (held(&scene.ports, &from).await, held(&scene.ports, &to).await);
        assert!(held.0 <= 4 && held.1 <= 5, "{held:?}");
    }
}

pub async fn a_refused_creation_is_an_event_and_uses_its_id(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let event = draft(&web, "a").refused();
    scene.commit(refused(&web, "a").into()).await.unwrap();
    assert_eq!(scene.history().await, std::slice::from_ref(&event));
    assert!(scene.ports.machines.id_used(event.machine).await.unwrap());
    assert!(scene.ports.machines.get(event.machine).await.unwrap().is_none());
    assert!(scene.ports.machines.counts().await.unwrap().is_empty());
    assert_refused!(scene.commit(refused(&web, "a").into()).await, CommitError::IdUsed);
    let creation = create(draft(&web, "a").made(&scene.rules));
    assert_refused!(scene.commit(creation).await, CommitError::IdUsed);
    assert_refused!(scene.commit(refused(&cluster("absent"), "a").into()).await, CommitError::NoCluster);
    // The name is free, and many are written as one is.
    let other = draft(&web, "a").id(MachineId::from_bytes([9; 12])).made(&scene.rules);
    let writes = vec![refused(&web, "b"), made(other), refused(&web, "b"), refused(&cluster("absent"), "b")];
    let written = scene.ports.machines.commit_all(writes, None).await.unwrap();
    assert!(matches!(written[..], [Ok(()), Ok(()), Err(CommitError::IdUsed), Err(CommitError::NoCluster)]));
    assert_eq!(scene.history().await.len(), 1 + 1 + 3);
}

pub async fn of_racing_writes_of_an_id_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for round in 0..4 {
        let name = format!("m-{round}");
        let results = race(8, |number| {
            let creation = create(draft(&web, &name).made(&scene.rules));
            let commit = if number % 2 == 0 { creation } else { refused(&web, &name).into() };
            let machines = scene.ports.machines.clone();
            async move { machines.commit(commit).await }
        })
        .await;
        assert_eq!(winners(&results), 1);
    }
}

pub async fn a_refusal_is_kept_with_its_machine(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = stopped(&scene, &web, "a").await;
    let why = WorldRefusal::InsufficientCapacity;
    let once = machine.clone().refuse((Cause::Start, why), None, START, &scene.rules);
    scene.commit(update(&machine, once.clone())).await.unwrap();
    let twice = once.machine.clone().refuse((Cause::Start, why), None, START, &scene.rules);
    scene.commit(update(&once.machine, twice.clone())).await.unwrap();
    let stored = scene.ports.machines.get(machine.id).await.unwrap().unwrap().machine;
    assert_eq!((stored.attempt, stored.state), (2, MachineState::Stopped));
    assert_eq!(stored, twice.machine);
    assert_eq!(cloudm_domain::fold(&scene.history().await), Ok(stored));
}
