//! Many writes at once, which may share one commit to the disk.

use cloudm_application::ports::{ClusterCommit, ClusterWrite, Commit, CommitError};
use cloudm_domain::{Cluster, Machine, MachineId};

use crate::builders::{FOREVER, answer, create, draft, renamed, touched, update};
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

async fn made(scene: &Scene<'_>, cluster: &Cluster, count: usize) -> Vec<Machine> {
    let mut machines = Vec::new();
    for number in 0..count {
        machines.push(scene.machine(cluster, &format!("m-{number}")).await);
    }
    machines
}

pub async fn a_failing_neighbour_undoes_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machines = made(&scene, &web, 8).await;
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    // Every other one fails, each in its own way; those that succeed keep an answer.
    let results = race(64, |number| {
        let port = scene.ports.machines.clone();
        let good = create(draft(&web, &format!("new-{number}")).made(&scene.rules));
        let commit = match number % 8 {
            1 => create(draft(&web, &format!("m-{}", number / 8)).made(&scene.rules)),
            3 => create(draft(&web, "m-0").id(MachineId::from_bytes([number as u8; 12])).made(&scene.rules)),
            5 => Commit { keep: Some(answer("used", FOREVER)), ..good },
            7 => {
                let after = touched(&machines[number / 8], &scene.rules).machine;
                update(&after, touched(&after, &scene.rules))
            }
            _ => Commit { keep: Some(answer(&format!("key-{number}"), FOREVER)), ..good },
        };
        async move { port.commit(commit).await }
    })
    .await;
    for (number, result) in results.into_iter().enumerate() {
        let made = scene.holder(&web, &format!("new-{number}")).await;
        let kept = scene.ports.answers.get(&format!("key-{number}"), 0).await.unwrap();
        assert_eq!((made.is_some(), kept.is_some()), (number % 2 == 0, number % 2 == 0), "{number}");
        match number % 8 {
            1 => assert_refused!(result, CommitError::IdUsed),
            3 => assert_refused!(result, CommitError::NameTaken),
            5 => assert_refused!(result, CommitError::KeyTaken),
            7 => assert_refused!(result, CommitError::Conflict),
            _ => result.unwrap(),
        }
    }
    for machine in machines {
        assert_eq!(scene.ports.machines.get(machine.id).await.unwrap().unwrap().machine, machine);
    }
    assert_eq!(scene.history().await.iter().filter(|event| event.version == 1).count(), 8 + 32);
}

pub async fn writes_of_different_ports_share_the_world(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let results = race(30, |number| {
        let (ports, web, rules) = (scene.ports.clone(), web.clone(), scene.rules.clone());
        async move {
            match number % 3 {
                0 => ports.machines.commit(create(draft(&web, &format!("m-{number}")).made(&rules))).await.is_ok(),
                1 => {
                    let write = ClusterWrite::Create(crate::builders::cluster(&format!("c-{number}")));
                    ports.clusters.commit(ClusterCommit { write, keep: None }).await.is_ok()
                }
                _ => ports.answers.keep(answer(&format!("key-{number}"), FOREVER), 0).await.unwrap(),
            }
        }
    })
    .await;
    assert!(results.into_iter().all(|written| written));
    assert_eq!(scene.ports.clusters.all().await.unwrap().len(), 11);
    for number in (0..30).step_by(3) {
        assert!(scene.holder(&web, &format!("m-{number}")).await.is_some());
        assert!(scene.ports.answers.get(&format!("key-{}", number + 2), 0).await.unwrap().is_some());
    }
}

pub async fn crowds_are_all_answered(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    // More than any queue holds at once.
    let results = race(3_000, |number| {
        let machines = scene.ports.machines.clone();
        let made = create(draft(&web, &format!("m-{number}")).made(&scene.rules));
        async move { machines.commit(made).await }
    })
    .await;
    for result in results {
        result.unwrap();
    }
    assert_eq!(scene.history().await.iter().filter(|event| event.version == 1).count(), 3_000);
}

pub async fn a_write_is_seen_by_the_next_read(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    race(4, |number| {
        let (ports, web, rules) = (scene.ports.clone(), web.clone(), scene.rules.clone());
        async move {
            let made = draft(&web, &format!("m-{number}")).made(&rules);
            let mut machine = made.machine.clone();
            ports.machines.commit(create(made)).await.unwrap();
            for round in 0..25 {
                let after = touched(&machine, &rules);
                let now = after.machine.clone();
                ports.machines.commit(update(&machine, after)).await.unwrap();
                assert_eq!(ports.machines.get(now.id).await.unwrap().unwrap().machine, now);
                let holder = ports.machines.holder(web.id, &now.name).await.unwrap();
                assert_eq!(holder.as_ref(), Some(&now));
                let key = format!("key-{number}-{round}");
                assert!(ports.answers.keep(answer(&key, FOREVER), 0).await.unwrap());
                assert!(ports.answers.get(&key, 0).await.unwrap().is_some());
                machine = now;
            }
        }
    })
    .await;
    let other = renamed(&web, "other");
    scene.write(ClusterWrite::Update { expected: 1, cluster: other.clone(), sizes: None }).await.unwrap();
    assert_eq!(*scene.ports.clusters.get(web.id).await.unwrap().unwrap(), other);
}

pub async fn a_caller_who_leaves_leaves_all_or_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in 0..50 {
        let made = draft(&web, &format!("m-{number}")).made(&scene.rules);
        let key = format!("key-{number}");
        let commit = Commit { keep: Some(answer(&key, FOREVER)), ..create(made.clone()) };
        let machines = scene.ports.machines.clone();
        let leaver = tokio::spawn(async move { machines.commit(commit).await });
        for _ in 0..number % 5 {
            tokio::task::yield_now().await;
        }
        leaver.abort();
        drop(leaver.await);
        // It may still be under way. Of its answer and this one, one is kept: from then on it is known what comes of it.
        let came_to_nothing = scene.ports.answers.keep(answer(&key, FOREVER), 0).await.unwrap();
        let written = scene.ports.machines.get(made.machine.id).await.unwrap().is_some();
        assert_eq!(written, !came_to_nothing);
        assert_eq!(scene.ports.machines.id_used(made.machine.id).await.unwrap(), written);
    }
}
