//! Work of fleet operations: machines, results and progress, written as one and once.

use cloudm_application::ports::{
    CommitError, Cursor, Ending, FleetBatch, FleetEntry, FleetOperation, FleetResult, FleetWorked, Lease, MachineWrite,
    SortKey, WorkError,
};
use cloudm_domain::{
    Command, FleetOutcome, FleetProgress, FleetState, Machine, MachineId, OrderKey, Selector, SelectorField,
};

use crate::builders::{
    self, FOREVER, START, after, asked, changed, decided, done, draft, ending, forgotten, lease, made, named,
    operation, query, terminated, touched,
};
use crate::fleet::selector;
use crate::race::race;
use crate::{Fixture, Scene, assert_refused};

/// The right that whoever works has unless told otherwise.
fn mine() -> Lease {
    lease(1, 0, FOREVER)
}

/// An operation that runs, by [`mine`].
async fn run(scene: &Scene<'_>, number: u8) -> FleetOperation {
    scene.ports.operations.accept(operation(number), Some(mine()), None).await.unwrap()
}

/// Work after which the operation goes on at the first machine of all.
fn batch(operation: &FleetOperation, entries: Vec<FleetEntry>) -> FleetBatch {
    FleetBatch {
        operation: operation.id,
        lease: mine(),
        entries,
        cursor: Cursor::Walked(Some(first())),
        ending: None,
        sizes: None,
    }
}

fn first() -> SortKey {
    SortKey::CreatedAt(START, MachineId::from_bytes([0; 12]))
}

async fn work(scene: &Scene<'_>, batch: FleetBatch) -> FleetWorked {
    scene.ports.operations.work(batch).await.unwrap()
}

fn stopped(machine: &Machine, scene: &Scene<'_>) -> MachineWrite {
    changed(machine, asked(machine, Command::Stop, START, &scene.rules))
}

async fn fleet(scene: &Scene<'_>, count: usize) -> Vec<Machine> {
    let web = scene.cluster("web").await;
    let mut machines = Vec::new();
    for number in 0..count {
        machines.push(scene.machine(&web, &format!("m-{number}")).await);
    }
    machines
}

async fn stored(scene: &Scene<'_>, id: MachineId) -> Option<Machine> {
    scene.ports.machines.get(id).await.unwrap().map(|placed| placed.machine)
}

async fn results(scene: &Scene<'_>, operation: &FleetOperation) -> Vec<FleetResult> {
    scene.ports.operations.results(operation.id, None, 10_000).await.unwrap()
}

fn progress(done: u64, unchanged: u64, rejected: u64) -> FleetProgress {
    FleetProgress { done, unchanged, rejected }
}

pub async fn work_is_written_as_one(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 3).await;
    let running = run(&scene, 1).await;
    let history = scene.history().await;
    let (stop, start) = (stopped(&machines[0], &scene), stopped(&machines[2], &scene));
    let entries = vec![
        done(stop.clone()),
        decided(machines[1].id, FleetOutcome::Protected),
        done(start.clone()),
        decided(MachineId::from_bytes([9; 12]), FleetOutcome::Unchanged),
    ];
    let worked = work(&scene, batch(&running, entries.clone())).await;
    assert!(worked.entries.iter().all(Result::is_ok) && worked.entries.len() == 4, "{worked:?}");
    let expected =
        FleetOperation { progress: progress(2, 1, 1), cursor: Cursor::Walked(Some(first())), ..running.clone() };
    assert_eq!(worked.operation, expected);
    assert_eq!(scene.ports.operations.get(running.id).await.unwrap(), Some(expected));
    let mut found = results(&scene, &running).await;
    let mut expected: Vec<_> = entries.iter().map(|entry| entry.result).collect();
    found.sort_by_key(|one| one.machine);
    expected.sort_by_key(|one| one.machine);
    assert_eq!(found, expected);
    for write in [&stop, &start] {
        let machine = write.after.clone().unwrap();
        assert_eq!(stored(&scene, machine.id).await, Some(machine));
    }
    assert_eq!(stored(&scene, machines[1].id).await.as_ref(), Some(&machines[1]));
    assert_eq!(scene.history().await, [history, stop.events, start.events].concat());
}

