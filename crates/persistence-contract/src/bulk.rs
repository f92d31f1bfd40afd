//! Many machines written at once: the effect is that of committing each by itself, in their order.

use cloudm_application::ports::{CommitError, MachineQuery, MachineWrite, PlacedMachine, WorldPorts};
use cloudm_domain::{Command, Instant, Machine, MachineId, MachineState, Selector, SelectorField};

use crate::builders::{
    self, START, asked, changed, draft, events, forgotten, made, named, orders, terminated, touched,
};
use crate::chance::Chance;
use crate::fleet::selector;
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

async fn write(scene: &Scene<'_>, writes: Vec<MachineWrite>) -> Vec<Result<(), CommitError>> {
    let count = writes.len();
    let written = scene.ports.machines.commit_all(writes, None).await.unwrap();
    assert_eq!(written.len(), count);
    written
}

async fn stored(scene: &Scene<'_>, id: MachineId) -> Option<Machine> {
    scene.ports.machines.get(id).await.unwrap().map(|placed| placed.machine)
}

pub async fn many_writes_are_written_at_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    assert!(write(&scene, Vec::new()).await.is_empty());
    let web = scene.cluster("web").await;
    let fresh: Vec<_> = (0..300)
        .map(|number| draft(&web, &format!("m-{number}")).tags(&["x", "y"][..number % 3]).made(&scene.rules))
        .collect();
    let written = write(&scene, fresh.iter().cloned().map(made).collect()).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    let mut expected: Vec<_> = fresh.iter().flat_map(|outcome| outcome.events.clone()).collect();
    assert_eq!(scene.history().await, expected);
    let stops: Vec<_> =
        fresh.iter().map(|one| asked(&one.machine, Command::Stop, one.machine.updated_at, &scene.rules)).collect();
    let changes = fresh.iter().zip(&stops).map(|(before, after)| changed(&before.machine, after.clone()));
    assert!(write(&scene, changes.collect()).await.iter().all(Result::is_ok));
    expected.extend(stops.iter().flat_map(|outcome| outcome.events.clone()));
    assert_eq!(scene.history().await, expected);
    for outcome in &stops {
        assert_eq!(stored(&scene, outcome.machine.id).await.as_ref(), Some(&outcome.machine));
    }
    let ended = stops.iter().map(|one| forgotten(&one.machine, terminated(&one.machine, &scene.rules).events));
    assert!(write(&scene, ended.collect()).await.iter().all(Result::is_ok));
    for one in &stops {
        assert_eq!(stored(&scene, one.machine.id).await, None);
        assert!(scene.ports.machines.id_used(one.machine.id).await.unwrap());
    }
    for fields in [&[][..], &[(SelectorField::Tag, "x")], &[(SelectorField::State, "STOPPED,TERMINATED")]] {
        let page = scene.ports.machines.list(&builders::query(&selector(fields), None, 10)).await.unwrap();
        assert!(page.machines.is_empty(), "{fields:?}");
    }
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), None);
}

pub async fn a_refused_write_stops_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, absent) = (scene.cluster("web").await, builders::cluster("absent"));
    let (a, b, c) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await, scene.machine(&web, "c").await);
    let newer = scene.update(&c, touched(&c, &scene.rules)).await;
    let history = scene.history().await;
    let new = |name: &str, number| made(draft(&web, name).id(MachineId::from_bytes([number; 12])).made(&scene.rules));
    let (good, last) = (touched(&a, &scene.rules), draft(&web, "last").made(&scene.rules));
    let written = write(
        &scene,
        vec![
            made(draft(&absent, "x").made(&scene.rules)),
            changed(&a, good.clone()),
            new("a", 1),
            made(draft(&web, "a").made(&scene.rules)),
            changed(&c, touched(&c, &scene.rules)),
            forgotten(&c, Vec::new()),
            changed(&b, named(&b, "a", &scene.rules)),
            made(last.clone()),
        ],
    )
    .await;
    use CommitError::{Conflict, IdUsed, NameTaken, NoCluster};
    let as_expected = matches!(
        written.as_slice(),
        [Err(NoCluster), Ok(()), Err(NameTaken), Err(IdUsed), Err(Conflict), Err(Conflict), Err(NameTaken), Ok(())]
    );
    assert!(as_expected, "{written:?}");
    assert_eq!(stored(&scene, a.id).await, Some(good.machine));
    assert_eq!((stored(&scene, b.id).await, stored(&scene, c.id).await), (Some(b), Some(newer)));
    assert_eq!(stored(&scene, last.machine.id).await, Some(last.machine));
    assert_eq!(scene.history().await, [history, good.events, last.events].concat());
    assert!(!scene.ports.machines.id_used(MachineId::from_bytes([1; 12])).await.unwrap());
}

