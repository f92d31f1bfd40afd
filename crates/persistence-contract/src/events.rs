//! The history.

use cloudm_application::ports::{CreationQuery, EventQuery, Position, StoreError};
use cloudm_domain::{Command, Edit, Instant, MachineEvent, MachineId, fold};

use tokio::task::JoinHandle;

use crate::builders::{FOREVER, START, after, answer, asked, create, draft, draft_at, edited, events, touched, update};
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

/// A walk from `after` to the end.
async fn walk(
    scene: &Scene<'_>,
    machine: Option<MachineId>,
    after: Option<Position>,
    limit: usize,
) -> Vec<MachineEvent> {
    let (mut after, mut met) = (after, Vec::new());
    loop {
        let page = scene.ports.events.page(&events(machine, after.clone(), limit)).await.unwrap();
        assert!(page.events.len() <= limit && (page.events.len() == limit || !page.more));
        after = page.events.last().map(|one| one.position.clone()).or(after);
        met.extend(page.events.into_iter().map(|one| one.event));
        if !page.more {
            return met;
        }
    }
}

pub async fn the_first_position_is_before_all_events(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let first = scene.ports.events.position().await.unwrap();
    let empty = scene.ports.events.page(&events(None, Some(first.clone()), 10)).await.unwrap();
    assert!(empty.events.is_empty() && !empty.more);
    let web = scene.cluster("web").await;
    let made = draft(&web, "a").made(&scene.rules);
    scene.create(made.clone()).await;
    assert_eq!(walk(&scene, None, Some(first), 10).await, made.events);
}

pub async fn the_last_position_is_after_all_events(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let last = scene.ports.events.position().await.unwrap();
    assert!(walk(&scene, None, Some(last.clone()), 10).await.is_empty());
    let made = draft(&web, "b").made(&scene.rules);
    scene.create(made.clone()).await;
    assert_eq!(walk(&scene, None, Some(last), 10).await, made.events);
}

pub async fn events_are_read_as_they_were_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let made = draft(&web, "a").tags(&["team:a", "x"]).made(&scene.slow);
    let settled = made.machine.clone().settle(after(600_000), &scene.slow);
    let edit = Edit { name: Some("b".parse().unwrap()), tags: Some(Default::default()), ..Edit::default() };
    let edited = edited(&settled.machine, &Edit { protect_stop: Some(true), ..edit }, &scene.rules);
    let touched = touched(&edited.machine, &scene.rules);
    let stopped = asked(&touched.machine, Command::Stop, after(700_000), &scene.rules);
    let resize = Command::Resize("large".parse().unwrap());
    let resized = asked(&stopped.machine, resize, after(700_001), &scene.slow);
    let ended = resized.machine.clone().delete(after(900_000), &scene.slow).unwrap();
    let mut expected = made.events.clone();
    let mut before = scene.create(made).await;
    for outcome in [settled, edited, touched, stopped, resized, ended] {
        expected.extend(outcome.events.clone());
        before = scene.update(&before, outcome).await;
    }
    assert_eq!(scene.history().await, expected);
}

/// Ten machines that were each stopped, as if by ten clients.
async fn some_history(scene: &Scene<'_>) -> Vec<MachineEvent> {
    let web = scene.cluster("web").await;
    let (mut expected, mut machines) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let made = draft(&web, &format!("m-{number}")).made(&scene.rules);
        expected.extend(made.events.clone());
        machines.push(scene.create(made).await);
    }
    for machine in machines {
        let stopped = asked(&machine, Command::Stop, START, &scene.rules);
        expected.extend(stopped.events.clone());
        scene.update(&machine, stopped).await;
    }
    expected
}

pub async fn a_walk_meets_each_event_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let expected = some_history(&scene).await;
    for limit in [1, 3, expected.len(), expected.len() + 1] {
        assert_eq!(walk(&scene, None, None, limit).await, expected, "by {limit}");
    }
    // From any position on, what follows it.
    let page = scene.ports.events.page(&events(None, None, 1_000)).await.unwrap();
    for (number, one) in page.events.into_iter().enumerate() {
        assert_eq!(walk(&scene, None, Some(one.position), 7).await, expected[number + 1..]);
    }
}

pub async fn a_walk_meets_what_is_committed_meanwhile(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut expected = some_history(&scene).await;
    let web = crate::builders::cluster("web");
    let page = scene.ports.events.page(&events(None, None, 5)).await.unwrap();
    assert!(page.more);
    let late = draft(&web, "late").made(&scene.rules);
    expected.extend(late.events.clone());
    scene.create(late).await;
    let rest = walk(&scene, None, page.events.last().map(|one| one.position.clone()), 5).await;
    assert_eq!(rest, expected[5..]);
}

