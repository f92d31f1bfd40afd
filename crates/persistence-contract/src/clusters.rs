//! Clusters.

use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommit, ClusterCommitError, ClusterWrite, CommitError, ForkedWorld, GoneCluster,
};
use cloudm_domain::{Cluster, ClusterEdit, ClusterId, Incarnation};

use crate::builders::{FOREVER, START, after, answer, cluster, cluster_in, create, draft, renamed};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

fn update(cluster: &Cluster, name: &str) -> ClusterWrite {
    ClusterWrite::Update { expected: cluster.version, cluster: renamed(cluster, name), sizes: None }
}

fn delete(cluster: &Cluster) -> ClusterWrite {
    ClusterWrite::Delete { id: cluster.id, expected: cluster.version, at: START }
}

pub async fn a_cluster_is_read_as_it_was_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let clusters = &scene.ports.clusters;
    let made = scene.cluster("Web_1.eu-x").await;
    assert_eq!(clusters.get(made.id).await.unwrap().as_deref(), Some(&made));
    let edit = ClusterEdit { name: Some("other".parse().unwrap()), region_code: Some("F".parse().unwrap()) };
    let edited = made.edit(&edit, after(90_001)).unwrap();
    scene.write(ClusterWrite::Update { expected: 1, cluster: edited.clone(), sizes: None }).await.unwrap();
    assert_eq!(clusters.get(made.id).await.unwrap().as_deref(), Some(&edited));
    assert_eq!(clusters.find(&edited.name).await.unwrap().as_deref(), Some(&edited));
    assert_eq!(clusters.find(&made.name).await.unwrap(), None);
    assert!(clusters.id_used(made.id).await.unwrap());
}

pub async fn a_deleted_cluster_is_remembered(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let clusters = &scene.ports.clusters;
    let made = scene.cluster("web").await;
    let edit = ClusterEdit { name: Some("db".parse().unwrap()), region_code: Some("F".parse().unwrap()) };
    let edited = made.edit(&edit, after(10)).unwrap();
    scene.write(ClusterWrite::Update { expected: 1, cluster: edited.clone(), sizes: None }).await.unwrap();
    assert_eq!(clusters.gone(made.id).await.unwrap(), None);
    let stale = ClusterWrite::Delete { id: made.id, expected: 1, at: after(20) };
    assert_refused!(scene.write(stale).await, ClusterCommitError::Conflict);
    assert_eq!(clusters.gone(made.id).await.unwrap(), None);
    scene.write(ClusterWrite::Delete { id: made.id, expected: 2, at: after(30) }).await.unwrap();
    let gone = GoneCluster { cluster: Arc::new(edited), at: after(30) };
    assert_eq!(clusters.gone(made.id).await.unwrap(), Some(gone.clone()));
    assert_eq!(clusters.gone(cluster("absent").id).await.unwrap(), None);
    assert!(scene.now().await >= after(30), "the world has reached it");
    let (name, incarnation) = ("copy".parse().unwrap(), Incarnation::from_bytes([2; 12]));
    let fork = ForkedWorld { name, incarnation, seed: None, asked: None };
    let fork = scene.store.fork_world(scene.ports.incarnation, fork).await.unwrap();
    assert_eq!(fork.clusters.gone(made.id).await.unwrap(), Some(gone));
}

pub async fn an_absent_cluster_is_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let clusters = &scene.ports.clusters;
    assert!(clusters.all().await.unwrap().is_empty());
    let (made, absent) = (scene.cluster("web").await, cluster("db"));
    assert_eq!(clusters.get(absent.id).await.unwrap(), None);
    assert_eq!(clusters.find(&absent.name).await.unwrap(), None);
    assert_eq!(clusters.find(&"WEB".parse().unwrap()).await.unwrap(), None, "names differ by case");
    assert!(!clusters.id_used(absent.id).await.unwrap());
    scene.write(delete(&made)).await.unwrap();
    assert_eq!(clusters.get(made.id).await.unwrap(), None);
    assert_eq!(clusters.find(&made.name).await.unwrap(), None);
    assert!(clusters.all().await.unwrap().is_empty());
}