pub async fn work_has_the_effect_of_commits(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let running = run(&scene, 1).await;
    let fresh = draft(&web, "a").tags(&["x", "y"]).made(&scene.rules);
    let machine = fresh.machine.clone();
    work(&scene, batch(&running, vec![done(made(fresh))])).await;
    assert_eq!(scene.holder(&web, "a").await.as_ref(), Some(&machine));
    let tagged = selector(&[(SelectorField::Tag, "x")]);
    let count = |selector: Selector| {
        let machines = scene.ports.machines.clone();
        async move { machines.list(&query(&selector, None, 10)).await.unwrap().machines.len() }
    };
    assert_eq!(count(tagged.clone()).await, 1);
    assert!(scene.ports.machines.id_used(machine.id).await.unwrap());
    // Another operation on the same machine: it takes a minute, and is due then.
    let second = run(&scene, 2).await;
    let stopping = asked(&machine, Command::Stop, START, &scene.slow);
    work(&scene, batch(&second, vec![done(changed(&machine, stopping.clone()))])).await;
    assert_eq!(scene.ports.machines.next_due().await.unwrap(), stopping.machine.due_at());
    // A third one forgets it.
    let third = run(&scene, 3).await;
    let ended = terminated(&stopping.machine, &scene.rules);
    work(&scene, batch(&third, vec![done(forgotten(&stopping.machine, ended.events))])).await;
    assert_eq!(stored(&scene, machine.id).await, None);
    assert_eq!(scene.holder(&web, "a").await, None);
    assert_eq!(count(tagged).await, 0);
    assert_eq!(scene.history().await.len() as u64, ended.machine.version);
    for one in [running, second, third] {
        assert_eq!(results(&scene, &one).await, [FleetResult { machine: machine.id, outcome: FleetOutcome::Done }]);
    }
}

pub async fn work_that_is_sent_again_changes_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 4).await;
    let running = run(&scene, 1).await;
    let entries: Vec<_> = machines[..3].iter().map(|machine| done(stopped(machine, &scene))).collect();
    let first = work(&scene, batch(&running, entries.clone())).await;
    let (history, found) = (scene.history().await, results(&scene, &running).await);
    for _ in 0..2 {
        let again = work(&scene, batch(&running, entries.clone())).await;
        assert!(again.entries.iter().all(Result::is_ok), "{again:?}");
        assert_eq!(again.operation, first.operation);
    }
    // Decided anew, as by a runner that did not know: what came first stays.
    let mut anew: Vec<_> =
        machines[..3].iter().map(|machine| decided(machine.id, FleetOutcome::IllegalTransition)).collect();
    let now = stored(&scene, machines[0].id).await.unwrap();
    anew[0] = done(changed(&now, asked(&now, Command::Start, START, &scene.rules)));
    assert!(work(&scene, batch(&running, anew)).await.entries.iter().all(Result::is_ok));
    assert_eq!((scene.history().await, results(&scene, &running).await), (history, found));
    // One that is new among them is written.
    let mut more = entries;
    more.insert(1, done(stopped(&machines[3], &scene)));
    assert_eq!(work(&scene, batch(&running, more)).await.operation.progress, progress(4, 0, 0));
    assert_eq!(stored(&scene, machines[3].id).await.unwrap().state, cloudm_domain::MachineState::Stopped);
}

pub async fn a_lost_entry_stops_neither_the_others_nor_moves_the_cursor(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 3).await;
    let running = run(&scene, 1).await;
    let entries: Vec<_> = machines.iter().map(|machine| done(stopped(machine, &scene))).collect();
    let other = scene.update(&machines[1], named(&machines[1], "other", &scene.rules)).await;
    let history = scene.history().await;
    let last = FleetBatch { ending: Some(ending(FOREVER)), ..batch(&running, entries) };
    let worked = work(&scene, last.clone()).await;
    assert!(worked.entries[0].is_ok() && worked.entries[2].is_ok());
    assert!(matches!(worked.entries[1], Err(CommitError::Conflict)), "{worked:?}");
    assert_eq!(worked.operation, FleetOperation { progress: progress(2, 0, 0), ..running.clone() });
    assert_eq!(scene.ports.operations.get(running.id).await.unwrap(), Some(worked.operation));
    assert_eq!(stored(&scene, other.id).await.as_ref(), Some(&other));
    assert!(results(&scene, &running).await.iter().all(|one| one.machine != other.id));
    let written = scene.history().await;
    assert_eq!(written.len(), history.len() + 4);
    // Decided anew, all are written, now or before: the operation ends.
    let mut entries = last.entries.clone();
    entries[1] = done(stopped(&other, &scene));
    let worked = work(&scene, FleetBatch { entries, ..last.clone() }).await;
    assert!(worked.entries.iter().all(Result::is_ok), "{worked:?}");
    let expected = FleetOperation {
        progress: progress(3, 0, 0),
        cursor: last.cursor,
        state: FleetState::Succeeded,
        finished_at: Some(after(9)),
        expires_at: Some(FOREVER),
        ..running
    };
    assert_eq!(worked.operation, expected);
    assert_eq!(scene.ports.operations.get(expected.id).await.unwrap(), Some(expected));
    assert!(scene.ports.operations.unended().await.unwrap().is_empty());
}

