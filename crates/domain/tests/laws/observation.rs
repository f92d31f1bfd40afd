//! Law 1: observation changes nothing. The rules change on the way.

use cloudm_domain::{Change, MachineEvent, Span};
use proptest::prelude::*;

use crate::life::{START, Told, later, lives, rules};

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn settling_early_late_or_twice_is_the_same(
        rules in rules(),
        life in lives(),
        a in 0..5_000_000u64,
        b in 0..5_000_000u64,
    ) {
        let (told, now) = Told::live(2, &life, &rules);
        let (early, late) = later(now, a, b);
        let (mut twice, mut once) = (told.clone(), told);
        twice.settle(early, &rules);
        twice.settle(early, &rules);
        twice.settle(late, &rules);
        once.settle(late, &rules);
        prop_assert_eq!(twice, once);
    }

    /// A machine that is looked at all the time lives as one that nobody looked at.
    #[test]
    fn a_watched_machine_lives_as_an_unwatched_one(rules in rules(), life in lives(), looks in 1..5u64) {
        let (mut unwatched, end) = Told::live(2, &life, &rules);
        let mut watched = Told::new(2, START, &rules);
        let mut now = START;
        for (after, act) in &life {
            for look in 0..looks {
                watched.settle(now.plus(Span::from_millis(after / looks * look)), &rules);
            }
            now = now.plus(Span::from_millis(*after));
            watched.act(act, now, &rules);
        }
        // The last act may have been refused, and then the unwatched one was not settled by it.
        unwatched.settle(end, &rules);
        watched.settle(end, &rules);
        prop_assert_eq!(watched, unwatched);
    }

    /// A bounded settle is whole or refused; what it writes at most is what an earlier settle would have.
    #[test]
    fn a_bounded_settle_is_whole_or_refused(rules in rules(), life in lives(), limit in 0..6usize) {
        let (told, now) = Told::live(2, &life, &rules);
        let now = now.plus(Span::from_secs(3600));
        let whole = told.machine.clone().settle(now, &rules);
        match told.machine.clone().settle_within(limit, now, &rules) {
            Ok(settled) => prop_assert_eq!(settled, whole),
            Err(_) => {
                prop_assert!(whole.events.len() > limit);
                let part = told.machine.settle_at_most(limit, now, &rules);
                // The faults that matched a step come before the state that it enters, and are not parted from it.
                let enters = |event: &MachineEvent| matches!(event.change, Change::Entered(_));
                let on_top = limit.checked_sub(1).and_then(|last| whole.events[last..].iter().position(enters));
                let end = limit + on_top.unwrap_or(0);
                prop_assert_eq!(&part.events[..], &whole.events[..end]);
                let rest = part.machine.settle(now, &rules);
                prop_assert_eq!(&rest.events[..], &whole.events[end..]);
                prop_assert_eq!(rest.machine, whole.machine);
            }
        }
    }
}