pub async fn clusters_are_in_order_of_creation(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut made = Vec::new();
    for (name, id, at) in [("c", 9, 0), ("a", 5, 20), ("e", 1, 10), ("b", 3, 10), ("d", 2, 10)] {
        let id = ClusterId::from_bytes([id; 12]);
        let one = Cluster::create(id, name.parse().unwrap(), "A".parse().unwrap(), after(at));
        scene.make(one.clone()).await;
        made.push(one);
    }
    // A change moves none.
    scene.write(update(&made[0], "z")).await.unwrap();
    let all = scene.ports.clusters.all().await.unwrap();
    let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["z", "e", "d", "b", "a"]);
}

pub async fn a_write_needs_the_expected_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let first = scene.cluster("web").await;
    scene.write(update(&first, "web-2")).await.unwrap();
    assert_refused!(scene.write(update(&first, "web-3")).await, ClusterCommitError::Conflict);
    assert_refused!(scene.write(delete(&first)).await, ClusterCommitError::Conflict);
    let ahead = ClusterWrite::Delete { id: first.id, expected: 3, at: START };
    assert_refused!(scene.write(ahead).await, ClusterCommitError::Conflict);
    let absent = cluster("absent");
    assert_refused!(scene.write(update(&absent, "other")).await, ClusterCommitError::Conflict);
    assert_refused!(scene.write(delete(&absent)).await, ClusterCommitError::Conflict);
    assert_eq!(scene.ports.clusters.get(first.id).await.unwrap().unwrap().name.as_str(), "web-2");
}

pub async fn of_racing_updates_one_wins_each_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut current = scene.cluster("web").await;
    for round in 0..5 {
        let results = race(8, |number| {
            let clusters = scene.ports.clusters.clone();
            let write = update(&current, &format!("web-{round}-{number}"));
            async move { clusters.commit(ClusterCommit { write, keep: None }).await }
        })
        .await;
        assert_eq!(winners(&results), 1, "{results:?}");
        let winner = results.iter().position(Result::is_ok).unwrap();
        current = renamed(&current, &format!("web-{round}-{winner}"));
        assert_eq!(*scene.ports.clusters.get(current.id).await.unwrap().unwrap(), current);
    }
}

pub async fn a_name_is_unique(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let same = Cluster { id: ClusterId::from_bytes([1; 12]), ..web.clone() };
    assert_refused!(scene.write(ClusterWrite::Create(same.clone())).await, ClusterCommitError::NameTaken);
    assert_refused!(scene.write(update(&db, "web")).await, ClusterCommitError::NameTaken);
    // A cluster does not stand in its own way.
    let moved = web.edit(&ClusterEdit { name: None, region_code: Some("B".parse().unwrap()) }, START).unwrap();
    scene.write(ClusterWrite::Update { expected: 1, cluster: moved.clone(), sizes: None }).await.unwrap();
    // A name is free once its cluster has another, or is gone.
    scene.write(update(&moved, "web-2")).await.unwrap();
    scene.write(update(&db, "web")).await.unwrap();
    scene.write(delete(&renamed(&moved, "web-2"))).await.unwrap();
    scene.make(renamed(&same, "web-2")).await;
}

pub async fn a_name_is_free_after_a_rename_and_a_deletion(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.write(update(&web, "front")).await.unwrap();
    let again = Cluster { id: ClusterId::from_bytes([1; 12]), ..web.clone() };
    scene.make(again.clone()).await;
    scene.write(update(&again, "back")).await.unwrap();
    scene.write(delete(&renamed(&again, "back"))).await.unwrap();
    for (number, name) in [(2, "web"), (3, "back")] {
        scene.make(Cluster { id: ClusterId::from_bytes([number; 12]), ..cluster(name) }).await;
        let named = scene.ports.clusters.find(&name.parse().unwrap()).await.unwrap();
        assert_eq!(named.unwrap().id.as_bytes()[0], number);
    }
}

pub async fn of_racing_creations_of_a_name_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let results = race(16, |number| {
        let clusters = scene.ports.clusters.clone();
        let one = Cluster { id: ClusterId::from_bytes([number as u8; 12]), ..cluster("web") };
        async move { clusters.commit(ClusterCommit { write: ClusterWrite::Create(one), keep: None }).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), 1);
    for refused in results.into_iter().filter(Result::is_err) {
        assert_refused!(refused, ClusterCommitError::NameTaken);
    }
}