pub async fn entries_are_checked_as_commits_are(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 3).await;
    let (web, absent) = (builders::cluster("web"), builders::cluster("absent"));
    let running = run(&scene, 1).await;
    let fresh = |name: &str, number| made(draft(&web, name).id(MachineId::from_bytes([number; 12])).made(&scene.rules));
    let gone = draft(&web, "gone").made(&scene.rules).machine;
    let entries = vec![
        done(fresh("m-0", 1)),
        done(made(draft(&web, "m-1").made(&scene.rules))),
        done(made(draft(&absent, "a").made(&scene.rules))),
        done(changed(&machines[1], named(&machines[1], "m-0", &scene.rules))),
        done(changed(&gone, touched(&gone, &scene.rules))),
        done(forgotten(&gone, Vec::new())),
        done(fresh("new", 2)),
        done(fresh("new", 3)),
    ];
    let history = scene.history().await;
    let worked = work(&scene, batch(&running, entries)).await;
    use CommitError::{Conflict, IdUsed, NameTaken, NoCluster};
    let as_expected = matches!(
        worked.entries.as_slice(),
        [
            Err(NameTaken),
            Err(IdUsed),
            Err(NoCluster),
            Err(NameTaken),
            Err(Conflict),
            Err(Conflict),
            Ok(()),
            Err(NameTaken),
        ]
    );
    assert!(as_expected, "{worked:?}");
    assert_eq!(worked.operation, FleetOperation { progress: progress(1, 0, 0), ..running.clone() });
    let new = MachineId::from_bytes([2; 12]);
    assert_eq!(results(&scene, &running).await, [FleetResult { machine: new, outcome: FleetOutcome::Done }]);
    assert_eq!(scene.history().await.len(), history.len() + 3);
    assert!(!scene.ports.machines.id_used(MachineId::from_bytes([3; 12])).await.unwrap());
    for machine in machines {
        assert_eq!(stored(&scene, machine.id).await, Some(machine));
    }
}

pub async fn work_ends_as_its_progress_says(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    use FleetOutcome::{Done, Protected, Unchanged};
    let told = Ending { state: Some(FleetState::Partial), reason: Some(FleetOutcome::UnknownCluster), ..ending(5) };
    let cases = [
        (vec![], ending(5), FleetState::Succeeded),
        (vec![Done, Unchanged], ending(5), FleetState::Succeeded),
        (vec![Done, Protected], ending(5), FleetState::Partial),
        (vec![Protected, Protected], ending(5), FleetState::Failed),
        (vec![Done], told, FleetState::Partial),
    ];
    for (number, (outcomes, ending, state)) in (1..).zip(cases) {
        let running = run(&scene, number).await;
        let entries: Vec<_> = (1..)
            .zip(outcomes)
            .map(|(machine, outcome)| decided(MachineId::from_bytes([machine; 12]), outcome))
            .collect();
        // What was decided before counts as well.
        if let [first, ..] = entries.as_slice() {
            work(&scene, batch(&running, vec![first.clone()])).await;
        }
        let last = FleetBatch { ending: Some(ending), ..batch(&running, entries) };
        let ended = work(&scene, last).await.operation;
        assert_eq!((ended.state, ended.reason), (state, ending.reason));
        assert_eq!((ended.finished_at, ended.expires_at), (Some(after(9)), Some(5)));
        assert_eq!(scene.ports.operations.get(running.id).await.unwrap(), Some(ended));
    }
}

pub async fn what_has_ended_takes_no_work(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 2).await;
    let running = run(&scene, 1).await;
    work(&scene, batch(&running, vec![done(stopped(&machines[0], &scene))])).await;
    let (ended, _) = scene.ports.operations.end(running.id, ending(FOREVER)).await.unwrap().unwrap();
    let history = scene.history().await;
    for machine in &machines {
        let late = batch(&running, vec![done(stopped(machine, &scene))]);
        assert_refused!(scene.ports.operations.work(late).await, WorkError::NotYours);
    }
    assert_eq!(scene.history().await, history);
    assert_eq!(scene.ports.operations.get(running.id).await.unwrap(), Some(ended));
    assert_eq!(results(&scene, &running).await.len(), 1);
}

