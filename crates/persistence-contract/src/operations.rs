//! Fleet operations: how they are accepted, found, claimed, ended and left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloudm_application::ports::{
    AcceptError, Accepted, Cursor, Ending, FleetBatch, FleetOperation, FleetTemplate, FleetWork, ForkedWorld,
    MAX_UNENDED, MachineQuery, MachineStore, SortKey, WorkError,
};
use cloudm_domain::{
    ClusterId, Command, FleetOutcome, FleetState, Incarnation, MachineId, OperationId, Protection, Request, Selector,
    SelectorField, Tags,
};

use crate::builders::{
    FOREVER, START, after, answer, create, decided, draft, draft_at, ending, events, lease, new_world, operation, query,
};
use crate::fleet::{selector, selectors, through};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

async fn accept(scene: &Scene<'_>, operation: FleetOperation) -> FleetOperation {
    scene.ports.operations.accept(operation, None, None).await.unwrap()
}

fn works() -> Vec<(FleetWork, Cursor)> {
    let template = FleetTemplate {
        count: 3,
        name: "web-{n}".parse().unwrap(),
        cluster: ClusterId::from_bytes([5; 12]),
        machine_type: "small".parse().unwrap(),
        tags: Tags::new(vec!["team:a/b@c=d".parse().unwrap()]).unwrap(),
        protection: Protection { stop: true, terminate: false },
        start: false,
    };
    let resize = Request { command: Command::Resize("large".parse().unwrap()), force: true };
    let mut works = vec![
        (FleetWork::Create(template), Cursor::Made(0)),
        (FleetWork::Operate(Selector::default(), resize), Cursor::Walked(None)),
        (FleetWork::DeleteCluster(ClusterId::from_bytes([6; 12])), Cursor::Emptying),
    ];
    let tag = |selector| FleetWork::Tag { selector, add: vec!["x".parse().unwrap()], remove: Vec::new() };
    let key = SortKey::CreatedAt(after(7), MachineId::from_bytes([8; 12]));
    works.extend(selectors().into_iter().map(|selector| (tag(selector), Cursor::Walked(Some(key.clone())))));
    works
}

pub async fn an_operation_is_read_as_it_was_accepted(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for (number, (work, cursor)) in (1..).zip(works()) {
        let asked = FleetOperation { work, cursor, ..operation(number) };
        let lease = (number % 2 == 0).then(|| lease(1, Scene::WALL, Scene::WALL + 1));
        let state = if lease.is_some() { FleetState::Running } else { FleetState::Pending };
        let accepted = scene.ports.operations.accept(asked.clone(), lease, None).await.unwrap();
        let position = accepted.accepted.position.clone();
        let expected =
            FleetOperation { number: accepted.number, state, accepted: Accepted { at: START, position }, ..asked };
        assert_eq!(accepted, expected);
        assert_eq!(scene.ports.operations.get(accepted.id).await.unwrap(), Some(accepted));
    }
}

pub async fn an_absent_operation_is_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (operations, absent) = (&scene.ports.operations, OperationId::from_bytes([9; 12]));
    assert!(operations.list(None, 10).await.unwrap().is_empty());
    assert!(operations.unended().await.unwrap().is_empty());
    accept(&scene, operation(1)).await;
    assert_eq!(operations.get(absent).await.unwrap(), None);
    assert_eq!(operations.claim(absent, lease(1, 0, FOREVER)).await.unwrap(), None);
    assert_eq!(operations.end(absent, ending(0)).await.unwrap(), None);
    assert!(operations.results(absent, None, 10).await.unwrap().is_empty());
    let batch = FleetBatch {
        operation: absent,
        lease: lease(1, 0, FOREVER),
        entries: Vec::new(),
        cursor: Cursor::Walked(None),
        ending: None,
        sizes: None,
    };
    assert_refused!(operations.work(batch).await, WorkError::NotYours);
    assert_eq!(operations.purge(FOREVER, 10).await.unwrap(), 0);
}

