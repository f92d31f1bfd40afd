//! The transition table, checked against a transcription of the design's own words: every state × every operation ×
//! forced or not × protected or not × stuck or not.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod around;

use cloudm_domain::{
    Behaviour, Cause, ClusterId, Command, InProgress, Instant, Machine, MachineData, MachineId, MachineState, Odds,
    Operation, Preset, Protection, Reason, Refusal, Request, Rules, Seed, Span, Step, StepKind, Tags, Timing,
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

/// Where an operation ends that nothing goes wrong with.
fn ends_in(operation: Operation) -> MachineState {
    match operation {
        Operation::Start | Operation::Reboot | Operation::Resume => Running,
        Operation::Stop | Operation::Resize => Stopped,
        Operation::Suspend => Suspended,
        Operation::Terminate => Terminated,
    }
}

fn shielded(operation: Operation, protected: bool) -> bool {
    protected && matches!(operation, Operation::Stop | Operation::Terminate)
}

/// What a machine says is allowed: what would change it unforced.
fn allowed(state: MachineState, protected: bool) -> Vec<Operation> {
    let changes = |operation: &Operation| {
        matches!(expected(state, *operation, false, false), Enters(_)) && !shielded(*operation, protected)
    };
    Operation::ALL.iter().copied().filter(changes).collect()
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
        cluster_id: ClusterId::from_bytes([2; 12]),
        name: "web-1".parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection,
        state,
        state_changed_at: at,
        in_progress: state.is_active().then_some(change),
        next: (state.is_active() && !stuck).then_some(due),
        reason: None,
        deleted: false,
        ordinal: 5,
        attempt: 0,
        faults: Vec::new(),
        scheduled: Vec::new(),
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
        let shielded = shielded(operation, protected);
        let allowed_now = allowed(state, protected);
        match (expected(state, operation, force, stuck), result) {
            (Enters(_), Err(Refusal::Protected { operation: refused, state: told, allowed })) if shielded => {
                assert_eq!((told, refused, allowed), (state, operation, allowed_now), "{case}");
            }
            (Enters(entered), Ok(after)) if !shielded => {
                assert_eq!(after.machine.state, entered, "{case}");
                assert!(after.changed && after.events.len() == 1, "{case}");
                assert_eq!((after.machine.version, after.machine.ordinal), (8, 6), "{case}");
            }
            (Unchanged, Ok(after)) => {
                assert!(!after.changed && after.events.is_empty() && after.machine == before, "{case}");
            }
            (Illegal, Err(Refusal::IllegalTransition { state: told, operation: refused, allowed })) => {
                assert_eq!((told, refused, allowed), (state, operation, allowed_now), "{case}");
            }
            (
                Busy,
                Err(Refusal::InProgress { state: told, operation: refused, in_progress, started_at, due_at, allowed }),
            ) => {
                assert_eq!((told, refused, allowed), (state, operation, allowed_now), "{case}");
                assert_eq!(
                    (Some(in_progress), started_at),
                    (before.in_progress.clone(), before.state_changed_at),
                    "{case}"
                );
                assert_eq!(due_at, before.next.map(|step| step.at), "{case}");
                assert_eq!(due_at.is_none(), stuck, "{case}");
            }
            (expected, result) => panic!("{case}: {expected:?} expected, {result:?} found"),
        }
    }
}

#[test]
fn a_machine_says_what_is_allowed() {
    for (state, stuck, protected) in cases().map(|(state, _, _, stuck, protected)| (state, stuck, protected)) {
        let machine = machine(state, stuck, protection(protected));
        assert_eq!(machine.allowed_operations(), allowed(state, protected), "{state}");
    }
}

#[test]
fn every_change_ends_sticks_or_fails_as_its_behaviour_says() {
    let one = |timing| Rules::new(Seed::new(1).unwrap(), Behaviour::uniform(timing));
    let sure = one(Timing::INSTANT);
    let sticks = one(Timing { stick: Odds::ALWAYS, ..Timing::INSTANT });
    let fails = one(Timing { fail: Odds::ALWAYS, ..Timing::INSTANT });
    for (state, operation, force, stuck, _) in cases() {
        let Enters(entered) = expected(state, operation, force, stuck) else { continue };
        let case = format!("{operation} in {state}, force {force}, stuck {stuck}");
        let before = machine(state, stuck, Protection::default());
        let request = Request { command: command(operation), force };
        let end = |rules| before.clone().request(&request, before.updated_at, rules).unwrap().machine;

        let ended = end(&sure);
        assert_eq!((ended.state, ended.reason, &ended.in_progress), (ends_in(operation), None, &None), "{case}");
        assert_eq!(ended.ordinal, before.ordinal + 1 + u32::from(entered.is_active()), "{case}");
        let resized = operation == Operation::Resize;
        assert_eq!(ended.machine_type.as_str(), if resized { "large" } else { "small" }, "{case}");

        let stuck_now = end(&sticks);
        assert_eq!((stuck_now.state, stuck_now.is_stuck()), (entered, entered.is_active()), "{case}");

        let failed = end(&fails);
        match entered {
            Starting | Rebooting | Suspending | Resuming | Updating => {
                assert_eq!((failed.state, failed.reason), (Failed, Some(Reason::TransitionFailed)), "{case}");
                assert_eq!(failed.machine_type.as_str(), "small", "{case}");
            }
            _ => assert_eq!(failed.state, ends_in(operation), "{case}"),
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
