//! Machines that exist.

use cloudm_application::ports::{ClusterWrite, Commit, CommitError};
use cloudm_domain::{Command, Edit, Machine, MachineId, Preset, Rules, Selector, Span};

use crate::builders::{
    self, FOREVER, START, answer, asked, create, draft, edited, named, query, renamed, seed, terminated, touched,
    update,
};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

async fn stored(scene: &Scene<'_>, id: MachineId) -> Option<Machine> {
    scene.ports.machines.get(id).await.unwrap().map(|placed| placed.machine)
}

pub async fn a_machine_is_read_as_it_was_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let rules = Rules::new(seed(), Preset::Flaky.behaviour());
    let asks = [Command::Stop, Command::Resize("large".parse().unwrap()), Command::Start, Command::Suspend];
    let asks: Vec<_> = asks.into_iter().chain([Command::Reboot, Command::Resume]).collect();
    for number in 0..12 {
        let made = draft(&web, &format!("m-{number}")).tags(&["team:a/b@c=d", "x"][..number % 3]).made(&rules);
        let mut machine = scene.create(made).await;
        // Two virtual days of a life with failures, repairs and whatever is asked, wherever that is possible.
        for step in 1..40 {
            assert_eq!(stored(&scene, machine.id).await.as_ref(), Some(&machine));
            let at = START.plus(Span::from_secs(step * (100 + 400 * number as u64)));
            let ask = asks[(step as usize + number) % asks.len()].clone();
            let after = machine.clone().request(&ask.into(), at, &rules);
            let after = after.unwrap_or_else(|_| touched(&machine.clone(), &rules));
            machine = scene.update(&machine, after).await;
        }
        let edit = Edit { tags: Some(Default::default()), protect_terminate: Some(true), ..Edit::default() };
        machine = scene.update(&machine, edited(&machine, &edit, &rules)).await;
        assert_eq!(stored(&scene, machine.id).await, Some(machine));
    }
}

pub async fn an_absent_machine_is_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let made = scene.machine(&web, "a").await;
    let absent = MachineId::from_bytes([1; 12]);
    assert_eq!(stored(&scene, absent).await, None);
    assert!(!scene.ports.machines.id_used(absent).await.unwrap());
    assert!(scene.ports.machines.id_used(made.id).await.unwrap());
    assert_eq!(scene.holder(&web, "b").await, None);
    assert_eq!(scene.holder(&web, "A").await, None, "names differ by case");
}

pub async fn a_machine_shows_its_cluster_as_it_is_now(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let place = || async { scene.ports.machines.get(machine.id).await.unwrap().unwrap().cluster };
    assert_eq!(*place().await, web);
    let other = renamed(&web, "other");
    scene.write(ClusterWrite::Update { expected: 1, cluster: other.clone(), sizes: None }).await.unwrap();
    assert_eq!(*place().await, other);
}

pub async fn an_update_needs_the_expected_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let first = scene.machine(&web, "a").await;
    let second = scene.update(&first, touched(&first, &scene.rules)).await;
    let stale = update(&first, touched(&first, &scene.rules));
    assert_refused!(scene.commit(stale).await, CommitError::Conflict);
    let third = touched(&second, &scene.rules);
    let ahead = update(&third.machine, touched(&third.machine, &scene.rules));
    assert_refused!(scene.commit(ahead).await, CommitError::Conflict);
    let absent = draft(&web, "absent").made(&scene.rules).machine;
    assert_refused!(scene.commit(update(&absent, touched(&absent, &scene.rules))).await, CommitError::Conflict);
    assert_eq!(stored(&scene, first.id).await, Some(second));
}

pub async fn of_racing_updates_one_wins_each_version(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    // Each tries again from what it reads until it has won five times.
    race(6, |_| {
        let (machines, rules, id) = (scene.ports.machines.clone(), scene.rules.clone(), machine.id);
        async move {
            let mut wins = 0;
            while wins < 5 {
                let before = machines.get(id).await.unwrap().unwrap().machine;
                match machines.commit(update(&before, touched(&before, &rules))).await {
                    Ok(()) => wins += 1,
                    other => assert_refused!(other, CommitError::Conflict),
                }
            }
        }
    })
    .await;
    let last = stored(&scene, machine.id).await.unwrap();
    assert_eq!(last.version, machine.version + 30);
    let versions: Vec<_> = scene.history().await.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=last.version).collect::<Vec<_>>());
}

