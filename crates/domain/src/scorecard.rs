//! Scorecards: how well a fleet was run, from its history.

use std::collections::{BTreeMap, HashMap};

use crate::catalogue::Catalogue;
use crate::event::{Change, Entered, FoldError, MachineEvent, WorldRefusal, fold};
use crate::id::MachineId;
use crate::lifecycle::{Cause, MachineState};
use crate::machine::Machine;
use crate::name::Code;
use crate::time::{Instant, Span};

/// How well a fleet was run in an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scorecard {
    /// Where the interval begins.
    pub from: Instant,
    /// Where it ends. What happened at either end belongs to it.
    pub to: Instant,
    /// How long machines of each type were in each state, all added up; TERMINATED is no time.
    pub times: BTreeMap<(Code, MachineState), Span>,
    /// The price of all RUNNING time, in millionths of the catalogue's currency unit: by the millisecond, added up exactly and
    /// cut to whole millionths once.
    pub cost_micros: u128,
    /// The machine types that the catalogue does not have (any more), whose time costs nothing.
    pub unpriced: Vec<Code>,
    /// What was asked of machines, by what it was, with what came of it.
    pub operations: BTreeMap<Cause, Asked>,
    /// How often the world refused something, by why.
    pub refusals: BTreeMap<WorldRefusal, u64>,
    /// How often a machine failed while RUNNING.
    pub crashes: u64,
    /// How long what was asked took to be done.
    pub to_settle: Option<Latency>,
    /// The times with fewer machines RUNNING than were wanted, where that was said.
    pub shortage: Option<Shortage>,
}

/// What came of what was asked: `asked` is the sum of the others.
///
/// The history tells what a machine began and what the world refused; not what was found done, or was not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// All of it.
    pub asked: u64,
    /// What came to the state it was to come to.
    pub done: u64,
    /// What ended in FAILED.
    pub failed: u64,
    /// What the world refused.
    pub refused: u64,
    /// What something else that was asked took the place of.
    pub superseded: u64,
    /// What was still on its way.
    pub pending: u64,
}

/// How long something took, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Half of it took no longer.
    pub median: Span,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Span,
}

/// Times with fewer machines RUNNING than wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// How many were wanted.
    pub fewer_than: u64,
    /// The longest of these times.
    pub longest: Span,
    /// All of them together.
    pub total: Span,
}

/// Reads a history and keeps the score.
///
/// The events of one machine come in their order; those of different machines in any. It holds a machine from its creation until it is
/// TERMINATED.
///
/// ```
/// # use cloudm_domain::*;
/// # let new = NewMachine { id: MachineId::from_bytes([1; 12]), cluster_id: ClusterId::from_bytes([2; 12]),
/// #     name: "web-1".parse()?, machine_type: "small".parse()?, tags: Tags::default(),
/// #     protection: Protection::default(), start: true };
/// let start = Instant::DEFAULT_START;
/// let rules = Rules::new(Seed::new(1)?, Preset::Instant.behaviour());
/// let created = Machine::create(new, start, &rules); // RUNNING at once
///
/// let mut keeper = ScoreKeeper::new(start, start.plus(Span::from_secs(1_800)), Some(1));
/// for event in &created.events {
///     keeper.read(event, |_| true)?;
/// }
/// let card = keeper.score(&Catalogue::default());
/// assert_eq!(card.cost_micros, 5_500, "half an hour of the 11,000 an hour that a small one costs");
/// assert_eq!(card.operations[&Cause::Create].done, 1);
/// assert_eq!(card.shortage.unwrap().total, Span::ZERO);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ScoreKeeper {
    from: Instant,
    to: Instant,
    fewer_than: Option<u64>,
    machines: HashMap<MachineId, Kept>,
    times: BTreeMap<(Code, MachineState), Span>,
    operations: BTreeMap<Cause, Asked>,
    refusals: BTreeMap<WorldRefusal, u64>,
    crashes: u64,
    took: Vec<Span>,
    /// When one more or one less was RUNNING.
    running: Vec<(Instant, i64)>,
}

