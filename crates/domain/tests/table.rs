//! The transition table, checked against a transcription of the design's own words: every state × every operation ×
//! forced or not × protected or not × stuck or not.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use cloudm_domain::{
    Cause, Command, InProgress, Instant, Machine, MachineData, MachineId, MachineState, Operation, Preset, Protection,
    Refusal, Request, Rules, Seed, Span, Step, StepKind,
};

use MachineState::*;

/// What is to come of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It enters this state at once.
    Enters(MachineState),
    /// It finds its work done or under way.
    Unchanged,
    /// It is refused because of its state.
    Illegal,
    /// It is refused because of the change in progress.
    Busy,
}

use Expected::{Busy, Enters, Illegal, Unchanged};

/// The table, written down a second time and in another form.
fn expected(state: MachineState, operation: Operation, force: bool, stuck: bool) -> Expected {
    let otherwise = if state.is_active() { Busy } else { Illegal };
    match (operation, state) {
        (Operation::Start, Stopped | Failed) => Enters(Starting),
        (Operation::Start, Suspended) => Enters(Resuming),
        (Operation::Start, Running | Starting | Resuming) => Unchanged,
        (Operation::Stop, Running | Failed) => Enters(Stopping),
        (Operation::Stop, Suspended) => Enters(Stopped),
        (Operation::Stop, Starting | Rebooting | Resuming) if force => Enters(Stopping),
        (Operation::Stop, Provisioning | Stopping | Suspending | Updating | Repairing | Migrating)
            if force && stuck =>
        {
            Enters(Stopping)
        }
        (Operation::Stop, Stopped | Stopping) => Unchanged,
        (Operation::Reboot, Running) => Enters(Rebooting),
        (Operation::Reboot, Failed) if force => Enters(Rebooting),
        (Operation::Reboot, Rebooting) => Unchanged,
        (Operation::Suspend, Running) => Enters(Suspending),
        (Operation::Suspend, Suspended | Suspending) => Unchanged,
        (Operation::Resume, Suspended) => Enters(Resuming),
        (Operation::Resume, Running | Resuming) => Unchanged,
        (Operation::Resize, Stopped) => Enters(Updating),
        (Operation::Terminate, Terminating) if force && stuck => Enters(Terminating),
        (Operation::Terminate, Terminated | Terminating) => Unchanged,
        (Operation::Terminate, _) => Enters(Terminating),
        _ => otherwise,
    }
}

fn rules() -> Rules {
    Rules::new(Seed::new(1).unwrap(), Preset::Realistic.behaviour())
}

fn machine(state: MachineState, stuck: bool, protection: Protection) -> Machine {
    let at = Instant::DEFAULT_START;
    let change = InProgress { cause: Cause::Start, from: Some(Stopped), to: Running, machine_type: None };
    let due = Step { at: at.plus(Span::from_secs(60)), kind: StepKind::Proceed };
    let data = MachineData {
        id: MachineId::from_bytes([1; 12]),
        cluster_id: cloudm_domain::ClusterId::from_bytes([2; 12]),
        name: "web-1".parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: cloudm_domain::Tags::default(),
        protection,
        state,
        state_changed_at: at,
        in_progress: state.is_active().then_some(change),
        next: (state.is_active() && !stuck).then_some(due),
        reason: None,
        deleted: false,
        ordinal: 5,
        version: 7,
        created_at: at,
        updated_at: at,
    };
    data.try_into().unwrap()
}

fn command(operation: Operation) -> Command {
    match operation {
        Operation::Start => Command::Start,
        Operation::Stop => Command::Stop,
        Operation::Reboot => Command::Reboot,
        Operation::Suspend => Command::Suspend,
        Operation::Resume => Command::Resume,
        Operation::Resize => Command::Resize("large".parse().unwrap()),
        Operation::Terminate => Command::Terminate,
    }
}

/// Every case: state, operation, forced, stuck, protected.
fn cases() -> impl Iterator<Item = (MachineState, Operation, bool, bool, bool)> {
    let flags = || [false, true].into_iter();
    MachineState::ALL.iter().flat_map(move |&state| {
        Operation::ALL.iter().flat_map(move |&operation| {
            flags().flat_map(move |force| {
                flags()
                    .filter(move |stuck| state.is_active() || !stuck)
                    .flat_map(move |stuck| flags().map(move |protected| (state, operation, force, stuck, protected)))
            })
        })
    })
}

fn protection(protected: bool) -> Protection {
    Protection { stop: protected, terminate: protected }
}

#[test]
fn every_case_goes_as_the_table_says() {
    let rules = rules();
    for (state, operation, force, stuck, protected) in cases() {
        let case = format!("{operation} in {state}, force {force}, stuck {stuck}, protected {protected}");
        let before = machine(state, stuck, protection(protected));
        let request = Request { command: command(operation), force };
        let result = before.clone().request(&request, before.updated_at, &rules);
        let shielded = protected && matches!(operation, Operation::Stop | Operation::Terminate);
        match (expected(state, operation, force, stuck), result) {
            (Enters(_), Err(Refusal::Protected { operation: refused, .. })) if shielded => {
                assert_eq!(refused, operation, "{case}");
            }
            (Enters(entered), Ok(after)) if !shielded => {
                assert_eq!(after.machine.state, entered, "{case}");
                assert!(after.changed && after.events.len() == 1, "{case}");
                assert_eq!((after.machine.version, after.machine.ordinal), (8, 6), "{case}");
            }
            (Unchanged, Ok(after)) => {
                assert!(!after.changed && after.events.is_empty() && after.machine == before, "{case}");
            }
            (Illegal, Err(Refusal::IllegalTransition { state: told, operation: refused, .. })) => {
                assert_eq!((told, refused), (state, operation), "{case}");
            }
            (Busy, Err(Refusal::InProgress { state: told, due_at, .. })) => {
                assert_eq!((told, due_at), (state, before.due_at()), "{case}");
                assert_eq!(due_at.is_none(), stuck, "{case}");
            }
            (expected, result) => panic!("{case}: {expected:?} expected, {result:?} found"),
        }
    }
}

