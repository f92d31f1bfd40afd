//! What decides values is pinned: whole lives, to the millisecond. Who changes these numbers changes every world's future.

use cloudm_domain::{Change, MachineState, Preset, Rules, Seed, Span};

use crate::life::{START, Told};

/// Milliseconds after the start, and the state that was entered.
fn seen(told: &Told) -> Vec<(u64, MachineState)> {
    let entered = |change: &Change| match change {
        Change::Entered(entered) => entered.state,
        _ => MachineState::Provisioning,
    };
    told.events.iter().map(|event| (event.at.since(START).millis(), entered(&event.change))).collect()
}

#[test]
fn a_life_in_flaky_is_a_known_one() {
    use MachineState::{Failed, Provisioning, Repairing, Running, Starting};
    let rules = Rules::new(Seed::new(3).unwrap(), Preset::Flaky.behaviour());
    let mut told = Told::new(2, START, &rules);
    told.settle(START.plus(Span::from_secs(12 * 3600)), &rules);
    let known = [
        (0, Provisioning),
        (12_489, Starting),
        (39_051, Running),
        (39_744_307, Failed),
        (39_854_656, Repairing),
        (39_998_850, Running),
    ];
    assert_eq!(seen(&told), known);
}
