//! Law 4: rules are timelines, so a late settle equals an early one.

use cloudm_domain::{Command, Preset, Rules, Seed, Span};
use proptest::prelude::*;

use crate::life::{Act, START, Told, histories_of_rules, lives};

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
            now = begin.plus(from.since(START));
            let unseen = now.plus(Span::from_millis(1));
            early.settle(now, &rules);
            rules.behaviour.push(unseen, behaviour).unwrap();
        }
        let end = now.plus(Span::from_secs(1800));
        early.settle(end, &rules);
        late.settle(end, &rules);
        prop_assert_eq!(early, late);
    }
}

/// The retention, too, is what held when the machine came to its end, whenever that is found.
#[test]
fn the_retention_is_that_of_the_end() {
    let (hour, minute) = (Span::from_secs(3600), Span::from_secs(60));
    let mut rules = Rules::new(Seed::new(1).unwrap(), Preset::Instant.behaviour());
    rules.retention.push(START.plus(hour), minute).unwrap();
    for (ended, kept) in [(START, Rules::DEFAULT_RETENTION), (START.plus(hour), minute)] {
        let mut told = Told::new(2, START, &rules);
        told.act(&Act::Ask(Command::Terminate.into()), ended, &rules);
        let last = ended.plus(Span::from_millis(kept.millis() - 1));
        told.settle(last.plus(hour), &rules);
        assert!(!told.machine.is_forgotten(last) && told.machine.is_forgotten(ended.plus(kept)), "{ended}");
    }
}
