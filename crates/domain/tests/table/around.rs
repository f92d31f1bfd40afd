//! What goes by no operation of the table alone: creation, RESIZE to the same type, edits, deletion, forgetting.

use cloudm_domain::{
    Change, ClusterId, Command, Edit, Instant, Machine, MachineData, MachineId, MachineState, NewMachine, Protection,
    Refusal, Request, Span, Tags,
};

use MachineState::*;

use crate::{machine, protection, rules};

#[test]
fn an_edit_changes_what_it_names_in_every_state_but_the_last() {
    let rules = rules();
    for &state in MachineState::ALL {
        let before = machine(state, false, Protection::default());
        let edit = |edit: Edit| before.clone().edit(&edit, before.updated_at, &rules);
        let whole = Edit {
            name: Some("web-2".parse().unwrap()),
            tags: Some(Tags::new(vec!["a".parse().unwrap()]).unwrap()),
            protect_stop: Some(true),
            protect_terminate: None,
        };
        if state == Terminated {
            assert_eq!(edit(whole), Err(Refusal::Terminated));
            assert_eq!(edit(Edit::default()), Err(Refusal::Terminated));
            continue;
        }
        let mut expected = MachineData::from(before.clone());
        expected.name = "web-2".parse().unwrap();
        expected.tags = whole.tags.clone().unwrap();
        expected.protection = Protection { stop: true, terminate: false };
        expected.version += 1;
        let edited = edit(whole).unwrap();
        assert_eq!((edited.changed, edited.events.len()), (true, 1), "{state}");
        assert_eq!(MachineData::from(edited.machine), expected, "{state}");
        let same = Edit { name: Some(before.name.clone()), protect_stop: Some(false), ..Edit::default() };
        for nothing in [Edit::default(), same] {
            let same = edit(nothing).unwrap();
            assert!(!same.changed && same.events.is_empty() && same.machine == before, "{state}");
        }
    }
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
        let new = NewMachine {
            id: MachineId::from_bytes([1; 12]),
            cluster_id: ClusterId::from_bytes([2; 12]),
            name: "web-1".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start,
        };
        let created = Machine::create(new, Instant::DEFAULT_START, &rules).machine;
        assert_eq!(created.state, Provisioning);
        let mut entered = Vec::new();
        let settled = created.settle(Instant::DEFAULT_START.plus(Span::from_secs(3600)), &rules);
        for event in settled.events {
            let Change::Entered(step) = event.change else { panic!("{event:?}") };
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
    assert!(!ended.is_due(None, Instant::MAX, &rules), "forgetting is no event");
}