pub async fn an_operation_is_accepted_with_its_answer(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (operations, answers) = (&scene.ports.operations, &scene.ports.answers);
    let keep = |key: &str| Some(answer(key, FOREVER));
    operations.accept(operation(1), None, keep("a")).await.unwrap();
    assert_eq!(answers.get("a", 0).await.unwrap(), keep("a"));
    assert_refused!(operations.accept(operation(2), None, keep("a")).await, AcceptError::KeyTaken);
    assert_refused!(operations.accept(operation(1), None, keep("b")).await, AcceptError::IdUsed);
    assert_eq!(answers.get("b", 0).await.unwrap(), None);
    assert_eq!(operations.list(None, 10).await.unwrap().len(), 1);
}

pub async fn acceptances_are_checked_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &scene.ports.operations;
    let keep = || Some(answer("used", FOREVER));
    assert!(scene.ports.answers.keep(answer("used", FOREVER), 0).await.unwrap());
    for number in 1..=MAX_UNENDED as u8 {
        accept(&scene, operation(number)).await;
    }
    // Key, id and number are all wrong; then id and number; the number alone.
    assert_refused!(operations.accept(operation(1), None, keep()).await, AcceptError::KeyTaken);
    assert_refused!(operations.accept(operation(1), None, None).await, AcceptError::IdUsed);
    assert_refused!(operations.accept(operation(200), None, None).await, AcceptError::TooMany);
    assert_eq!(operations.unended().await.unwrap().len(), MAX_UNENDED);
    // One that has ended makes room for one, and its id stays used.
    operations.end(operation(5).id, ending(FOREVER)).await.unwrap().unwrap();
    assert_refused!(operations.accept(operation(5), None, None).await, AcceptError::IdUsed);
    accept(&scene, operation(200)).await;
    assert_refused!(operations.accept(operation(201), None, None).await, AcceptError::TooMany);
}

pub async fn of_racing_acceptances_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let racing = |number: u8, id: u8| {
        let operations = scene.ports.operations.clone();
        let asked = FleetOperation {
            accepted: Accepted { at: after(number.into()), ..operation(id).accepted },
            ..operation(id)
        };
        async move { operations.accept(asked, None, None).await }
    };
    let of_an_id = race(8, |number| racing(number as u8, 1)).await;
    assert_eq!(winners(&of_an_id), 1, "{of_an_id:?}");
    assert!(of_an_id.iter().all(|one| matches!(one, Ok(_) | Err(AcceptError::IdUsed))), "{of_an_id:?}");
    let stored = scene.ports.operations.get(operation(1).id).await.unwrap();
    assert_eq!(stored, of_an_id.into_iter().find_map(Result::ok));
    for number in 2..MAX_UNENDED as u8 {
        accept(&scene, operation(number)).await;
    }
    let of_the_last_place = race(8, |number| racing(0, 200 + number as u8)).await;
    assert_eq!(winners(&of_the_last_place), 1, "{of_the_last_place:?}");
    assert!(of_the_last_place.iter().all(|one| matches!(one, Ok(_) | Err(AcceptError::TooMany))));
}

pub async fn operations_are_listed_last_accepted_first(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &scene.ports.operations;
    // Neither ids nor instants are in the order of acceptance.
    for (number, at) in [(7, 5), (1, 1), (9, 9), (3, 0), (5, 1)] {
        let accepted = Accepted { at: after(at), ..operation(number).accepted };
        accept(&scene, FleetOperation { accepted, ..operation(number) }).await;
    }
    operations.end(operation(9).id, ending(FOREVER)).await.unwrap().unwrap();
    let ids = |found: &[FleetOperation]| found.iter().map(|one| one.id.as_bytes()[0]).collect::<Vec<_>>();
    let all = operations.list(None, 10).await.unwrap();
    assert_eq!(ids(&all), [5, 3, 9, 1, 7]);
    assert!(all.windows(2).all(|two| two[0].number > two[1].number));
    for one in &all {
        assert_eq!(operations.get(one.id).await.unwrap().as_ref(), Some(one));
    }
    assert_eq!(operations.list(None, 2).await.unwrap(), all[..2]);
    assert_eq!(operations.list(Some(all[1].number), 2).await.unwrap(), all[2..4]);
    assert!(operations.list(Some(all[4].number), 2).await.unwrap().is_empty());
    assert_eq!(ids(&operations.unended().await.unwrap()), [7, 1, 3, 5]);
}