pub async fn of_racing_creations_of_an_id_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let results = race(16, |number| {
        let clusters = scene.ports.clusters.clone();
        let one = Cluster { id: ClusterId::from_bytes([1; 12]), ..cluster(&format!("web-{number}")) };
        async move { clusters.commit(ClusterCommit { write: ClusterWrite::Create(one), keep: None }).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), 1);
    for refused in results.into_iter().filter(Result::is_err) {
        assert_refused!(refused, ClusterCommitError::IdUsed);
    }
}

pub async fn an_id_is_used_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let again = renamed(&web, "other");
    assert_refused!(scene.write(ClusterWrite::Create(again.clone())).await, ClusterCommitError::IdUsed);
    scene.write(delete(&web)).await.unwrap();
    assert!(scene.ports.clusters.id_used(web.id).await.unwrap());
    assert_refused!(scene.write(ClusterWrite::Create(again)).await, ClusterCommitError::IdUsed);
}

/// Makes clusters until there is room for `left` more.
async fn fill(scene: &Scene<'_>, left: usize) {
    let results = race(Cluster::MAX_IN_WORLD - left, |number| {
        let (clusters, one) = (scene.ports.clusters.clone(), cluster(&format!("c-{number}")));
        async move { clusters.commit(ClusterCommit { write: ClusterWrite::Create(one), keep: None }).await }
    })
    .await;
    assert_eq!(winners(&results), results.len());
}

pub async fn a_world_has_room_for_so_many(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    fill(&scene, 0).await;
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), Cluster::MAX_IN_WORLD);
    assert_refused!(scene.write(ClusterWrite::Create(cluster("more"))).await, ClusterCommitError::TooMany);
    // The number is checked after the id and the name.
    let named = Cluster { id: ClusterId::from_bytes([1; 12]), ..cluster("c-0") };
    assert_refused!(scene.write(ClusterWrite::Create(named)).await, ClusterCommitError::NameTaken);
    assert_refused!(scene.write(ClusterWrite::Create(cluster("c-0"))).await, ClusterCommitError::IdUsed);
    // It holds for creations alone, and room is made by deletions.
    scene.write(update(&cluster("c-0"), "d-0")).await.unwrap();
    scene.write(delete(&cluster("c-1"))).await.unwrap();
    scene.make(cluster("more")).await;
}

pub async fn of_racing_creations_for_the_last_place_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    fill(&scene, 1).await;
    let results = race(8, |number| {
        let (clusters, one) = (scene.ports.clusters.clone(), cluster(&format!("last-{number}")));
        async move { clusters.commit(ClusterCommit { write: ClusterWrite::Create(one), keep: None }).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    for refused in results.into_iter().filter(Result::is_err) {
        assert_refused!(refused, ClusterCommitError::TooMany);
    }
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), Cluster::MAX_IN_WORLD);
}

pub async fn a_cluster_with_machines_is_not_deleted(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let machine = scene.machine(&web, "a").await;
    assert_refused!(scene.write(delete(&web)).await, ClusterCommitError::NotEmpty);
    assert!(scene.ports.machines.get(machine.id).await.unwrap().is_some());
    scene.write(delete(&db)).await.unwrap();
    // A machine on its way to its end is still one.
    let ending = crate::builders::asked(&machine, cloudm_domain::Command::Terminate, START, &scene.slow);
    let ending = scene.update(&machine, ending).await;
    assert_refused!(scene.write(delete(&web)).await, ClusterCommitError::NotEmpty);
    let ended = ending.clone().settle(ending.due_at().unwrap(), &scene.slow);
    scene.update(&ending, ended).await;
    scene.write(delete(&web)).await.unwrap();
}

pub async fn a_cluster_of_terminated_machines_is_deleted(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for name in ["a", "b"] {
        let machine = scene.machine(&web, name).await;
        scene.terminate(machine).await;
    }
    scene.write(delete(&web)).await.unwrap();
    assert!(scene.ports.clusters.all().await.unwrap().is_empty());
}

