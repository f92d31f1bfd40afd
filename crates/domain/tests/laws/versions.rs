//! Law 2: a version counts events, and what was due has its due instant.

use cloudm_domain::Span;
use proptest::prelude::*;

use crate::life::{START, Told, WEB, lives, rules, unplanned_rules};

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn versions_have_no_gap_and_instants_never_go_back(rules in rules(), life in lives()) {
        let (told, _) = Told::live(3, &life, &rules);
        let versions: Vec<_> = told.events.iter().map(|event| event.version).collect();
        prop_assert_eq!(versions, (1..=told.machine.version).collect::<Vec<_>>());
        prop_assert!(told.events.is_sorted_by_key(|event| event.at));
        prop_assert_eq!(told.events.last().unwrap().at, told.machine.updated_at);
        prop_assert!(told.events.iter().all(|event| event.machine == told.machine.id));
    }

    /// Every step of a chain, however late it is found, has the instant that the event before it told.
    #[test]
    fn a_late_step_has_its_due_instant(rules in unplanned_rules(), life in lives(), a in 0..5_000_000u64) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let (mut due, before) = (told.machine.next, told.fate().len());
        told.settle(now.plus(Span::from_millis(a)), &rules);
        for (at, entered) in told.fate().split_off(before) {
            prop_assert_eq!(Some(at), due.map(|step| step.at));
            due = entered.next;
        }
        prop_assert_eq!(told.machine.next, due);
    }

    /// A read shows the version that the write of what it saw will have.
    #[test]
    fn a_version_seen_is_the_version_written(rules in rules(), life in lives()) {
        let mut written = Told::new(2, START, &rules);
        let mut now = START;
        for (after, act) in &life {
            now = now.plus(Span::from_millis(*after));
            let seen = written.machine.clone().settle_in(Some(&WEB), now, &rules).machine;
            written.act(act, now, &rules);
            if let Some(event) = written.events.iter().find(|event| event.version == seen.version) {
                prop_assert_eq!(event.at, seen.updated_at);
            } else {
                // Refused, so nothing was written.
                prop_assert!(written.machine.version < seen.version);
            }
        }
    }
}