pub async fn a_follower_misses_nothing_while_many_write(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let follower = {
        let reader = scene.ports.events.clone();
        tokio::spawn(async move {
            let (mut met, mut after): (Vec<MachineEvent>, _) = (Vec::new(), None);
            while met.iter().filter(|event| event.version == 12).count() < 6 {
                let page = reader.page(&events(None, after.clone(), 50)).await.unwrap();
                after = page.events.last().map(|one| one.position.clone()).or(after);
                met.extend(page.events.into_iter().map(|one| one.event));
            }
            met
        })
    };
    race(6, |number| {
        let (machines, rules, web) = (scene.ports.machines.clone(), scene.rules.clone(), web.clone());
        async move {
            let made = draft(&web, &format!("m-{number}")).made(&rules);
            let mut machine = made.machine.clone();
            machines.commit(create(made)).await.unwrap();
            while machine.version < 12 {
                let after = touched(&machine, &rules);
                let now = after.machine.clone();
                machines.commit(update(&machine, after)).await.unwrap();
                machine = now;
            }
        }
    })
    .await;
    let met = follower.await.unwrap();
    assert_eq!(met, scene.history().await);
    assert_eq!(met.len(), 6 * 12);
}

pub async fn what_is_committed_later_comes_after_a_position(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let name = |event: &MachineEvent| (event.machine, event.version);
    let writing = race(8, |number| {
        let (machines, rules, web) = (scene.ports.machines.clone(), scene.rules.clone(), web.clone());
        async move {
            for round in 0..12 {
                machines.commit(create(draft(&web, &format!("m-{number}-{round}")).made(&rules))).await.unwrap();
            }
        }
    });
    let looking = async {
        let mut looks = Vec::new();
        while scene.history().await.len() < 8 * 12 * 3 {
            let position = scene.ports.events.position().await.unwrap();
            looks.push((position, scene.history().await));
        }
        looks
    };
    let (_, looks) = tokio::join!(writing, looking);
    let all = scene.history().await;
    for (position, before) in looks {
        let page = scene.ports.events.page(&events(None, Some(position), 10_000)).await.unwrap();
        let after: Vec<_> = page.events.iter().map(|one| name(&one.event)).collect();
        let before: Vec<_> = before.iter().map(name).collect();
        let missed: Vec<_> = all.iter().map(name).filter(|one| !before.contains(one) && !after.contains(one)).collect();
        assert_eq!(missed, [], "committed after the position, and not met after it");
    }
}

pub async fn the_events_of_one_machine_are_in_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let history = some_history(&scene).await;
    let id = history[7].machine;
    let expected: Vec<_> = history.into_iter().filter(|event| event.machine == id).collect();
    assert!(expected.len() >= 5 && expected.iter().map(|event| event.version).eq(1..=expected.len() as u64));
    for limit in [1, 2, 100] {
        assert_eq!(walk(&scene, Some(id), None, limit).await, expected);
    }
    // A position of the whole history holds for one machine too.
    let page = scene.ports.events.page(&events(None, None, 1_000)).await.unwrap();
    for one in page.events {
        let rest = walk(&scene, Some(id), Some(one.position.clone()), 2).await;
        let met = expected.len() - rest.len();
        assert_eq!(rest, expected[met..]);
        assert!(one.event.machine != id || met as u64 == one.event.version);
    }
}

pub async fn the_events_of_one_machine_end_at_an_instant(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut machine = scene.machine(&web, "a").await;
    scene.machine(&web, "b").await;
    for minute in 1..=6 {
        let command = if minute % 2 == 1 { Command::Stop } else { Command::Start };
        machine = scene.update(&machine, asked(&machine, command, after(minute * 60_000), &scene.rules)).await;
    }
    let all: Vec<_> = scene.history().await.into_iter().filter(|event| event.machine == machine.id).collect();
    for (until, limit) in [(-1, 100), (0, 100), (60_000, 100), (179_999, 100), (180_000, 1), (180_000, 3), (900_000, 2)]
    {
        let until = if until < 0 { Instant::MIN } else { after(until as u64) };
        let expected: Vec<_> = all.iter().filter(|event| event.at <= until).cloned().collect();
        let (mut met, mut position) = (Vec::new(), None);
        loop {
            let query = EventQuery { until: Some(until), ..events(Some(machine.id), position.clone(), limit) };
            let page = scene.ports.events.page(&query).await.unwrap();
            position = page.events.last().map(|one| one.position.clone()).or(position);
            met.extend(page.events.into_iter().map(|one| one.event));
            if !page.more {
                break;
            }
        }
        assert_eq!(met, expected, "{until}");
    }
}