pub async fn an_acceptance_stands_between_commits(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let first = accept(&scene, operation(1)).await;
    let before = scene.machine(&web, "before").await;
    let second = accept(&scene, operation(2)).await;
    let later = scene.machine(&web, "later").await;
    let third = accept(&scene, operation(3)).await;
    for (operation, machines) in [(first, vec![before.id, later.id]), (second, vec![later.id]), (third, vec![])] {
        let query = events(None, Some(operation.accepted.position), 100);
        let mut met: Vec<_> =
            scene.ports.events.page(&query).await.unwrap().events.iter().map(|one| one.event.machine).collect();
        met.dedup();
        assert_eq!(met, machines);
    }
}

/// The names of the machines that a walk meets which were made by then.
async fn made_by(machines: &dyn MachineStore, selector: &Selector, by: &Accepted, limit: usize) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let query = MachineQuery { made_by: Some(by.clone()), ..query(selector, next, limit) };
        let page = machines.list(&query).await.unwrap();
        assert!(page.machines.len() <= limit && names.len() < 1_000, "the walk ends");
        names.extend(page.machines.iter().map(|one| one.machine.name.to_string()));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let walk = through(machines, MachineQuery { made_by: Some(by.clone()), ..query(selector, None, limit) }).await;
    let met = walk.iter().flat_map(|page| &page.machines).map(|one| one.machine.name.as_str());
    assert!(met.eq(names.iter().map(String::as_str)), "a walk meets the same");
    names
}

pub async fn what_was_made_by_an_acceptance_is_told_apart(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let none = accept(&scene, operation(1)).await;
    let make = |name: &str, number: u8, millis| {
        let draft = draft_at(&web, name, after(millis)).id(MachineId::from_bytes([number; 12])).tags(&["x"]);
        scene.create(draft.made(&scene.rules))
    };
    // In the order of ids, what is made before and after stands mixed. All but two are made at one instant.
    let changed = make("a-1", 10, 0).await;
    make("a-2", 30, 0).await;
    make("earlier", 90, 0).await;
    make("b-1", 20, 5).await;
    let asked = FleetOperation { accepted: Accepted { at: after(5), ..operation(2).accepted }, ..operation(2) };
    let some = accept(&scene, asked).await;
    make("b-2", 10 + 5, 5).await;
    make("b-3", 25, 5).await;
    make("c", 1, 6).await;
    scene.update(&changed, crate::builders::touched(&changed, &scene.rules)).await;
    let at_start = accept(&scene, operation(3)).await;
    make("a-3", 20 + 9, 0).await;

    let all = [
        &[][..],
        &[(SelectorField::Cluster, "web")],
        &[(SelectorField::Tag, "x")],
        &[(SelectorField::State, "RUNNING")],
    ];
    for fields in all {
        let selector = selector(fields);
        for limit in [1, 2, 100] {
            let names = |by: &FleetOperation| {
                let (machines, by) = (scene.ports.machines.clone(), by.accepted.clone());
                let selector = selector.clone();
                async move { made_by(&*machines, &selector, &by, limit).await }
            };
            assert!(names(&none).await.is_empty(), "{fields:?}");
            // What was made at an earlier instant was made by then, whenever it was written.
            assert_eq!(names(&some).await, ["a-1", "a-3", "a-2", "earlier", "b-1"], "{fields:?}");
            assert_eq!(names(&at_start).await, ["a-1", "a-2", "earlier"], "{fields:?}");
        }
    }
    let named = selector(&[(SelectorField::Name, "b-2")]);
    assert!(made_by(&*scene.ports.machines, &named, &some.accepted, 9).await.is_empty());
}