pub async fn what_is_read_of_a_machine_never_goes_back(fixture: &dyn Fixture) {
    const CHANGES: u64 = 40;
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let last = machine.version + CHANGES;
    race(3, |task| {
        let (machines, rules, mut known) = (scene.ports.machines.clone(), scene.rules.clone(), machine.clone());
        async move {
            while task == 0 && known.version < last {
                let after = touched(&known, &rules);
                let next = after.machine.clone();
                machines.commit(update(&known, after)).await.unwrap();
                assert_eq!(machines.get(known.id).await.unwrap().unwrap().machine, next, "what is answered is read");
                known = next;
            }
            // However it is read.
            while known.version < last {
                let by_id = machines.get(known.id).await.unwrap().unwrap().machine;
                let page = machines.list(&query(&Selector::default(), None, 10)).await.unwrap();
                let listed = page.machines.into_iter().next().unwrap().machine;
                let held = machines.holder(known.cluster_id, &known.name).await.unwrap().unwrap();
                for read in [by_id, listed, held] {
                    assert!(read.version >= known.version, "{} is read after {}", read.version, known.version);
                    known = read;
                }
            }
        }
    })
    .await;
}

pub async fn a_name_is_unique_in_its_cluster(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let (a, b) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await);
    let same = create(draft(&web, "a").id(MachineId::from_bytes([1; 12])).made(&scene.rules));
    assert_refused!(scene.commit(same).await, CommitError::NameTaken);
    assert_refused!(scene.commit(update(&b, named(&b, "a", &scene.rules))).await, CommitError::NameTaken);
    // It does not stand in its own way, and other clusters have names of their own.
    scene.update(&a, touched(&a, &scene.rules)).await;
    scene.machine(&db, "a").await;
    scene.machine(&web, "A").await;
}

pub async fn a_name_is_held_by_one(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let (in_web, in_db) = (scene.machine(&web, "a").await, scene.machine(&db, "a").await);
    assert_eq!(scene.holder(&web, "a").await, Some(in_web));
    assert_eq!(scene.holder(&db, "a").await, Some(in_db));
}

pub async fn a_rename_frees_the_old_name(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let a = scene.machine(&web, "a").await;
    let b = scene.update(&a, named(&a, "b", &scene.rules)).await;
    assert_eq!(scene.holder(&web, "a").await, None);
    assert_eq!(scene.holder(&web, "b").await, Some(b));
    let other = draft(&web, "a").id(MachineId::from_bytes([1; 12])).made(&scene.rules);
    scene.create(other).await;
}