pub async fn a_runner_that_lost_its_claim_is_refused(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &scene.ports.operations;
    let machines = fleet(&scene, 4).await;
    let by = |number: usize, lease| FleetBatch {
        lease,
        ..batch(&operation(1), vec![done(stopped(&machines[number], &scene))])
    };
    operations.accept(operation(1), None, None).await.unwrap();
    assert_refused!(operations.work(by(0, lease(1, 0, 100))).await, WorkError::NotYours);
    operations.claim(operation(1).id, lease(1, 0, 100)).await.unwrap().unwrap();
    // Its lease has run out and nobody took it; work makes it longer.
    operations.work(by(0, lease(1, 500, 600))).await.unwrap();
    assert_eq!(operations.claim(operation(1).id, lease(2, 599, 900)).await.unwrap(), None);
    operations.claim(operation(1).id, lease(2, 600, 700)).await.unwrap().unwrap();
    let history = scene.history().await;
    assert_refused!(operations.work(by(1, lease(1, 610, 900))).await, WorkError::NotYours);
    // Also once the other's lease has run out, for that one goes on.
    assert_refused!(operations.work(by(1, lease(1, 710, 900))).await, WorkError::NotYours);
    assert_eq!(scene.history().await, history);
    let last = operations.work(by(2, lease(2, 720, 800))).await.unwrap();
    assert_eq!(last.operation.progress, progress(2, 0, 0));
    assert_eq!(stored(&scene, machines[1].id).await.as_ref(), Some(&machines[1]));
}

pub async fn racing_work_operates_each_machine_once(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 12).await;
    let running = run(&scene, 1).await;
    let history = scene.history().await;
    // Each sends its part of the fleet, which is also that of the next one.
    let runs = race(6, |number| {
        let operations = scene.ports.operations.clone();
        let part = machines.iter().cycle().skip(number * 2).take(4);
        let batch = batch(&running, part.map(|machine| done(stopped(machine, &scene))).collect());
        async move {
            for _ in 0..3 {
                let worked = operations.work(batch.clone()).await.unwrap();
                assert!(worked.entries.iter().all(Result::is_ok), "{worked:?}");
            }
        }
    });
    runs.await;
    let stored = scene.ports.operations.get(running.id).await.unwrap().unwrap();
    assert_eq!(stored.progress, progress(12, 0, 0));
    assert_eq!(results(&scene, &running).await.len(), 12);
    assert_eq!(scene.history().await.len(), history.len() + 2 * 12);
}

pub async fn work_that_races_with_an_end_is_counted_or_was_not(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let machines = fleet(&scene, 8).await;
    for number in 1..=5 {
        let running = run(&scene, number).await;
        let worked = race(9, |racer| {
            let operations = scene.ports.operations.clone();
            let machine = machines[racer % 8].id;
            let batch = batch(&running, vec![decided(machine, FleetOutcome::Unchanged)]);
            async move {
                if racer == 8 {
                    operations.end(batch.operation, ending(FOREVER)).await.unwrap().unwrap();
                    return 0;
                }
                let worked = operations.work(batch).await;
                assert!(matches!(worked, Ok(_) | Err(WorkError::NotYours)), "{worked:?}");
                worked.map_or(0, |worked| worked.entries.len())
            }
        })
        .await;
        let written: usize = worked.into_iter().sum();
        let ended = scene.ports.operations.get(running.id).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.progress), (FleetState::Succeeded, progress(0, written as u64, 0)));
        assert_eq!(results(&scene, &running).await.len(), written);
    }
}

pub async fn work_goes_on_where_it_stopped(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    fleet(&scene, 5).await;
    let running = run(&scene, 1).await;
    // Page by page, as a runner does, each page from the cursor that was stored last.
    for _ in 0..5 {
        let now = scene.ports.operations.get(running.id).await.unwrap().unwrap();
        let Cursor::Walked(after) = now.cursor else { unreachable!("the cursor of a walk") };
        let page = scene.ports.machines.list(&query(&Selector::default(), after, 1)).await.unwrap();
        let machine = &page.machines[0].machine;
        let cursor = Cursor::Walked(Some(SortKey::of(machine, OrderKey::CreatedAt)));
        let ending = page.next.is_none().then(|| ending(FOREVER));
        work(&scene, FleetBatch { cursor, ending, ..batch(&running, vec![done(stopped(machine, &scene))]) }).await;
    }
    let ended = scene.ports.operations.get(running.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.progress), (FleetState::Succeeded, progress(5, 0, 0)));
}
