//! Law 4: rules are timelines, so a late settle equals an early one.

use cloudm_domain::{Rules, Span};
use proptest::prelude::*;

use crate::life::{Told, histories_of_rules, lives};

proptest! {
    #![proptest_config(crate::config())]

    /// One machine is settled up to each change before the change is known, the other once when all are: no step
    /// was taken by rules that did not hold yet.
    #[test]
    fn a_late_settle_equals_an_early_one((seed, first, changes) in histories_of_rules(), life in lives()) {
        let mut rules = Rules::new(seed, first);
        let (told, begin) = Told::live(2, &life, &rules);
        let (mut early, mut late) = (told.clone(), told);
        let mut now = begin;
        for (from, behaviour) in changes {
            // The changes are spaced as they were, but after the life. A change holds from an instant that was not seen.
            now = begin.plus(from.since(crate::life::START));
            let unseen = now.plus(Span::from_millis(1));
            early.settle(now, &rules);
            rules.behaviour.push(unseen, behaviour).unwrap();
        }
        let end = now.plus(Span::from_secs(1800));
        early.settle(end, &rules);
        late.settle(end, &rules);
        prop_assert_eq!(early, late);
    }

    /// The retention, too, is what held at TERMINATED.
    #[test]
    fn the_retention_is_that_of_the_end((seed, first, _) in histories_of_rules(), life in lives(), secs in 1..7200u64) {
        let before = Rules::new(seed, first);
        let (mut told, now) = Told::live(2, &life, &before);
        let (ended, mut after) = (now.plus(Span::from_secs(1200)), before.clone());
        told.settle(ended, &before);
        after.retention.push(ended.plus(Span::from_millis(1)), Span::from_secs(secs)).unwrap();
        if !told.machine.holds_name() {
            let much_later = ended.plus(Span::from_secs(100_000));
            prop_assert_eq!(told.machine.clone().settle(much_later, &after).machine, told.machine);
        }
    }
}
