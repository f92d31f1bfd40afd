//! Every machine has an answer to everything at every instant, and time always gets on.

use cloudm_domain::{
    Behaviour, Distribution, Instant, Machine, MachineData, Odds, Preset, Rules, Seed, Span, Timing, fold,
};
use proptest::prelude::*;

use crate::life::{MOST, Told, WEB, acts, behaviours, lives, rules};

/// As much trouble as there can be, in as little time.
fn eternal() -> Behaviour {
    let mut behaviour = Behaviour::uniform(Timing::INSTANT);
    behaviour.mean_time_between_failures = Some(Span::from_millis(1));
    behaviour.repair_after = Some(Distribution::INSTANT);
    behaviour
}

proptest! {
    #![proptest_config(crate::config())]

    /// Also at instants before the machine's last.
    #[test]
    fn every_request_has_an_answer_at_any_instant(
        rules in rules(),
        life in lives(),
        act in acts(),
        back in 0..=2 * Instant::DEFAULT_START.millis(),
    ) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let earlier = Instant::from_millis(now.millis().saturating_sub(back)).unwrap();
        let last = told.machine.updated_at;
        let mut at_last = told.clone();
        at_last.act(&act, last, &rules);
        told.act(&act, earlier, &rules);
        prop_assert_eq!(fold(&told.events), Ok(told.machine.clone()));
        if earlier <= last {
            prop_assert_eq!(told, at_last);
        }
    }

    /// Also at the end of time, where every instant is the last.
    #[test]
    fn every_request_has_an_answer_at_the_end_of_time(
        seed in 0..=Seed::MAX,
        behaviour in prop_oneof![behaviours(), Just(eternal())],
        acts in prop::collection::vec((0..5_000u64, acts()), 0..10),
    ) {
        let rules = Rules::new(Seed::new(seed).unwrap(), behaviour);
        let mut now = Instant::from_millis(Instant::MAX.millis() - 10_000).unwrap();
        let mut told = Told::new(2, now, &rules);
        for (after, act) in acts {
            now = now.plus(Span::from_millis(after));
            told.settle(now, &rules);
            told.act(&act, now, &rules);
        }
        told.settle(Instant::MAX, &rules);
        prop_assert!(!told.machine.is_due(Some(&WEB), Instant::MAX, &rules));
        prop_assert_eq!(fold(&told.events), Ok(told.machine));
    }

    /// Any odds, any durations: a failure and its repair take a second each, so a chain gets on in time.
    #[test]
    fn a_chain_always_gets_on(rules in rules(), life in lives()) {
        let (told, now) = Told::live(2, &life, &rules);
        let outcome = told.machine.settle_within(MOST, Some(&WEB), now.plus(Span::from_secs(7200)), &rules);
        prop_assert!(outcome.is_ok());
    }
}

#[test]
fn a_cycle_of_failure_and_repair_takes_a_second_each_way() {
    let mut always_fails = eternal();
    for timing in [&mut always_fails.repairing, &mut always_fails.starting] {
        timing.fail = Odds::ALWAYS;
    }
    for behaviour in [eternal(), always_fails] {
        let rules = Rules::new(Seed::new(1).unwrap(), behaviour);
        let mut told = Told::new(2, Instant::DEFAULT_START, &rules);
        told.settle(Instant::DEFAULT_START.plus(Span::from_secs(1_000)), &rules);
        assert!((1_000..=3_000).contains(&told.events.len()), "{}", told.events.len());
    }
}

#[test]
fn data_that_would_never_get_on_is_no_machine() {
    let rules = Rules::new(Seed::new(1).unwrap(), Preset::Realistic.behaviour());
    let machine = Told::new(2, Instant::DEFAULT_START, &rules).machine;
    let refused = |change: fn(&mut MachineData)| {
        let mut data = MachineData::from(machine.clone());
        change(&mut data);
        assert!(Machine::try_from(data.clone()).is_err(), "{data:?}");
    };
    refused(|data| data.in_progress = None);
    refused(|data| data.in_progress.as_mut().unwrap().to = data.state);
    refused(|data| data.next.as_mut().unwrap().at = Instant::MIN);
    refused(|data| data.next.as_mut().unwrap().kind = cloudm_domain::StepKind::Repair);
    refused(|data| data.version = 0);
    refused(|data| data.ordinal = 2);
    refused(|data| data.updated_at = Instant::MIN);
}

#[test]
fn an_event_that_would_never_get_on_is_refused() {
    let rules = Rules::new(Seed::new(1).unwrap(), Preset::Realistic.behaviour());
    let mut told = Told::new(2, Instant::DEFAULT_START, &rules);
    let begun = told.machine.clone();
    told.settle(Instant::DEFAULT_START.plus(Span::from_secs(600)), &rules);
    let mut event = told.events[1].clone();
    let cloudm_domain::Change::Entered(entered) = &mut event.change else { panic!("{event:?}") };
    entered.to = entered.state;
    let mut machine = begun.clone();
    assert!(machine.apply(&event).is_err());
    assert_eq!(machine, begun);
}