pub async fn what_races_with_an_acceptance_is_before_or_after_it(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    // When each began and was acknowledged, in the order of all such moments.
    let moments = Arc::new(AtomicUsize::new(0));
    let runs = race(6, |runner| {
        let (ports, web, rules, moments) = (scene.ports.clone(), web.clone(), scene.rules.clone(), moments.clone());
        async move {
            let (mut made, mut accepted) = (Vec::new(), Vec::new());
            for number in 0..10 {
                let began = moments.fetch_add(1, Ordering::SeqCst);
                let name = format!("m-{runner}-{number}");
                if runner < 4 {
                    ports.machines.commit(create(draft(&web, &name).made(&rules))).await.unwrap();
                    made.push((name, began, moments.fetch_add(1, Ordering::SeqCst)));
                } else {
                    let asked = operation((runner * 20 + number) as u8);
                    let one = ports.operations.accept(asked, None, None).await.unwrap();
                    accepted.push((one.accepted, began, moments.fetch_add(1, Ordering::SeqCst)));
                }
            }
            (made, accepted)
        }
    })
    .await;
    let (made, accepted): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    let made = made.concat();
    for (by, began, ended) in accepted.concat() {
        let met = made_by(&*scene.ports.machines, &Selector::default(), &by, 100).await;
        for (name, from, until) in &made {
            assert!(*until > began || met.contains(name), "{name} was made before");
            assert!(*from < ended || !met.contains(name), "{name} was made after");
        }
    }
}

pub async fn a_claim_holds_while_its_lease_does(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &scene.ports.operations;
    let pending = accept(&scene, operation(1)).await;
    let claimed = operations.claim(pending.id, lease(1, 100, 200)).await.unwrap().unwrap();
    assert_eq!(claimed, FleetOperation { state: FleetState::Running, ..pending.clone() });
    assert_eq!(operations.get(pending.id).await.unwrap(), Some(claimed.clone()));
    assert_eq!(operations.claim(pending.id, lease(2, 199, 900)).await.unwrap(), None);
    // Its runner gets it again, for longer; then another one does.
    assert_eq!(operations.claim(pending.id, lease(1, 199, 300)).await.unwrap(), Some(claimed.clone()));
    assert_eq!(operations.claim(pending.id, lease(2, 299, 900)).await.unwrap(), None);
    assert_eq!(operations.claim(pending.id, lease(2, 300, 400)).await.unwrap(), Some(claimed));
    assert_eq!(operations.claim(pending.id, lease(1, 399, 900)).await.unwrap(), None);
    // What is accepted with a lease is that runner's at once.
    let running = operations.accept(operation(2), Some(lease(1, 100, 200)), None).await.unwrap();
    assert_eq!(operations.claim(running.id, lease(2, 150, 900)).await.unwrap(), None);
    assert_eq!(operations.claim(running.id, lease(1, 150, 250)).await.unwrap(), Some(running.clone()));
    // And nobody takes what has ended.
    operations.end(running.id, ending(FOREVER)).await.unwrap().unwrap();
    for runner in [1, 2] {
        assert_eq!(operations.claim(running.id, lease(runner, 1_000, 2_000)).await.unwrap(), None);
    }
}

pub async fn of_racing_claims_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 1..=5 {
        let asked = accept(&scene, operation(round)).await;
        // At first nobody has it; then somebody whose lease has run out.
        for (wall, until) in [(0, 100), (100, 200), (200, 300)] {
            let claims = race(8, |runner| {
                let operations = scene.ports.operations.clone();
                // Other runners than before.
                let runner = (runner + wall as usize / 10) as u8;
                async move { operations.claim(asked.id, lease(runner, wall, until)).await.unwrap() }
            })
            .await;
            assert_eq!(claims.iter().flatten().count(), 1, "{claims:?}");
        }
    }
}