/// A machine as its last event left it.
#[derive(Debug)]
struct Kept {
    machine: Machine,
    /// Whether it was selected then.
    selected: bool,
    /// What was asked last and has not come to its end.
    under_way: Option<(Cause, Instant)>,
}

impl Kept {
    fn runs(&self) -> bool {
        self.selected && self.machine.state == MachineState::Running
    }
}

impl ScoreKeeper {
    /// Keeps the score of an interval; of the times with fewer machines RUNNING than `fewer_than`, where that is said.
    pub fn new(from: Instant, to: Instant, fewer_than: Option<u64>) -> Self {
        Self {
            from,
            to,
            fewer_than,
            machines: HashMap::new(),
            times: BTreeMap::new(),
            operations: BTreeMap::new(),
            refusals: BTreeMap::new(),
            crashes: 0,
            took: Vec::new(),
            running: Vec::new(),
        }
    }

    /// Reads the next event of a machine; one that comes after its end is read over. It counts for what `selects` says of the machine as the event left it.
    ///
    /// # Errors
    /// Where it is not the next one.
    pub fn read(&mut self, event: &MachineEvent, selects: impl FnOnce(&Machine) -> bool) -> Result<(), FoldError> {
        if event.at > self.to {
            return Ok(());
        }
        let before = self.machines.remove(&event.machine);
        let machine = match &before {
            Some(kept) => {
                let mut machine = kept.machine.clone();
                machine.apply(event)?;
                machine
            }
            None if event.change.begins() => fold([event])?,
            // It has ended: nothing counts any more.
            None => return Ok(()),
        };
        let selected = selects(&machine);
        if let Some(before) = &before {
            self.pass(before, event.at);
        }
        let under_way = before.as_ref().and_then(|before| before.under_way);
        let mut after = Kept { machine, selected, under_way };
        self.count(before.as_ref(), &mut after, event);
        self.run(before.as_ref().is_some_and(Kept::runs), after.runs(), event.at);
        if after.machine.state != MachineState::Terminated {
            self.machines.insert(event.machine, after);
        }
        Ok(())
    }

    fn is_within(&self, at: Instant) -> bool {
        self.from <= at && at <= self.to
    }

    /// Time passes for a machine up to an instant.
    fn pass(&mut self, kept: &Kept, until: Instant) {
        let (from, until) = (kept.machine.updated_at.max(self.from), until.min(self.to));
        if kept.selected && from < until {
            let kind = (kept.machine.machine_type.clone(), kept.machine.state);
            let time = self.times.entry(kind).or_insert(Span::ZERO);
            *time = Span::from_millis(time.millis() + until.since(from).millis());
        }
    }

    fn run(&mut self, before: bool, after: bool, at: Instant) {
        if self.fewer_than.is_some() && before != after {
            self.running.push((at.max(self.from), if after { 1 } else { -1 }));
        }
    }

    fn count(&mut self, before: Option<&Kept>, after: &mut Kept, event: &MachineEvent) {
        let within = after.selected && self.is_within(event.at);
        match &event.change {
            Change::Created(_) => self.begin(Cause::Create, after, event.at),
            Change::CreationRefused { why, .. } if within => self.refuse(Cause::Create, *why),
            Change::Refused { cause, why } if within => self.refuse(*cause, *why),
            Change::Entered(entered) => self.enter(before, after, entered, event.at),
            _ => {}
        }
    }

    fn enter(&mut self, before: Option<&Kept>, after: &mut Kept, entered: &Entered, at: Instant) {
        let left = before.map(|before| before.machine.state);
        if entered.cause == Cause::Failure
            && left == Some(MachineState::Running)
            && after.selected
            && self.is_within(at)
        {
            self.crashes += 1;
        }
        let change = before.and_then(|before| before.machine.in_progress.as_ref());
        let goes_on = change.is_some_and(|change| (change.cause, change.to) == (entered.cause, entered.to));
        if entered.cause == Cause::Preemption && !goes_on {
            // What was under way is never done.
            self.end(after, Some(MachineState::Failed), at);
        }
        let is_by_itself = entered.cause.is_of_the_world();
        // Who is asked once more for what is stuck enters the same state again.
        if !is_by_itself && (!goes_on || left == Some(entered.state)) {
            self.end(after, None, at);
            self.begin(entered.cause, after, at);
        }
        if !entered.state.is_active() {
            self.end(after, Some(entered.state), at);
        }
    }