pub async fn names_are_taken_and_freed_within_one_call(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    let new = |name: &str, number| draft(&web, name).id(MachineId::from_bytes([number; 12])).made(&scene.rules);
    let (first, second, third) = (new("a", 1), new("a", 2), new("a", 3));
    let moved = named(&first.machine, "b", &scene.rules);
    let ended = terminated(&second.machine, &scene.rules);
    let written = write(
        &scene,
        vec![
            made(first.clone()),
            made(second.clone()),
            made(draft(&db, "a").made(&scene.rules)),
            changed(&first.machine, moved.clone()),
            made(second.clone()),
            made(third.clone()),
            changed(&second.machine, ended.clone()),
            made(third.clone()),
            made(new("b", 4)),
            forgotten(&moved.machine, terminated(&moved.machine, &scene.rules).events),
            made(new("b", 5)),
            made(first.clone()),
        ],
    )
    .await;
    let taken: Vec<_> = written.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true, true, true, false, true, true, false, true, true, false], "{written:?}");
    for (number, error) in written.into_iter().enumerate().filter(|(_, one)| one.is_err()) {
        match number {
            11 => assert_refused!(error, CommitError::IdUsed),
            _ => assert_refused!(error, CommitError::NameTaken),
        }
    }
    let holders = [(&web, "a", 3), (&web, "b", 5)];
    for (cluster, name, number) in holders {
        assert_eq!(scene.holder(cluster, name).await.unwrap().id, MachineId::from_bytes([number; 12]));
    }
    assert_eq!(stored(&scene, second.machine.id).await, Some(ended.machine));
}

pub async fn a_machine_lives_within_one_call(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let fresh = draft(&web, "a").tags(&["x"]).made(&scene.rules);
    let stopped = asked(&fresh.machine, Command::Stop, START, &scene.rules);
    let stale = touched(&fresh.machine, &scene.rules);
    let resized = asked(&stopped.machine, Command::Resize("large".parse().unwrap()), START, &scene.slow);
    let written = write(
        &scene,
        vec![
            made(fresh.clone()),
            changed(&fresh.machine, stopped.clone()),
            changed(&fresh.machine, stale),
            changed(&stopped.machine, resized.clone()),
        ],
    )
    .await;
    assert_eq!(written.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true], "{written:?}");
    assert_eq!(stored(&scene, fresh.machine.id).await.as_ref(), Some(&resized.machine));
    assert_eq!(scene.history().await, [fresh.events, stopped.events, resized.events.clone()].concat());
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), resized.machine.due_at());
}

pub async fn a_call_has_a_bound(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let one = made(draft(&web, "a").made(&scene.rules));
    let many = vec![one.clone(); MachineQuery::MAX_EXAMINED + 1];
    scene.ports.machines.commit_all(many, None).await.unwrap_err();
    assert!(scene.history().await.is_empty());
    assert!(write(&scene, vec![one]).await[0].is_ok());
}

pub async fn of_racing_calls_one_wins_each_machine(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut machines = Vec::new();
    for number in 0..10 {
        machines.push(scene.machine(&web, &format!("m-{number}")).await);
    }
    let history = scene.history().await.len();
    let results = race(6, |racer| {
        let (port, machine) = (scene.ports.machines.clone(), machines[racer].clone());
        let mut writes: Vec<_> = machines.iter().map(|one| changed(one, touched(one, &scene.rules))).collect();
        // Names too are raced for.
        writes.push(made(draft(&web, "wanted").id(MachineId::from_bytes([racer as u8 + 1; 12])).made(&scene.rules)));
        if racer % 2 == 1 {
            writes.reverse();
        }
        let single = builders::update(&machine, touched(&machine, &scene.rules));
        async move {
            let mut written = port.commit_all(writes, None).await.unwrap();
            if racer % 2 == 1 {
                written.reverse();
            }
            (written, port.commit(single).await)
        }
    })
    .await;
    let mut won = 0;
    for number in 0..=machines.len() {
        let of_one: Vec<_> = results.iter().map(|(written, _)| &written[number]).collect();
        let single = results.get(number).is_some_and(|(_, single)| single.is_ok());
        let winners = of_one.iter().filter(|one| one.is_ok()).count() + usize::from(single);
        assert_eq!(winners, 1, "{number}: {of_one:?}");
        won += winners;
        for one in of_one {
            assert!(matches!(one, Ok(()) | Err(CommitError::Conflict | CommitError::NameTaken)), "{one:?}");
        }
    }
    assert_eq!(scene.history().await.len(), history + won + 2);
}

/// All that can be seen of a world's machines.
async fn seen(ports: &WorldPorts) -> impl PartialEq + std::fmt::Debug + use<> {
    let states = Selector { states: MachineState::ALL.to_vec(), ..Selector::default() };
    let tagged = selector(&[(SelectorField::Tag, "x")]);
    let named = selector(&[(SelectorField::Name, "m-1*")]);
    let mut lists: Vec<Vec<PlacedMachine>> = Vec::new();
    for selector in [states, tagged, named] {
        for order in orders() {
            let query = MachineQuery { order, ..builders::query(&selector, None, 1_000) };
            lists.push(ports.machines.list(&query).await.unwrap().machines);
        }
    }
    let due = ports.machines.due(Instant::MAX, 1_000).await.unwrap();
    let history = ports.events.page(&events(None, None, 10_000)).await.unwrap().events;
    let mut history: Vec<_> = history.into_iter().map(|one| one.event).collect();
    // Only the order of each machine's events is promised.
    history.sort_by_key(|event| (event.machine, event.version));
    (lists, due, history)
}

pub async fn writes_at_once_are_commits_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut chance = Chance::new(&scene, 5).await;
    let mut refused = 0;
    for round in [1, 7, 60, 150, 40, 2] {
        let (writes, expected): (Vec<_>, Vec<_>) = chance.writes(round).await.into_iter().unzip();
        let written: Vec<_> = write(&scene, writes).await.iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(written, expected);
        refused += expected.iter().filter(|one| one.starts_with("Err")).count();
        assert_eq!(seen(&scene.ports).await, seen(&chance.other).await);
    }
    assert!((40..200).contains(&refused), "some are refused: {refused}");
}