pub async fn an_operation_ends_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &scene.ports.operations;
    let pending = accept(&scene, operation(1)).await;
    let cancel = Ending { state: Some(FleetState::Cancelled), reason: Some(FleetOutcome::Contention), ..ending(700) };
    let (ended, mine) = operations.end(pending.id, cancel).await.unwrap().unwrap();
    let expected = FleetOperation {
        state: FleetState::Cancelled,
        reason: Some(FleetOutcome::Contention),
        finished_at: Some(after(9)),
        expires_at: Some(700),
        ..pending
    };
    assert!(mine);
    assert_eq!(ended, expected);
    assert_eq!(operations.get(ended.id).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(operations.end(ended.id, ending(900)).await.unwrap(), Some((expected, false)));
    // Whoever works on it.
    for number in 2..6 {
        operations.accept(operation(number), Some(lease(1, 0, FOREVER)), None).await.unwrap();
        let ends = race(4, |racer| {
            let operations = scene.ports.operations.clone();
            let ending = ending(1_000 + racer as u64);
            async move { operations.end(operation(number).id, ending).await.unwrap().unwrap() }
        })
        .await;
        assert_eq!(ends.iter().filter(|(_, mine)| *mine).count(), 1, "{ends:?}");
        let stored = operations.get(operation(number).id).await.unwrap().unwrap();
        assert!(ends.iter().all(|(one, _)| *one == stored), "{ends:?}");
        assert_eq!(stored.state, FleetState::Succeeded);
    }
    assert!(operations.unended().await.unwrap().is_empty());
}

pub async fn other_worlds_have_no_operation_of_this_one(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (operations, machine) = (&scene.ports.operations, MachineId::from_bytes([1; 12]));
    let lease = lease(1, 0, FOREVER);
    let running = operations.accept(operation(1), Some(lease), None).await.unwrap();
    let entries = vec![
        decided(machine, FleetOutcome::Unchanged),
        decided(MachineId::from_bytes([2; 12]), FleetOutcome::Protected),
    ];
    let batch =
        FleetBatch { operation: running.id, lease, entries, cursor: Cursor::Walked(None), ending: None, sizes: None };
    operations.work(batch).await.unwrap();
    let fork = |name: &str, number| ForkedWorld {
        name: name.parse().unwrap(),
        incarnation: Incarnation::from_bytes([number; 12]),
        seed: None,
        asked: None,
    };
    let copy = scene.store.fork_world(scene.ports.incarnation, fork("copy", 2)).await.unwrap();
    let reset = scene.store.replace_world(copy.incarnation, new_world("copy", 3)).await.unwrap();
    let copy = scene.store.fork_world(scene.ports.incarnation, fork("second", 4)).await.unwrap();
    for other in [copy, reset] {
        assert_eq!(other.operations.get(running.id).await.unwrap(), None);
        assert!(other.operations.list(None, 10).await.unwrap().is_empty());
        assert!(other.operations.unended().await.unwrap().is_empty());
        assert!(other.operations.results(running.id, None, 10).await.unwrap().is_empty());
        assert_eq!(other.operations.claim(running.id, lease).await.unwrap(), None);
        // It may have one of the same id, of which nobody has done anything.
        let again = other.operations.accept(operation(1), None, None).await.unwrap();
        assert!(other.operations.claim(again.id, crate::builders::lease(2, 0, FOREVER)).await.unwrap().is_some());
        assert!(other.operations.results(again.id, None, 10).await.unwrap().is_empty());
    }
    assert_eq!(operations.results(running.id, None, 10).await.unwrap().len(), 2);
}
