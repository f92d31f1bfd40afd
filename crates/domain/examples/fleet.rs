//! A fleet of 1,000 machines through a virtual day of the preset `flaky`: what happened, the same each time.
//!
//! Every hour a fifth of the fleet is asked something, as a careless operator would: without a look at its state. Run it with
//! `cargo run --release --package cloudm-domain --example fleet [SEED]`.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display, Write};

use cloudm_domain::{
    Change, ClusterId, Command, Instant, Machine, MachineEvent, MachineId, Name, NewMachine, Outcome, Preset,
    Protection, Refusal, Rules, Seed, Span, Tags, fold,
};

const MACHINES: usize = 1000;
const HOURS: usize = 24;
const COMMANDS: [Command; 5] = [Command::Reboot, Command::Stop, Command::Start, Command::Suspend, Command::Resume];

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(42), |text| text.parse())?;
    print!("{}", a_day(Seed::new(seed)?)?);
    Ok(())
}

/// Lets a fleet live for a day and tells of it.
fn a_day(seed: Seed) -> Result<String, Box<dyn Error>> {
    let mut fleet = Fleet::create(seed)?;
    for hour in 0..HOURS {
        fleet.operate(hour);
    }
    let end = fleet.start.plus(Span::from_secs(24 * 3600));
    fleet.settle(end);
    fleet.check()?;
    Ok(fleet.report(end)?)
}

struct Fleet {
    start: Instant,
    rules: Rules,
    machines: Vec<Machine>,
    events: Vec<MachineEvent>,
    answers: BTreeMap<(&'static str, &'static str), usize>,
}

impl Fleet {
    fn create(seed: Seed) -> Result<Self, Box<dyn Error>> {
        let start = Instant::DEFAULT_START;
        let rules = Rules::new(seed, Preset::Flaky.behaviour());
        let cluster_id = ClusterId::of(seed, &"fleet".parse()?, start, 0);
        let mut fleet = Self { start, rules, machines: Vec::new(), events: Vec::new(), answers: BTreeMap::new() };
        for number in 0..MACHINES {
            let name: Name = format!("machine-{number}").parse()?;
            let new = NewMachine {
                id: MachineId::of(seed, cluster_id, &name, start, 0),
                cluster_id,
                name,
                machine_type: "small".parse()?,
                tags: Tags::default(),
                protection: Protection::default(),
                start: true,
            };
            let created = Machine::create(new, start, &fleet.rules);
            fleet.machines.push(created.machine);
            fleet.events.extend(created.events);
        }
        Ok(fleet)
    }

    /// Asks something of a fifth of the fleet, half past the hour, and the next thing of the same fifth an hour later. Nobody settles the others: they need it only when
    /// they are looked at.
    fn operate(&mut self, hour: usize) {
        let now = self.start.plus(Span::from_secs(hour as u64 * 3600 + 1800));
        let command = &COMMANDS[hour % COMMANDS.len()];
        for machine in self.machines.iter_mut().skip(hour / COMMANDS.len()).step_by(5) {
            let result = machine.clone().request(&command.clone().into(), now, &self.rules);
            *self.answers.entry((command.operation().code(), answer(&result))).or_default() += 1;
            if let Ok(outcome) = result {
                *machine = outcome.machine;
                self.events.extend(outcome.events);
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        for machine in &mut self.machines {
            let outcome = machine.clone().settle(now, &self.rules);
            *machine = outcome.machine;
            self.events.extend(outcome.events);
        }
    }

    /// Makes every machine anew from its events.
    fn check(&self) -> Result<(), Box<dyn Error>> {
        let mut histories: BTreeMap<MachineId, Vec<&MachineEvent>> = BTreeMap::new();
        for event in &self.events {
            histories.entry(event.machine).or_default().push(event);
        }
        for machine in &self.machines {
            let history = histories.get(&machine.id).ok_or("a machine without a history")?;
            if fold(history.iter().copied())? != *machine {
                return Err(format!("machine {} is not what its events made", machine.id).into());
            }
        }
        Ok(())
    }

    fn report(&self, end: Instant) -> Result<String, fmt::Error> {
        let mut text = format!("{MACHINES} machines from {} to {end}, preset flaky\n", self.start);
        let answers = self.answers.iter().map(|(key, count)| (*key, *count));
        table(&mut text, ["asked", "answer", "times"], answers)?;
        table(&mut text, ["event", "", "times"], count(self.events.iter().map(|event| (event.change.kind(), ""))))?;
        let entered = self.events.iter().filter_map(|event| match &event.change {
            Change::Entered(entered) => Some((entered.state, entered.cause)),
            _ => None,
        });
        table(&mut text, ["state entered", "because of", "times"], count(entered))?;
        let at_the_end =
            self.machines.iter().map(|machine| (machine.state, if machine.is_stuck() { "stuck" } else { "" }));
        table(&mut text, ["at the end", "", "machines"], count(at_the_end))?;
        writeln!(text, "\n{} events, checksum {:016x}", self.events.len(), checksum(&self.events))?;
        Ok(text)
    }
}

fn answer(result: &Result<Outcome, Refusal>) -> &'static str {
    match result {
        Ok(outcome) if outcome.changed => "begun",
        Ok(_) => "already so",
        Err(Refusal::InProgress { due_at: None, .. }) => "refused: stuck",
        Err(Refusal::InProgress { .. }) => "refused: on its way",
        Err(_) => "refused: illegal",
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    keys.fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

fn table<A: Display, B: Display>(
    text: &mut String,
    [a, b, times]: [&str; 3],
    rows: impl IntoIterator<Item = ((A, B), usize)>,
) -> fmt::Result {
    writeln!(text, "\n{a:<16} {b:<20} {times:>8}")?;
    rows.into_iter().try_for_each(|((a, b), count)| writeln!(text, "{a:<16} {b:<20} {count:>8}"))
}

/// FNV-1a over what each event says: two days with one checksum were the same to the millisecond.
fn checksum(events: &[MachineEvent]) -> u64 {
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    events.iter().fold(0xcbf2_9ce4_8422_2325, |sum, event| {
        let (state, cause) = match &event.change {
            Change::Entered(entered) => (entered.state.number(), entered.cause.number()),
            _ => (0, 0),
        };
        let sum = event.machine.as_bytes().iter().fold(sum, add);
        let sum = event.version.to_be_bytes().iter().chain(&event.at.millis().to_be_bytes()).fold(sum, add);
        [event.change.kind().number(), state, cause].iter().fold(sum, add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_seed_42_is_a_known_one() {
        assert_eq!(a_day(Seed::new(42).unwrap()).unwrap(), include_str!("fleet.txt"));
    }
}
