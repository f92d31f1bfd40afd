//! Law 1: observation changes nothing. The rules change on the way.

use cloudm_domain::Span;
use proptest::prelude::*;

use crate::life::{START, Told, WEB, later, lives, rules};

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
        let whole = told.machine.clone().settle_in(Some(&WEB), now, &rules);
        match told.machine.clone().settle_within(limit, Some(&WEB), now, &rules) {
            Ok(settled) => prop_assert_eq!(settled, whole),
            Err(_) => {
                prop_assert!(whole.events.len() > limit);
                let part = told.machine.settle_at_most(limit, Some(&WEB), now, &rules);
                // What comes with the last of them is not parted from it: faults that match, and all that is told at once.
                let end = part.events.len();
                prop_assert!((limit..limit + 8).contains(&end));
                prop_assert_eq!(&part.events[..], &whole.events[..end]);
                let rest = part.machine.settle_in(Some(&WEB), now, &rules);
                prop_assert_eq!(&rest.events[..], &whole.events[end..]);
                prop_assert_eq!(rest.machine, whole.machine);
            }
        }
    }
    /// Once all were told, nobody has to look for what was told: the future is the same without.
    #[test]
    fn what_all_were_told_is_looked_at_no_more(rules in rules(), life in lives(), a in 0..5_000_000u64, b in 0..5_000_000u64) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let (early, late) = later(now, a, b);
        told.settle(early, &rules);
        let mut swept = rules.clone();
        swept.schedule.all_told(early);
        let mut forgetful = told.clone();
        told.settle(late, &rules);
        forgetful.settle(late, &swept);
        prop_assert_eq!(forgetful, told);
    }
}