pub async fn machines_are_found_by_their_creation(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let mut made = Vec::new();
    for (name, at) in [("a", 20), ("b", 0), ("c", 10), ("d", 10), ("e", 10), ("f", 30)] {
        let outcome = draft_at(&web, name, after(at)).made(&scene.rules);
        made.push(outcome.events[0].clone());
        scene.create(outcome).await;
    }
    // What is forgotten is found all the same, and what comes later changes nothing.
    let (first, second) = (scene.holder(&web, "d").await.unwrap(), scene.holder(&web, "c").await.unwrap());
    let ended = scene.terminate(first).await;
    scene.remove(&ended).await;
    scene.update(&second, touched(&second, &scene.rules)).await;
    made.sort_by_key(|event| (event.at, event.machine));
    for (until, descending, limit) in [(25, false, 2), (25, true, 2), (30, false, 1), (30, true, 4), (9, true, 3)] {
        let mut expected: Vec<_> = made.iter().filter(|event| event.at <= after(until)).cloned().collect();
        if descending {
            expected.reverse();
        }
        let (mut met, mut last) = (Vec::new(), None);
        loop {
            let query = CreationQuery { until: after(until), after: last, descending, limit };
            let page = scene.ports.events.created(&query).await.unwrap();
            assert!(page.len() <= limit);
            let Some(end) = page.last() else { break };
            last = Some((end.at, end.machine));
            met.extend(page);
        }
        assert_eq!(met, expected, "{until} {descending}");
    }
}

pub async fn a_machine_is_the_fold_of_its_events(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let history = some_history(&scene).await;
    for id in history.iter().filter(|event| event.version == 1).map(|event| event.machine) {
        let folded = fold(&walk(&scene, Some(id), None, 3).await).unwrap();
        assert_eq!(scene.ports.machines.get(id).await.unwrap().unwrap().machine, folded);
    }
}

pub async fn an_absent_machine_has_no_events(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    some_history(&scene).await;
    let absent = scene.ports.events.page(&events(Some(MachineId::from_bytes([1; 12])), None, 10)).await.unwrap();
    assert!(absent.events.is_empty() && !absent.more);
}

pub async fn a_position_of_nobody_is_refused(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.commit(create(draft(&web, "a").made(&scene.rules))).await.unwrap();
    for bytes in [&b""[..], b"x", b"not a position of this store, and too long for one as well", &[0xff; 8]] {
        let page = scene.ports.events.page(&events(None, Some(Position(bytes.to_vec())), 10)).await;
        assert_refused!(page, StoreError::UnknownPosition);
        assert_refused!(scene.ports.events.wait(&Position(bytes.to_vec())).await, StoreError::UnknownPosition);
    }
}

pub async fn nobody_waits_for_what_is_there(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let first = scene.ports.events.position().await.unwrap();
    some_history(&scene).await;
    scene.ports.events.wait(&first).await.unwrap();
    let page = scene.ports.events.page(&events(None, None, 1_000)).await.unwrap();
    let before_the_last = &page.events[page.events.len() - 2].position;
    scene.ports.events.wait(before_the_last).await.unwrap();
}

/// Waits from now on, in a task of its own.
async fn waiter(scene: &Scene<'_>) -> JoinHandle<Result<(), StoreError>> {
    let events = scene.ports.events.clone();
    let now = events.position().await.unwrap();
    tokio::spawn(async move { events.wait(&now).await })
}

pub async fn a_waiter_is_woken_by_the_next_commit(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in 0..5 {
        let waiters = [waiter(&scene).await, waiter(&scene).await];
        // Sometimes it waits already when the commit comes, and sometimes it does not yet.
        for _ in 0..number * 20 {
            tokio::task::yield_now().await;
        }
        scene.machine(&web, &format!("m-{number}")).await;
        for one in waiters {
            one.await.unwrap().unwrap();
        }
    }
}

pub async fn a_waiter_is_not_woken_by_what_is_no_event(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let one = waiter(&scene).await;
    scene.cluster("db").await;
    assert!(scene.ports.answers.keep(answer("key", FOREVER), 0).await.unwrap());
    // Refused: the id was used.
    scene.commit(create(draft(&web, "a").made(&scene.rules))).await.unwrap_err();
    // A look would have shown it by now, to that one and to one that has just come.
    let after = after_first(&scene).await;
    tokio::select! {
        biased;
        woken = scene.ports.events.wait(&after) => panic!("{woken:?}"),
        () = read_often(&scene) => {}
    }
    assert!(!one.is_finished());
    scene.machine(&web, "b").await;
    one.await.unwrap().unwrap();
}

/// The position after the events of the first machine.
async fn after_first(scene: &Scene<'_>) -> Position {
    let page = scene.ports.events.page(&events(None, None, 10)).await.unwrap();
    page.events.last().unwrap().position.clone()
}

async fn read_often(scene: &Scene<'_>) {
    for _ in 0..50 {
        scene.ports.events.page(&events(None, None, 10)).await.unwrap();
    }
}

pub async fn a_waiter_is_told_that_the_store_is_closed(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let one = waiter(&scene).await;
    scene.store.close().await;
    assert_refused!(one.await.unwrap(), StoreError::Unavailable(_));
}