    fn refuse(&mut self, cause: Cause, why: WorldRefusal) {
        let operation = self.operations.entry(cause).or_default();
        operation.asked += 1;
        operation.refused += 1;
        *self.refusals.entry(why).or_default() += 1;
    }

    fn begin(&mut self, cause: Cause, kept: &mut Kept, at: Instant) {
        if kept.selected && self.is_within(at) {
            let operation = self.operations.entry(cause).or_default();
            operation.asked += 1;
            operation.pending += 1;
            kept.under_way = Some((cause, at));
        }
    }

    /// What was under way comes to its end in a state; in none, because something else was asked.
    fn end(&mut self, kept: &mut Kept, state: Option<MachineState>, at: Instant) {
        let Some((cause, begun)) = kept.under_way.take() else { return };
        let operation = self.operations.entry(cause).or_default();
        operation.pending = operation.pending.saturating_sub(1);
        match state {
            None => operation.superseded += 1,
            Some(MachineState::Failed) => operation.failed += 1,
            Some(_) => {
                operation.done += 1;
                self.took.push(at.since(begun));
            }
        }
    }

    /// The score, with the prices of a catalogue.
    pub fn score(mut self, catalogue: &Catalogue) -> Scorecard {
        for kept in std::mem::take(&mut self.machines).into_values() {
            self.pass(&kept, self.to);
        }
        let (cost_micros, unpriced) = cost(&self.times, catalogue);
        Scorecard {
            from: self.from,
            to: self.to,
            cost_micros,
            unpriced,
            crashes: self.crashes,
            to_settle: latency(self.took),
            shortage: self.fewer_than.map(|fewer_than| shortage(self.running, (self.from, self.to), fewer_than)),
            times: self.times,
            operations: self.operations,
            refusals: self.refusals,
        }
    }
}

fn cost(times: &BTreeMap<(Code, MachineState), Span>, catalogue: &Catalogue) -> (u128, Vec<Code>) {
    let (mut cost, mut unpriced) = (0_u128, Vec::new());
    for ((code, _), time) in times.iter().filter(|((_, state), _)| *state == MachineState::Running) {
        match catalogue.machine_type(code.as_str()) {
            Some(known) => cost += u128::from(known.price_per_hour_micros) * u128::from(time.millis()),
            None => unpriced.push(code.clone()),
        }
    }
    (cost / 3_600_000, unpriced)
}

fn latency(mut took: Vec<Span>) -> Option<Latency> {
    took.sort_unstable();
    let rank = |hundredths: usize| took.get((took.len() * hundredths).div_ceil(100).checked_sub(1)?).copied();
    Some(Latency { median: rank(50)?, p99: rank(99)? })
}

