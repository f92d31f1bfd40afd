//! What came of fleet operations, read page by page and dropped in the end.

use cloudm_application::ports::{Cursor, FleetBatch, FleetOperation, FleetResult, OperationStore};
use cloudm_domain::{FleetOutcome, MachineId};

use crate::builders::{FOREVER, decided, ending, lease, operation};
use crate::{Fixture, Scene};

/// Runs an operation that decides so many machines, and ends it where it is to expire.
async fn decide(operations: &dyn OperationStore, number: u8, outcomes: &[FleetOutcome], expires_at: Option<u64>) {
    let lease = lease(1, 0, FOREVER);
    operations.accept(operation(number), Some(lease), None).await.unwrap();
    let entries: Vec<_> = outcomes.iter().enumerate().map(|(number, outcome)| decided(id(number), *outcome)).collect();
    let (cursor, ending) = (Cursor::Walked(None), expires_at.map(ending));
    let batch = FleetBatch { operation: operation(number).id, lease, entries, cursor, ending, sizes: None };
    operations.work(batch).await.unwrap();
}

fn id(number: usize) -> MachineId {
    // Not in the order of their numbers.
    MachineId::from_bytes([(number as u8).wrapping_mul(37); 12])
}

async fn results(operations: &dyn OperationStore, number: u8) -> Vec<FleetResult> {
    operations.results(operation(number).id, None, 1_000).await.unwrap()
}

pub async fn results_that_refused_come_first(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &*scene.ports.operations;
    decide(operations, 1, FleetOutcome::ALL, None).await;
    decide(operations, 2, &[FleetOutcome::Done; 5], None).await;
    decide(operations, 3, &[FleetOutcome::NameTaken; 5], None).await;
    let mut expected: Vec<_> = FleetOutcome::ALL
        .iter()
        .enumerate()
        .map(|(number, outcome)| FleetResult { machine: id(number), outcome: *outcome })
        .collect();
    expected.sort_by_key(|one| (!one.outcome.is_refusal(), one.machine));
    assert_eq!(results(operations, 1).await, expected);
    for number in [2, 3] {
        let machines: Vec<_> = results(operations, number).await.iter().map(|one| one.machine).collect();
        assert!(machines.len() == 5 && machines.is_sorted(), "{machines:?}");
    }
}

pub async fn results_are_read_page_by_page(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &*scene.ports.operations;
    // Others stand before and after it.
    decide(operations, 3, &[FleetOutcome::Protected; 4], None).await;
    decide(operations, 2, FleetOutcome::ALL, None).await;
    decide(operations, 1, &[FleetOutcome::Done; 4], None).await;
    let all = results(operations, 2).await;
    for limit in 1..=all.len() + 1 {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let page = operations.results(operation(2).id, after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            met.extend(page);
        }
        assert_eq!(met, all, "{limit}");
    }
}

async fn left(operations: &dyn OperationStore) -> Vec<(u8, usize)> {
    let mut left = Vec::new();
    for FleetOperation { id, .. } in operations.list(None, 1_000).await.unwrap() {
        let number = id.as_bytes()[0];
        left.push((number, results(operations, number).await.len()));
    }
    left
}

pub async fn only_what_has_expired_is_dropped(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &*scene.ports.operations;
    let outcomes = [FleetOutcome::Done, FleetOutcome::Protected, FleetOutcome::Done];
    for (number, expires_at) in [(1, Some(300)), (2, Some(100)), (3, None), (4, Some(201)), (5, Some(200))] {
        decide(operations, number, &outcomes, expires_at).await;
    }
    assert_eq!(operations.purge(99, 100).await.unwrap(), 0);
    assert_eq!(operations.purge(200, 100).await.unwrap(), 8);
    assert_eq!(left(operations).await, [(4, 3), (3, 3), (1, 3)]);
    for number in [2, 5] {
        assert_eq!(operations.get(operation(number).id).await.unwrap(), None);
        assert!(results(operations, number).await.is_empty());
    }
    assert_eq!(operations.purge(200, 100).await.unwrap(), 0);
    // Numbers are not given anew.
    let greatest = operations.list(None, 1).await.unwrap()[0].number;
    operations.end(operation(3).id, ending(400)).await.unwrap().unwrap();
    assert_eq!(operations.purge(FOREVER, 100).await.unwrap(), 12);
    assert!(left(operations).await.is_empty());
    let next = operations.accept(operation(1), None, None).await.unwrap();
    assert!(next.number > greatest);
    assert!(results(operations, 1).await.is_empty());
}

pub async fn no_more_than_about_the_limit_is_dropped(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let operations = &*scene.ports.operations;
    let outcomes: Vec<_> =
        (0..40).map(|number| if number % 3 == 0 { FleetOutcome::Protected } else { FleetOutcome::Done }).collect();
    for number in 1..=3 {
        decide(operations, number, &outcomes, Some(100)).await;
    }
    decide(operations, 4, &outcomes, Some(900)).await;
    let (mut dropped, mut calls) = (0, 0);
    loop {
        let now = operations.purge(100, 15).await.unwrap();
        assert!(now <= 20, "{now}");
        dropped += now;
        calls += 1;
        assert!(calls < 100, "it ends");
        // An operation is there while one of its results is.
        let left = left(operations).await;
        assert_eq!(left.iter().map(|(_, results)| results + 1).sum::<usize>(), 4 * 41 - dropped, "{left:?}");
        if now == 0 {
            break;
        }
    }
    assert_eq!(left(operations).await, [(4, 40)]);
}
