//! Laws 3 and 5: draws have names, and nothing shared decides a step of a chain.

use cloudm_domain::{Behaviour, Bounds, Command, Distribution, Machine, MachineData, Rules, Seed, Span, Timing};
use proptest::prelude::*;

use crate::life::{Act, START, Told, WEB, labels, lives, rules};

proptest! {
    #![proptest_config(crate::config())]

    /// What is asked of one machine, and in what order, changes nothing for another.
    #[test]
    fn the_order_of_commands_to_different_machines_is_nothing(
        rules in rules(),
        one in lives(),
        other in lives(),
        first in any::<bool>(),
    ) {
        let (alone, _) = Told::live(2, &one, &rules);
        let mut beside = Told::new(2, START, &rules);
        let (mut neighbour, mut now) = (Told::new(4, START, &rules), START);
        for (number, (after, act)) in one.iter().enumerate() {
            now = now.plus(Span::from_millis(*after));
            if first {
                beside.act(act, now, &rules);
            }
            if let Some((_, act)) = other.get(number) {
                neighbour.act(act, now, &rules);
            }
            if !first {
                beside.act(act, now, &rules);
            }
        }
        prop_assert_eq!(beside, alone);
    }

    /// Reads and edits move no ordinal and so no draw.
    #[test]
    fn edits_change_no_fate(rules in rules(), life in lives(), edits in prop::collection::vec(labels(), 25)) {
        let (mut plain, end) = Told::live(2, &life, &rules);
        let (mut edited, mut now) = (Told::new(2, START, &rules), START);
        for ((after, act), edit) in life.iter().zip(edits) {
            now = now.plus(Span::from_millis(*after));
            let ordinal = edited.machine.clone().settle_in(Some(&WEB), now, &rules).machine.ordinal;
            edited.act(&Act::Edit(edit), now, &rules);
            edited.settle(now, &rules);
            prop_assert_eq!(edited.machine.ordinal, ordinal);
            edited.act(act, now, &rules);
        }
        plain.settle(end, &rules);
        edited.settle(end, &rules);
        prop_assert_eq!(plain.fate(), edited.fate());
    }

    /// A refusal by the world changes nothing but what is drawn next.
    #[test]
    fn a_retry_draws_anew(seed in 0..=Seed::MAX, refusals in 1..5_u32) {
        // Of so many milliseconds that no two draws meet, and nothing fails, so that the machine is STOPPED after the day.
        let within_a_day = Timing::lasting(Distribution::Uniform { bounds: Bounds::secs(0, 86_400) });
        let rules = Rules::new(Seed::new(seed).unwrap(), Behaviour::uniform(within_a_day));
        let day = START.plus(Span::from_secs(86_400));
        let mut told = Told::new(1, START, &rules);
        told.settle(day, &rules);
        let mut at_once = told.clone();
        (0..refusals).for_each(|_| told.act(&Act::Refuse, day, &rules));
        prop_assert_eq!(told.machine.attempt, refusals);
        prop_assert_eq!((told.machine.state, told.machine.next), (at_once.machine.state, at_once.machine.next));
        told.act(&Act::Ask(Command::Start.into()), day, &rules);
        at_once.act(&Act::Ask(Command::Start.into()), day, &rules);
        prop_assert_eq!((told.machine.attempt, told.machine.ordinal), (0, at_once.machine.ordinal));
        prop_assert_ne!(told.machine.next, at_once.machine.next);
    }

    /// With the machine and the rules the same, whatever was before cannot matter.
    #[test]
    fn a_machine_read_back_from_its_data_has_the_same_future(rules in rules(), life in lives(), a in 0..5_000_000u64) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let read = Machine::try_from(MachineData::from(told.machine.clone())).unwrap();
        let future = read.settle_in(Some(&WEB), now.plus(Span::from_millis(a)), &rules).machine;
        told.settle(now.plus(Span::from_millis(a)), &rules);
        prop_assert_eq!(future, told.machine);
    }

    /// Nor can who it is by name or where: only its id, its state and the rules.
    #[test]
    fn a_machine_of_another_name_has_the_same_fate(rules in rules(), life in lives(), edit in labels()) {
        let (told, now) = Told::live(2, &life, &rules);
        let mut data = MachineData::from(told.machine.clone());
        data.name = edit.name.unwrap_or(data.name);
        data.tags = edit.tags.unwrap_or(data.tags);
        data.cluster_id = cloudm_domain::ClusterId::from_bytes([200; 12]);
        let mut other = Told { machine: data.try_into().unwrap(), events: Vec::new() };
        let mut same = Told { events: Vec::new(), ..told };
        other.settle(now.plus(Span::from_secs(3600)), &rules);
        same.settle(now.plus(Span::from_secs(3600)), &rules);
        prop_assert_eq!(other.fate(), same.fate());
    }
}