pub async fn of_racing_creations_of_a_name_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let results = race(32, |number| {
        let machines = scene.ports.machines.clone();
        let made = create(draft(&web, "a").id(MachineId::from_bytes([number as u8; 12])).made(&scene.rules));
        async move { machines.commit(made).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    let holder = scene.holder(&web, "a").await.unwrap();
    let winner = results.iter().position(Result::is_ok).unwrap();
    assert_eq!(*holder.id.as_bytes(), [winner as u8; 12]);
    assert_eq!(scene.history().await.len() as u64, holder.version, "the others left no event");
    for refused in results.into_iter().filter(Result::is_err) {
        assert_refused!(refused, CommitError::NameTaken);
    }
}

pub async fn of_racing_renames_to_a_name_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut made = Vec::new();
    for number in 0..8 {
        made.push(scene.machine(&web, &format!("m-{number}")).await);
    }
    let results = race(8, |number| {
        let machines = scene.ports.machines.clone();
        let commit = update(&made[number], named(&made[number], "wanted", &scene.rules));
        async move { machines.commit(commit).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    let holder = scene.holder(&web, "wanted").await.unwrap();
    assert_eq!(holder.id, made[winner].id);
}

pub async fn of_racing_creations_of_an_id_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let id = MachineId::from_bytes([1; 12]);
    let results = race(16, |number| {
        let machines = scene.ports.machines.clone();
        let made = create(draft(&web, &format!("m-{number}")).id(id).made(&scene.rules));
        async move { machines.commit(made).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    assert_eq!(stored(&scene, id).await.unwrap().name.as_str(), format!("m-{winner}"));
    for refused in results.into_iter().filter(Result::is_err) {
        assert_refused!(refused, CommitError::IdUsed);
    }
}

pub async fn an_id_is_used_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.machine(&web, "a").await;
    let id = machine.id;
    let again = || create(draft(&web, "b").id(id).made(&scene.rules));
    assert_refused!(scene.commit(again()).await, CommitError::IdUsed);
    let machine = scene.terminate(machine).await;
    assert_refused!(scene.commit(again()).await, CommitError::IdUsed);
    scene.remove(&machine).await;
    assert_refused!(scene.commit(again()).await, CommitError::IdUsed);
    assert!(scene.ports.machines.id_used(id).await.unwrap());
}

pub async fn a_creation_needs_its_cluster(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let absent = builders::cluster("absent");
    let made = || create(draft(&absent, "a").made(&scene.rules));
    assert_refused!(scene.commit(made()).await, CommitError::NoCluster);
    let web = scene.cluster("web").await;
    scene.write(ClusterWrite::Delete { id: web.id, expected: 1, at: START }).await.unwrap();
    let made = create(draft(&web, "a").made(&scene.rules));
    assert_refused!(scene.commit(made).await, CommitError::NoCluster);
    assert!(scene.history().await.is_empty());
}

fn with_key(commit: Commit) -> Commit {
    Commit { keep: Some(answer("used", FOREVER)), ..commit }
}

pub async fn creations_are_checked_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, absent) = (scene.cluster("web").await, builders::cluster("absent"));
    let machine = scene.machine(&web, "a").await;
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    // Key, id and cluster are all wrong; then id and cluster; id and name; the name alone.
    let lost = create(draft(&absent, "a").id(machine.id).made(&scene.rules));
    assert_refused!(scene.commit(with_key(lost.clone())).await, CommitError::KeyTaken);
    assert_refused!(scene.commit(lost).await, CommitError::IdUsed);
    scene.machine(&web, "b").await;
    let same = create(draft(&web, "b").id(machine.id).made(&scene.rules));
    assert_refused!(scene.commit(same).await, CommitError::IdUsed);
    let named = create(draft(&web, "a").id(MachineId::from_bytes([1; 12])).made(&scene.rules));
    assert_refused!(scene.commit(named).await, CommitError::NameTaken);
}

pub async fn updates_are_checked_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (a, b) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await);
    scene.update(&b, touched(&b, &scene.rules)).await;
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    // The version is stale and the name is taken.
    let stale = update(&b, named(&b, a.name.as_str(), &scene.rules));
    assert_refused!(scene.commit(with_key(stale.clone())).await, CommitError::KeyTaken);
    assert_refused!(scene.commit(stale).await, CommitError::Conflict);
    let stale = builders::remove(&b, Vec::new());
    assert_refused!(scene.commit(with_key(stale.clone())).await, CommitError::KeyTaken);
    assert_refused!(scene.commit(stale).await, CommitError::Conflict);
}

pub async fn a_machine_its_events_and_its_answer_are_written_together(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let made = draft(&web, "a").made(&scene.rules);
    let stopped = asked(&made.machine, Command::Stop, START, &scene.rules);
    let ended = terminated(&stopped.machine, &scene.rules);
    let steps = [
        create(made.clone()),
        update(&made.machine, stopped.clone()),
        update(&stopped.machine, ended.clone()),
        builders::remove(&ended.machine, Vec::new()),
    ];
    let (mut expected, machines) = (Vec::new(), [Some(made.machine), Some(stopped.machine), Some(ended.machine), None]);
    for (number, (step, machine)) in steps.into_iter().zip(machines).enumerate() {
        let kept = answer(&format!("key-{number}"), FOREVER);
        expected.extend(step.write.events.clone());
        scene.commit(Commit { keep: Some(kept.clone()), ..step }).await.unwrap();
        assert_eq!(stored(&scene, draft(&web, "a").made(&scene.rules).machine.id).await, machine);
        assert_eq!(scene.history().await, expected);
        assert_eq!(scene.ports.answers.get(&kept.key, 0).await.unwrap(), Some(kept));
    }
}

pub async fn a_refused_write_changes_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (a, b) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await);
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    let (history, position) = (scene.history().await, scene.ports.events.position().await.unwrap());
    let fresh = draft(&web, "a").id(MachineId::from_bytes([1; 12])).made(&scene.rules);
    let renamed = update(&b, named(&b, "a", &scene.rules));
    let later = touched(&b, &scene.rules).machine;
    let stale = update(&later, touched(&later, &scene.rules));
    let commits = [
        create(fresh.clone()),
        create(draft(&builders::cluster("absent"), "x").made(&scene.rules)),
        renamed,
        stale,
        with_key(create(draft(&web, "c").made(&scene.rules))),
    ];
    for (number, commit) in commits.into_iter().enumerate() {
        let keep = commit.keep.clone().or_else(|| Some(answer(&format!("key-{number}"), FOREVER)));
        scene.commit(Commit { keep, ..commit }).await.unwrap_err();
        assert_eq!(scene.ports.answers.get(&format!("key-{number}"), 0).await.unwrap(), None);
    }
    assert_eq!((stored(&scene, a.id).await, stored(&scene, b.id).await), (Some(a), Some(b)));
    assert_eq!(scene.history().await, history);
    assert_eq!(scene.ports.events.position().await.unwrap(), position);
    assert!(!scene.ports.machines.id_used(fresh.machine.id).await.unwrap());
}
