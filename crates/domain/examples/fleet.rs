//! A fleet of 1,000 machines through a virtual day of the preset `flaky`: what happened, the same each time.
//!
//! Every hour a twentieth of the fleet is asked something, as a careless operator would. Run it with
//! `cargo run --release --package cloudm-domain --example fleet [SEED]`.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::collections::BTreeMap;
use std::error::Error;

use cloudm_domain::{
    Cause, Change, ClusterId, Command, Instant, Machine, MachineEvent, MachineId, MachineState, Name, NewMachine,
    Preset, Protection, Rules, Seed, Span, Tags, fold,
};

const MACHINES: usize = 1000;
const HOURS: usize = 24;

fn main() -> Result<(), Box<dyn Error>> {
    let seed = Seed::new(std::env::args().nth(1).map_or(Ok(42), |text| text.parse())?)?;
    let mut fleet = Fleet::create(seed)?;
    for hour in 0..HOURS {
        fleet.operate(hour);
    }
    let end = fleet.start.plus(Span::from_secs(24 * 3600));
    fleet.settle(end);
    fleet.print(end)?;
    Ok(())
}

struct Fleet {
    start: Instant,
    rules: Rules,
    machines: Vec<Machine>,
    events: Vec<MachineEvent>,
    refused: usize,
}

impl Fleet {
    fn create(seed: Seed) -> Result<Self, Box<dyn Error>> {
        let start = Instant::DEFAULT_START;
        let rules = Rules::new(seed, Preset::Flaky.behaviour());
        let cluster_id = ClusterId::of(seed, &"fleet".parse()?, start, 0);
        let mut fleet = Self { start, rules, machines: Vec::new(), events: Vec::new(), refused: 0 };
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

    /// Asks something of a twentieth of the fleet, half past the hour.
    fn operate(&mut self, hour: usize) {
        let now = self.start.plus(Span::from_secs(hour as u64 * 3600 + 1800));
        let command =
            [Command::Reboot, Command::Stop, Command::Start, Command::Suspend, Command::Resume][hour % 5].clone();
        for machine in self.machines.iter_mut().skip(hour % 20).step_by(20) {
            match machine.clone().request(&command.clone().into(), now, &self.rules) {
                Ok(outcome) => {
                    *machine = outcome.machine;
                    self.events.extend(outcome.events);
                }
                Err(_) => self.refused += 1,
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

    fn print(&self, end: Instant) -> Result<(), Box<dyn Error>> {
        println!("{MACHINES} machines from {} to {end}, preset flaky", self.start);
        println!("\n{} events, {} requests refused", self.events.len(), self.refused);
        let mut entered: BTreeMap<(MachineState, Cause), usize> = BTreeMap::new();
        for event in &self.events {
            let key = match &event.change {
                Change::Created(_) => (MachineState::Provisioning, Cause::Create),
                Change::Entered(entered) => (entered.state, entered.cause),
                Change::Edited { .. } | Change::DeleteRequested => continue,
            };
            *entered.entry(key).or_default() += 1;
        }
        println!("\n{:<14} {:<10} {:>6}", "state entered", "because of", "times");
        for ((state, cause), count) in entered {
            println!("{state:<14} {cause:<10} {count:>6}");
        }
        let mut at_the_end: BTreeMap<(MachineState, bool), usize> = BTreeMap::new();
        for machine in &self.machines {
            *at_the_end.entry((machine.state, machine.is_stuck())).or_default() += 1;
        }
        println!("\n{:<14} {:>8}", "at the end", "machines");
        for ((state, stuck), count) in at_the_end {
            println!("{state:<14} {count:>8}{}", if stuck { "  stuck" } else { "" });
        }
        println!("\nevery machine is the fold of its events: {}", self.every_machine_is_its_history()?);
        Ok(())
    }

    fn every_machine_is_its_history(&self) -> Result<bool, Box<dyn Error>> {
        let mut histories: BTreeMap<MachineId, Vec<&MachineEvent>> = BTreeMap::new();
        for event in &self.events {
            histories.entry(event.machine).or_default().push(event);
        }
        for machine in &self.machines {
            let history = histories.get(&machine.id).ok_or("a machine without a history")?;
            if fold(history.iter().copied())? != *machine {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