fn shortage(mut running: Vec<(Instant, i64)>, (from, to): (Instant, Instant), fewer_than: u64) -> Shortage {
    running.sort_unstable();
    let is_short = |count: i64| u64::try_from(count).unwrap_or_default() < fewer_than;
    let (mut count, mut since, mut longest, mut total) = (0_i64, is_short(0).then_some(from), Span::ZERO, 0);
    let mut end = |since: Option<Instant>, at: Instant| {
        let lasted = since.map_or(Span::ZERO, |since| at.since(since));
        longest = longest.max(lasted);
        total += lasted.millis();
    };
    for (number, (at, change)) in running.iter().enumerate() {
        count += change;
        // All of one instant happens at once.
        if running.get(number + 1).is_some_and(|(next, _)| next == at) {
            continue;
        }
        match (is_short(count), since) {
            (false, Some(_)) => end(since.take(), *at),
            (true, None) => since = Some(*at),
            _ => {}
        }
    }
    if is_short(count) {
        end(since, to);
    }
    Shortage { fewer_than, longest, total: Span::from_millis(total) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{NewMachine, Outcome, Protection};
    use crate::request::{Command, Request};
    use crate::{Behaviour, ClusterId, Distribution, Odds, Preset, Rules, Seed, Tags, Timing};

    fn after(secs: u64) -> Instant {
        Instant::DEFAULT_START.plus(Span::from_secs(secs))
    }

    /// Every change takes ten seconds.
    fn slow() -> Behaviour {
        Behaviour::uniform(Timing::lasting(Distribution::Fixed { value: Span::from_secs(10) }))
    }

    fn rules(behaviour: Behaviour) -> Rules {
        Rules::new(Seed::new(1).unwrap(), behaviour)
    }

    fn new_machine(number: u8) -> NewMachine {
        NewMachine {
            id: MachineId::from_bytes([number; 12]),
            cluster_id: ClusterId::from_bytes([2; 12]),
            name: format!("web-{number}").parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start: true,
        }
    }

    /// A machine that was made at the start, and what is asked of it then and when.
    fn life(number: u8, rules: &Rules, asked: &[(u64, Request)], until: u64) -> Vec<MachineEvent> {
        let Outcome { mut machine, mut events, .. } = Machine::create(new_machine(number), after(0), rules);
        for (secs, request) in asked {
            let outcome = machine.request(request, after(*secs), rules).unwrap();
            machine = outcome.machine;
            events.extend(outcome.events);
        }
        events.extend(machine.settle(after(until), rules).events);
        events
    }

    fn score(events: &[MachineEvent], (from, to): (u64, u64), fewer_than: Option<u64>) -> Scorecard {
        let mut keeper = ScoreKeeper::new(after(from), after(to), fewer_than);
        events.iter().for_each(|event| keeper.read(event, |_| true).unwrap());
        keeper.score(&Catalogue::default())
    }

    fn time(card: &Scorecard, state: MachineState) -> u64 {
        card.times.iter().filter(|((_, one), _)| *one == state).map(|(_, time)| time.millis() / 1_000).sum()
    }

    #[test]
    fn each_state_has_its_time_and_running_has_its_price() {
        let stop = [(120, Command::Stop.into())];
        let card = score(&life(1, &rules(slow()), &stop, 200), (0, 200), None);
        use MachineState::{Provisioning, Running, Starting, Stopped, Stopping};
        let times = [Provisioning, Starting, Running, Stopping, Stopped].map(|state| time(&card, state));
        assert_eq!(times, [10, 10, 100, 10, 70]);
        assert_eq!(card.cost_micros, 11_000 * 100 / 3_600, "cut to whole millionths once");
        let half = score(&life(1, &rules(slow()), &stop, 200), (60, 125), None);
        assert_eq!([Running, Stopping].map(|state| time(&half, state)), [60, 5]);
        assert_eq!(half.times.values().map(|time| time.millis()).sum::<u64>(), 65_000, "no more than the interval");
    }

    #[test]
    fn what_was_asked_is_told_with_what_came_of_it() {
        let force = Request { command: Command::Stop, force: true };
        let asked = [(15, force), (100, Command::Start.into()), (300, Command::Terminate.into())];
        let card = score(&life(1, &rules(slow()), &asked, 305), (0, 305), None);
        let told = |cause| card.operations[&cause];
        let one = Asked { asked: 1, ..Asked::default() };
        assert_eq!(told(Cause::Create), Asked { superseded: 1, ..one });
        assert_eq!(told(Cause::Stop), Asked { done: 1, ..one });
        assert_eq!(told(Cause::Start), Asked { done: 1, ..one });
        assert_eq!(told(Cause::Terminate), Asked { pending: 1, ..one });
        assert_eq!(card.to_settle, Some(Latency { median: Span::from_secs(10), p99: Span::from_secs(10) }));
        let later = score(&life(1, &rules(slow()), &asked, 400), (200, 400), None);
        assert_eq!(later.operations.keys().collect::<Vec<_>>(), [&Cause::Terminate], "what began before is not of it");
    }

    #[test]
    fn failures_crashes_and_refusals_are_told_apart() {
        let mut fails = slow();
        fails.starting.fail = Odds::ALWAYS;
        let mut events = life(1, &rules(fails), &[], 100);
        let mut crashes = slow();
        crashes.mean_time_between_failures = Some(Span::from_millis(1));
        events.extend(life(2, &rules(crashes), &[], 100));
        let why = WorldRefusal::InsufficientCapacity;
        let third = Machine::create(new_machine(3), after(50), &rules(slow()));
        events.extend(third.events[0].refused(why));
        let stopped = life(4, &rules(Preset::Instant.behaviour()), &[(1, Command::Stop.into())], 1);
        let refused = fold(&stopped).unwrap().refuse((Cause::Start, why), None, after(60), &rules(slow()));
        events.extend(stopped.into_iter().chain(refused.events));
        let card = score(&events, (0, 100), None);
        assert_eq!((card.operations[&Cause::Create].failed, card.crashes), (1, 1));
        assert_eq!(
            card.operations[&Cause::Create],
            Asked { asked: 4, done: 2, failed: 1, refused: 1, ..Asked::default() }
        );
        assert_eq!(card.operations[&Cause::Start], Asked { asked: 1, refused: 1, ..Asked::default() });
        assert_eq!(card.refusals, BTreeMap::from([(why, 2)]));
    }

    #[test]
    fn the_times_with_too_few_running_are_found_in_any_order_of_events() {
        // 1 runs from 20 to 100, 2 from 20 to 60 and from 90 on.
        let rules = rules(slow());
        let first = life(1, &rules, &[(100, Command::Stop.into())], 200);
        let second = life(2, &rules, &[(60, Command::Stop.into()), (80, Command::Start.into())], 200);
        let shortage = |events: &[MachineEvent], fewer_than| {
            let short = score(events, (0, 200), Some(fewer_than)).shortage.unwrap();
            (short.longest.millis() / 1_000, short.total.millis() / 1_000)
        };
        for events in [[first.clone(), second.clone()].concat(), [second, first].concat()] {
            assert_eq!(shortage(&events, 0), (0, 0));
            assert_eq!(shortage(&events, 1), (20, 20));
            assert_eq!(shortage(&events, 2), (100, 20 + 30 + 100));
            assert_eq!(shortage(&events, 3), (200, 200));
        }
        assert_eq!(shortage(&[], 1), (200, 200), "nothing runs where there is nothing");
    }

    #[test]
    fn what_is_not_selected_does_not_count_and_latency_is_by_nearest_rank() {
        let mut keeper = ScoreKeeper::new(after(0), after(100), Some(1));
        for event in life(1, &rules(slow()), &[], 100) {
            keeper.read(&event, |machine| machine.name.as_str() == "db-1").unwrap();
        }
        let card = keeper.score(&Catalogue::default());
        assert_eq!(
            (card.times.len(), card.operations.len(), card.shortage.unwrap().total),
            (0, 0, Span::from_secs(100))
        );
        let spans: Vec<_> = (1..=200).rev().map(Span::from_millis).collect();
        let (median, p99) = (Span::from_millis(100), Span::from_millis(198));
        assert_eq!((latency(spans), latency(Vec::new())), (Some(Latency { median, p99 }), None));
    }

    #[test]
    fn what_follows_the_end_of_a_machine_is_read_over() {
        let rules = rules(Preset::Instant.behaviour());
        let Outcome { machine, mut events, .. } = Machine::create(new_machine(1), after(0), &rules);
        let ended = machine.request(&Command::Terminate.into(), after(10), &rules).unwrap();
        events.extend(ended.events);
        events.extend(ended.machine.delete(after(20), &rules).unwrap().events);
        assert!(events.last().is_some_and(|event| event.change == Change::DeleteRequested));
        assert_eq!(score(&events, (0, 60), None).operations[&Cause::Terminate].done, 1);
    }

    #[test]
    fn a_type_that_has_no_price_is_named() {
        let mut new = new_machine(1);
        new.machine_type = "huge".parse().unwrap();
        let made = Machine::create(new, after(0), &rules(Preset::Instant.behaviour()));
        let card = score(&made.events, (0, 10), None);
        assert_eq!((card.cost_micros, card.unpriced), (0, vec!["huge".parse().unwrap()]));
    }
}
