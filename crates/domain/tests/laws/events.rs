//! Law 7: a machine is the fold of its events.

use cloudm_domain::{
    ClusterId, FoldError, Instant, Machine, MachineId, MachineState, NewMachine, Preset, Protection, Rules, Seed, Tags,
    WorldRefusal, fold,
};
use proptest::prelude::*;

use crate::life::{START, Told, lives, rules};

proptest! {
    #![proptest_config(crate::config())]

    /// Also of all that happened up to any moment.
    #[test]
    fn every_beginning_of_a_history_makes_the_machine_of_then(
        rules in rules(),
        life in lives(),
        at in any::<prop::sample::Index>(),
    ) {
        let (told, _) = Told::live(2, &life, &rules);
        let at = at.index(told.events.len());
        let mut machine = fold(&told.events[..1]).unwrap();
        for event in &told.events[1..] {
            if machine.version == at as u64 {
                prop_assert_eq!(fold(&told.events[..at]), Ok(machine.clone()));
            }
            machine.apply(event).unwrap();
            prop_assert_eq!((machine.version, machine.updated_at), (event.version, event.at));
        }
        prop_assert_eq!(machine, told.machine);
    }

    /// A history with a gap, a stranger's event, another order or an instant that goes back makes no machine.
    #[test]
    fn a_broken_history_is_refused(rules in rules(), life in lives(), at in any::<prop::sample::Index>()) {
        let events = Told::live(2, &life, &rules).0.events;
        prop_assume!(events.len() > 2);
        let at = at.index(events.len() - 2);
        let mut gap = events.clone();
        gap.remove(at);
        prop_assert!(fold(&gap).is_err());
        let mut swapped = events.clone();
        swapped.swap(at, at + 1);
        prop_assert!(fold(&swapped).is_err());
        let mut twice = events.clone();
        twice.insert(at, events[at].clone());
        prop_assert!(fold(&twice).is_err());
        let mut stranger = events.clone();
        stranger[at + 1].machine = MachineId::from_bytes([99; 12]);
        prop_assert!(fold(&stranger).is_err());
        let mut back = events.clone();
        back[at + 1].at = Instant::from_millis(events[at].at.millis() - 1).unwrap();
        prop_assert!(fold(&back).is_err());
    }

    /// What is refused leaves the machine as it was.
    #[test]
    fn an_event_that_is_not_the_next_changes_nothing(rules in rules(), life in lives()) {
        let told = Told::live(2, &life, &rules).0;
        let mut machine = told.machine.clone();
        for event in &told.events {
            prop_assert!(machine.apply(event).is_err());
        }
        prop_assert_eq!(machine, told.machine);
    }
}

#[test]
fn nothing_is_no_history() {
    assert_eq!(fold([]), Err(FoldError::Empty));
}

#[test]
fn a_creation_that_is_refused_leaves_what_was_forgotten_at_once() {
    let new = NewMachine {
        id: MachineId::from_bytes([1; 12]),
        cluster_id: ClusterId::from_bytes([2; 12]),
        name: "web-1".parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    };
    let rules = Rules::new(Seed::new(1).unwrap(), Preset::Realistic.behaviour());
    let made = Machine::create(new, START, &rules).events;
    let refused = made[0].refused(WorldRefusal::InsufficientCapacity).unwrap();
    assert_eq!(refused.refused(WorldRefusal::InsufficientCapacity), None, "only a creation is");
    let never = fold([&refused]).unwrap();
    assert_eq!((never.version, never.state), (1, MachineState::Terminated));
    assert!(never.is_forgotten(START) && !never.holds_name() && !never.is_due(None, Instant::MAX, &rules));
    assert_eq!(fold([&refused, &refused]), Err(FoldError::OutOfOrder { version: 1 }));
}
