//! The domain alone: how many transitions a second it makes in memory, on one core.

use std::hint::black_box;

use anyhow::{Context, Result};
use cloudm_domain::{
    ClusterId, Instant, Machine, MachineId, Name, NewMachine, Preset, Protection, Rules, Seed, Span, Tags,
};

use crate::bench::Bench;
use crate::clock::Moment;
use crate::cores;
use crate::sample::{Series, Store, What, Who};

/// How long the machines live. In that time each has about five transitions by itself: it boots, fails, is repaired.
const LIFE: Span = Span::from_secs(5 * 3_600);

/// Settles machines in memory, again and again.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    bench.step("the domain alone");
    let machines = bench.sizes.domain;
    let series = Series { what: What::Settle, who: Who::Cloudm, store: Store::Memory, machines, clients: 1 };
    for round in 0..bench.sizes.rounds {
        let rate = cores::measured(bench.pinned, || settle(machines))?;
        bench.keep(series, round, rate);
    }
    Ok(())
}

/// Transitions a second of machines that are settled once, at the end of that time; each gives its events.
fn settle(machines: u64) -> Result<f64> {
    let rules = Rules::new(Seed::new(42)?, Preset::Flaky.behaviour());
    let fleet = (0..machines).map(|number| made(number, &rules)).collect::<Result<Vec<_>>>()?;
    let end = Instant::DEFAULT_START.plus(LIFE);
    let begun = Moment::now();
    let mut transitions = 0;
    for machine in fleet {
        let outcome = machine.settle(end, &rules);
        transitions += outcome.events.len();
        black_box(outcome);
    }
    Ok(transitions as f64 / begun.seconds())
}

fn made(number: u64, rules: &Rules) -> Result<Machine> {
    let mut id = [0; 12];
    id.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, byte)| *to = byte);
    let name: Name = format!("web-{number}").parse().context("a name")?;
    let new = NewMachine {
        id: MachineId::from_bytes(id),
        cluster_id: ClusterId::from_bytes([7; 12]),
        name,
        machine_type: "small".parse()?,
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    };
    Ok(Machine::create(new, Instant::DEFAULT_START, rules).machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_about_five_transitions_in_its_life() {
        let rules = Rules::new(Seed::new(42).unwrap(), Preset::Flaky.behaviour());
        let end = Instant::DEFAULT_START.plus(LIFE);
        let made = (0..2_000).map(|number| made(number, &rules).unwrap());
        let transitions: usize = made.map(|machine| machine.settle(end, &rules).events.len()).sum();
        assert!((8_000..12_000).contains(&transitions), "{transitions} of 2,000 machines");
    }
}