pub async fn no_machine_outlives_its_cluster(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 0..12 {
        let web = scene.cluster(&format!("web-{round}")).await;
        let results = race(5, |number| {
            let (machines, clusters) = (scene.ports.machines.clone(), scene.ports.clusters.clone());
            let (web, rules) = (web.clone(), scene.rules.clone());
            async move {
                if number == 2 {
                    let deleted = clusters.commit(ClusterCommit { write: delete(&web), keep: None }).await;
                    deleted.map_err(|error| assert_refused!(Err::<(), _>(error), ClusterCommitError::NotEmpty))
                } else {
                    let made = machines.commit(create(draft(&web, &format!("m-{number}")).made(&rules))).await;
                    made.map_err(|error| assert_refused!(Err::<(), _>(error), CommitError::NoCluster))
                }
            }
        })
        .await;
        let deleted = results[2].is_ok();
        let made = winners(&results) - usize::from(deleted);
        assert!(if deleted { made == 0 } else { made > 0 }, "{results:?}");
        assert_eq!(scene.ports.clusters.get(web.id).await.unwrap().is_none(), deleted);
        for number in [0, 1, 3, 4] {
            let id = draft(&web, &format!("m-{number}")).made(&scene.rules).machine.id;
            assert_eq!(scene.ports.machines.get(id).await.unwrap().is_some(), results[number].is_ok());
            assert_eq!(scene.ports.machines.id_used(id).await.unwrap(), results[number].is_ok());
        }
    }
}

pub async fn creations_are_checked_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    // Key, id and name are all taken, the last two by different clusters.
    let write = ClusterWrite::Create(Cluster { name: db.name, ..web });
    let all = ClusterCommit { write: write.clone(), keep: Some(answer("used", FOREVER)) };
    assert_refused!(scene.ports.clusters.commit(all).await, ClusterCommitError::KeyTaken);
    assert_refused!(scene.write(write).await, ClusterCommitError::IdUsed);
}

pub async fn changes_are_checked_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    scene.machine(&web, "a").await;
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    let stale_rename = ClusterWrite::Update { expected: 7, cluster: renamed(&db, "web"), sizes: None };
    let stale_deletion = ClusterWrite::Delete { id: web.id, expected: 7, at: START };
    for write in [stale_rename, stale_deletion] {
        let with_key = ClusterCommit { write: write.clone(), keep: Some(answer("used", FOREVER)) };
        assert_refused!(scene.ports.clusters.commit(with_key).await, ClusterCommitError::KeyTaken);
        assert_refused!(scene.write(write).await, ClusterCommitError::Conflict);
    }
}

pub async fn an_answer_is_kept_with_its_effect(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let clusters = &scene.ports.clusters;
    let web = cluster_in("web", "B");
    let keep = |key| Some(answer(key, FOREVER));
    clusters.commit(ClusterCommit { write: ClusterWrite::Create(web.clone()), keep: keep("c") }).await.unwrap();
    clusters.commit(ClusterCommit { write: update(&web, "x"), keep: keep("u") }).await.unwrap();
    clusters.commit(ClusterCommit { write: delete(&renamed(&web, "x")), keep: keep("d") }).await.unwrap();
    for key in ["c", "u", "d"] {
        assert_eq!(scene.ports.answers.get(key, 0).await.unwrap(), keep(key));
    }
}

pub async fn a_refused_write_changes_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    scene.machine(&web, "a").await;
    let before = scene.ports.clusters.all().await.unwrap();
    let fresh = Cluster { id: ClusterId::from_bytes([1; 12]), ..web.clone() };
    let writes = [
        ClusterWrite::Create(fresh.clone()),
        ClusterWrite::Create(web.clone()),
        update(&db, "web"),
        ClusterWrite::Update { expected: 9, cluster: renamed(&web, "other"), sizes: None },
        delete(&web),
    ];
    for write in writes {
        let commit = ClusterCommit { write, keep: Some(answer("key", FOREVER)) };
        scene.ports.clusters.commit(commit).await.unwrap_err();
    }
    assert_eq!(scene.ports.clusters.all().await.unwrap(), before);
    assert_eq!(scene.ports.answers.get("key", 0).await.unwrap(), None);
    assert!(!scene.ports.clusters.id_used(fresh.id).await.unwrap());
}