#[test]
fn allowed_operations_are_those_that_would_change_something_unforced() {
    let rules = rules();
    for protected in [false, true] {
        for &state in MachineState::ALL {
            let machine = machine(state, false, protection(protected));
            let changes = |operation: &Operation| {
                let outcome = machine.clone().request(&command(*operation).into(), machine.updated_at, &rules);
                outcome.is_ok_and(|outcome| outcome.changed)
            };
            let expected: Vec<_> = Operation::ALL.iter().copied().filter(|operation| changes(operation)).collect();
            assert_eq!(machine.allowed_operations(), expected, "{state}");
        }
    }
}

#[test]
fn the_world_fails_and_repairs_what_the_table_says() {
    let may_fail = [Provisioning, Starting, Resuming, Rebooting, Suspending, Updating, Repairing, Migrating, Running];
    for &state in MachineState::ALL {
        assert_eq!(state.may_fail(), may_fail.contains(&state), "{state}");
    }
    let led = |cause, state| cloudm_domain::transition(cause, state, false, false).map(|row| (row.via, row.to));
    assert_eq!(led(Cause::Repair, Failed), Some((&[Repairing][..], Running)));
    assert_eq!(led(Cause::Migration, Running), Some((&[Migrating][..], Running)));
}

#[test]
fn a_resize_to_the_type_it_has_or_gets_changes_nothing_in_any_state() {
    let rules = rules();
    let resize = |code: &str| Request::from(Command::Resize(code.parse().unwrap()));
    for &state in MachineState::ALL {
        let machine = machine(state, false, Protection::default());
        let outcome = machine.clone().request(&resize("small"), machine.updated_at, &rules).unwrap();
        assert!(!outcome.changed, "{state}");
    }
    let stopped = machine(Stopped, false, Protection::default());
    let updating = stopped.request(&resize("large"), Instant::DEFAULT_START, &rules).unwrap().machine;
    assert_eq!((updating.state, updating.machine_type.as_str()), (Updating, "small"));
    assert!(!updating.clone().request(&resize("large"), updating.updated_at, &rules).unwrap().changed);
    let busy = updating.clone().request(&resize("small"), updating.updated_at, &rules);
    assert!(matches!(busy, Err(Refusal::InProgress { .. })));
    let resized = updating.settle(Instant::DEFAULT_START.plus(Span::from_secs(3600)), &rules).machine;
    assert_eq!((resized.state, resized.machine_type.as_str()), (Stopped, "large"));
}

#[test]
fn a_creation_goes_by_provisioning_to_running_or_stopped() {
    let rules = rules();
    for (start, expected) in [(true, vec![Starting, Running]), (false, vec![Stopped])] {
        let new = cloudm_domain::NewMachine {
            id: MachineId::from_bytes([1; 12]),
            cluster_id: cloudm_domain::ClusterId::from_bytes([2; 12]),
            name: "web-1".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: cloudm_domain::Tags::default(),
            protection: Protection::default(),
            start,
        };
        let created = Machine::create(new, Instant::DEFAULT_START, &rules).machine;
        assert_eq!(created.state, Provisioning);
        let mut entered = Vec::new();
        let settled = created.settle(Instant::DEFAULT_START.plus(Span::from_secs(3600)), &rules);
        for event in settled.events {
            let cloudm_domain::Change::Entered(step) = event.change else { panic!("{event:?}") };
            entered.push(step.state);
        }
        assert_eq!(entered, expected);
    }
}

#[test]
fn deletion_ends_a_machine_and_forgets_it() {
    let rules = rules();
    let now = Instant::DEFAULT_START;
    for &state in MachineState::ALL {
        let deleted = machine(state, false, Protection::default()).delete(now, &rules).unwrap();
        assert!(deleted.changed && deleted.machine.deleted, "{state}");
        let ends = if state == Terminated { Terminated } else { Terminating };
        assert_eq!(deleted.machine.state, ends, "{state}");
        assert_eq!(deleted.machine.is_forgotten(now), state == Terminated, "{state}");
        assert!(!deleted.machine.clone().delete(now, &rules).unwrap().changed, "{state}: once is enough");
        if state != Terminating {
            let gone = deleted.machine.settle(now.plus(Span::from_secs(3600)), &rules).machine;
            assert!(gone.is_forgotten(gone.state_changed_at), "{state}: from the instant of TERMINATED");
        }
        let protected = machine(state, false, protection(true)).delete(now, &rules);
        assert_eq!(protected.is_err(), !matches!(state, Terminating | Terminated), "{state}");
    }
}

#[test]
fn a_terminated_machine_stays_readable_for_the_retention() {
    let rules = rules();
    let running = machine(Running, false, Protection::default());
    let asked = running.request(&Command::Terminate.into(), Instant::DEFAULT_START, &rules).unwrap().machine;
    let ended = asked.settle(Instant::DEFAULT_START.plus(Span::from_secs(600)), &rules).machine;
    let (last, first_without) = (Span::from_millis(3_599_999), Span::from_secs(3600));
    assert_eq!(ended.state, Terminated);
    assert!(!ended.is_forgotten(ended.state_changed_at.plus(last)));
    assert!(ended.is_forgotten(ended.state_changed_at.plus(first_without)));
    assert!(!ended.is_due(Instant::MAX), "forgetting is no event");
}
