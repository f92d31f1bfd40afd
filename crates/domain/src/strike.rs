//! Striking: which faults match what happens to a machine, and what they make of it.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::draw::{DrawName, Draws, Purpose};
use crate::effect::{Effect, EffectKind, FaultRefusal};
use crate::event::{Change, FaultMatch, MachineEvent};
use crate::fault::{Fault, FaultOn, FaultRule, FaultScope};
use crate::fleet::FleetOutcome;
use crate::id::FaultId;
use crate::lifecycle::{Cause, MachineState};
use crate::machine::{MachineData, StepKind};
use crate::name::Code;
use crate::seed::Seed;
use crate::time::{Instant, Span};

/// How often a fault has matched a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FaultCount {
    /// The fault.
    pub fault: FaultId,
    /// How often it matched, also where it let the match pass.
    pub matches: u32,
}

/// What refused a command that would be possible otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StruckDown {
    /// A fault.
    #[error("a fault of the world refuses it")]
    Fault {
        /// The fault.
        fault: FaultId,
        /// How the refusal looks to a client.
        refusal: FaultRefusal,
    },
    /// That the region is out.
    #[error("region '{region_code}' is out until {until}")]
    Outage {
        /// The region.
        region_code: Code,
        /// When it is back.
        until: Instant,
    },
}

impl StruckDown {
    /// What a fleet operation calls it.
    pub const fn outcome(&self) -> FleetOutcome {
        match self {
            Self::Fault { .. } => FleetOutcome::StruckDown,
            Self::Outage { .. } => FleetOutcome::RegionOutage,
        }
    }
}

/// The faults of a world, the first posted first, with those that were removed: a machine that is settled late still meets them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Faults {
    all: Vec<Fault>,
    /// How often those matched whose matches are counted for the whole world: no part of the rules, and what a command is decided on.
    #[cfg_attr(feature = "serde", serde(skip))]
    in_world: BTreeMap<FaultId, u64>,
}

/// What came of looking for faults.
#[derive(Debug, Default)]
pub(crate) struct Struck<'a> {
    /// What matched, as it is told in the history: at most one strikes, and that is the last.
    pub(crate) told: Vec<Change>,
    /// The fault that strikes.
    pub(crate) by: Option<&'a Fault>,
}

/// At what a fault is looked for.
struct Moment<'a> {
    machine: &'a MachineData,
    draws: &'a Draws,
    at: Instant,
}

impl Faults {
    /// The most faults that a world ever has, with those that were removed.
    pub const MAX: usize = 1_000;
    /// The most faults that hold, or are to, at a time.
    pub const MAX_AT_ONCE: usize = 100;

    /// Those that are not removed.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter().filter(|fault| !fault.removed)
    }

    /// Whether there never was one.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many there ever were.
    pub const fn ever(&self) -> usize {
        self.all.len()
    }

    /// Whether any that holds at `now` counts its matches for the whole world: a command is decided then on what [`Faults::recount`]
    /// was told, or [`Faults::note`], and holds where no other match was written meanwhile.
    pub fn count_in_world(&self, now: Instant) -> bool {
        self.all.iter().any(|fault| fault.rule.scope == FaultScope::World && fault.holds_at(now))
    }

    /// Takes how often faults matched in the whole world, as it is written.
    pub fn recount(&mut self, matches: impl IntoIterator<Item = (FaultId, u64)>) {
        self.in_world = matches.into_iter().collect();
    }

    /// Takes what these events tell of such matches; the next command is decided on it.
    ///
    /// ```
    /// use cloudm_domain::{Cause, Effect, FaultOn, FaultRefusal, FaultRule, FaultScope, Instant, Machine, NewMachine, Preset,
    ///     Protection, Rules, Seed, Tags};
    /// let seed = Seed::new(1)?;
    /// let refusal = FaultRefusal { code: "quota_exceeded".into(), status: 429 };
    /// let refuse = FaultRule::new(FaultOn::Operation(Cause::Create), Effect::Refuse(refusal));
    /// let after_two = FaultRule { scope: FaultScope::World, after: 2, ..refuse };
    /// let mut rules = Rules::new(seed, Preset::Instant.behaviour());
    /// rules.faults.push(after_two, Instant::DEFAULT_START, seed);
    /// let mut made = 0;
    /// for number in 1..=5 {
    ///     let new = NewMachine {
    ///         id: cloudm_domain::MachineId::from_bytes([number; 12]),
    ///         cluster_id: cloudm_domain::ClusterId::from_bytes([1; 12]),
    ///         name: format!("web-{number}").parse()?,
    ///         machine_type: "small".parse()?,
    ///         tags: Tags::default(),
    ///         protection: Protection::default(),
    ///         start: true,
    ///     };
    ///     let outcome = Machine::create(new, Instant::DEFAULT_START, &rules);
    ///     rules.faults.note(&outcome.events);
    ///     made += u8::from(outcome.struck_down.is_none());
    /// }
    /// assert_eq!(made, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note(&mut self, events: &[MachineEvent]) {
        for told in events.iter().filter_map(|event| event.change.fault_match()) {
            if let FaultMatch { fault, number: Some(number), .. } = told {
                self.in_world.insert(fault, number);
            }
        }
    }

    /// The fault with this id, unless it was removed.
    pub fn get(&self, id: FaultId) -> Option<&Fault> {
        self.iter().find(|fault| fault.id == id)
    }

    /// Adds a fault that holds from `from` on, or when it says; gives it. The caller has checked it.
    pub fn push(&mut self, rule: FaultRule, from: Instant, seed: Seed) -> &Fault {
        let id = FaultId::of(seed, u32::try_from(self.all.len()).unwrap_or(u32::MAX), from);
        let from = rule.active_from.map_or(from, |later| later.max(from));
        let until = rule.active_until;
        let at = self.all.len();
        self.all.push(Fault { id, rule, from, until, removed: false });
        &self.all[at]
    }

    /// Lets faults hold no more from `from` on; says whether there were any.
    pub fn remove(&mut self, which: impl Fn(&Fault) -> bool, from: Instant) -> bool {
        let mut any = false;
        for fault in self.all.iter_mut().filter(|fault| !fault.removed && which(fault)) {
            fault.removed = true;
            fault.until = Some(fault.until.map_or(from, |until| until.min(from)));
            any = true;
        }
        any
    }

    /// Those on requests that hold at an instant and match a request.
    pub fn on_request<'a>(
        &'a self,
        (method, path): (&'a str, &'a str),
        now: Instant,
    ) -> impl Iterator<Item = &'a Fault> {
        let matches = move |fault: &&Fault| match &fault.rule.on {
            FaultOn::Request(pattern) => fault.holds_at(now) && pattern.matches(method, path),
            _ => false,
        };
        self.iter().filter(matches)
    }

    /// Whether a fault on requests is there.
    pub fn look_at_requests(&self) -> bool {
        self.iter().any(|fault| matches!(fault.rule.on, FaultOn::Request(_)))
    }

    /// What strikes a machine that enters a state.
    pub(crate) fn on_state(
        &self,
        machine: &MachineData,
        state: MachineState,
        at: Instant,
        draws: &Draws,
    ) -> Struck<'_> {
        let fits = |rule: &FaultRule| rule.on == FaultOn::State(state) && rule.selector.matches_itself(machine);
        self.strike(fits, &Moment { machine, draws, at })
    }

    /// What strikes an operation on a machine that makes it enter a state.
    pub(crate) fn on_operation(
        &self,
        (machine, cluster): (&MachineData, Option<&Cluster>),
        (cause, state): (Cause, MachineState),
        at: Instant,
        draws: &Draws,
    ) -> Struck<'_> {
        let selects = |rule: &FaultRule| match cluster {
            Some(cluster) => rule.selector.matches_event(machine, cluster),
            None => rule.selector.matches_itself(machine),
        };
        let possible = |kind: EffectKind| kind == EffectKind::Refuse || kind.is_possible_in(state);
        let fits =
            |rule: &FaultRule| rule.on == FaultOn::Operation(cause) && possible(rule.effect.kind()) && selects(rule);
        self.strike(fits, &Moment { machine, draws, at })
    }

    fn strike(&self, fits: impl Fn(&FaultRule) -> bool, moment: &Moment<'_>) -> Struck<'_> {
        let mut struck = Struck::default();
        for fault in self.all.iter().filter(|fault| fault.holds_at(moment.at) && fits(&fault.rule)) {
            let before = self.matches_before(fault, moment.machine);
            if fault.is_spent_after(before) || !moment.draws_it(fault) {
                continue;
            }
            let strikes = before >= fault.rule.after.into();
            let effect = strikes.then(|| fault.rule.effect.kind());
            struck.told.push(match fault.rule.scope {
                FaultScope::Machine => Change::FaultMatched { fault: fault.id, effect },
                FaultScope::World => Change::FaultMatchedInWorld { fault: fault.id, effect, number: before + 1 },
            });
            if strikes {
                struck.by = Some(fault);
                break;
            }
        }
        struck
    }
}

impl Faults {
    /// How many matches of a fault count where it meets a machine.
    fn matches_before(&self, fault: &Fault, machine: &MachineData) -> u64 {
        match fault.rule.scope {
            FaultScope::Machine => machine.matches_of(fault.id).into(),
            FaultScope::World => self.in_world.get(&fault.id).copied().unwrap_or_default(),
        }
    }
}

impl Moment<'_> {
    /// Whether it is drawn that a fault matches.
    fn draws_it(&self, fault: &Fault) -> bool {
        if fault.rule.is_certain() {
            return true;
        }
        let name = DrawName {
            machine: self.machine.id,
            ordinal: self.machine.ordinal,
            purpose: Purpose::Fault(fault.id),
            attempt: self.machine.attempt,
        };
        self.draws.draw(&name).millionth() < fault.rule.probability.as_millionths()
    }
}

impl MachineData {
    /// How often a fault has matched it.
    pub fn matches_of(&self, fault: FaultId) -> u32 {
        self.faults.iter().find(|count| count.fault == fault).map_or(0, |count| count.matches)
    }

    pub(crate) fn count_match(&mut self, fault: FaultId) {
        match self.faults.iter_mut().find(|count| count.fault == fault) {
            Some(count) => count.matches = count.matches.saturating_add(1),
            None => self.faults.push(FaultCount { fault, matches: 1 }),
        }
    }
}

impl Effect {
    /// What it makes of how a state goes, which by itself ends like this, or not, and would take so long.
    pub(crate) fn of(
        &self,
        ends: Option<(Span, StepKind)>,
        duration: impl FnOnce() -> Span,
    ) -> Option<(Span, StepKind)> {
        match self {
            Self::Fail => Some((duration(), StepKind::Fail)),
            Self::Stick(lasting) => lasting.map(|span| (span, StepKind::Proceed)),
            Self::Delay(by) => ends.map(|(span, kind)| (span.plus(*by), kind)),
            Self::Crash(after) => Some((*after, StepKind::Fail)),
            Self::Refuse(_) | Self::Throttle(_) | Self::LoseReply | Self::SlowReply(_) => ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use crate::behaviour::Odds;
    use crate::event::{MachineEvent, WorldRefusal, fold};
    use crate::fixtures::{START, at, new, seed, ten_seconds};
    use crate::machine::{Machine, Outcome};
    use crate::request::Command;
    use crate::selector::SelectorField;

    /// Every state takes ten seconds, and these faults hold from the beginning.
    fn rules(faults: impl IntoIterator<Item = FaultRule>) -> Rules {
        let mut rules = ten_seconds();
        for rule in faults {
            rule.check(START).unwrap();
            rules.faults.push(rule, START, seed());
        }
        rules
    }

    fn running() -> Machine {
        Machine::create(new(1), START, &rules([])).machine.settle(at(20), &rules([])).machine
    }

    fn effects(events: &[MachineEvent]) -> Vec<Option<EffectKind>> {
        let told = events.iter().filter_map(|event| match &event.change {
            Change::FaultMatched { effect, .. } => Some(*effect),
            _ => None,
        });
        told.collect()
    }

    fn due(machine: &Machine) -> Option<(Instant, StepKind)> {
        machine.next.map(|step| (step.at, step.kind))
    }

    #[test]
    fn each_effect_does_to_a_state_what_it_says() {
        let entered = |effect: Effect| {
            let rules = rules([FaultRule::new(FaultOn::State(MachineState::Starting), effect)]);
            due(&Machine::create(new(1), START, &rules).machine.settle(at(10), &rules).machine)
        };
        let secs = Span::from_secs;
        assert_eq!(entered(Effect::Fail), Some((at(20), StepKind::Fail)));
        assert_eq!(entered(Effect::Stick(None)), None);
        assert_eq!(entered(Effect::Stick(Some(secs(60)))), Some((at(70), StepKind::Proceed)));
        assert_eq!(entered(Effect::Delay(secs(5))), Some((at(25), StepKind::Proceed)));
        assert_eq!(entered(Effect::Crash(secs(1))), Some((at(11), StepKind::Fail)));
    }

    #[test]
    fn a_running_machine_crashes_where_a_fault_has_it() {
        let crash = FaultRule::new(FaultOn::State(MachineState::Running), Effect::Crash(Span::from_secs(30)));
        let rules = rules([crash]);
        let machine = Machine::create(new(1), START, &rules).machine;
        let seen = [49, 50].map(|secs| machine.clone().settle(at(secs), &rules).machine.state);
        assert_eq!(seen, [MachineState::Running, MachineState::Failed]);
    }

    #[test]
    fn an_operation_is_refused_and_the_machine_stays() {
        let refusal = FaultRefusal { code: "no".into(), status: 500 };
        let rules = rules([FaultRule::new(FaultOn::Operation(Cause::Stop), Effect::Refuse(refusal.clone()))]);
        let before = running();
        let outcome = before.clone().request(&Command::Stop.into(), at(21), &rules).unwrap();
        assert!(
            matches!(outcome.struck_down.as_deref(), Some(StruckDown::Fault { refusal: told, .. }) if *told == refusal)
        );
        assert_eq!(effects(&outcome.events), [Some(EffectKind::Refuse)]);
        assert!(matches!(outcome.events[1].change, Change::Refused { cause: Cause::Stop, why: WorldRefusal::Fault }));
        let machine = outcome.machine;
        assert_eq!((machine.state, machine.attempt, due(&machine)), (before.state, 1, due(&before)));
        let other = before.request(&Command::Reboot.into(), at(21), &rules).unwrap();
        assert_eq!(effects(&other.events), [], "another operation");
    }

    #[test]
    fn an_operation_that_would_not_be_done_is_not_matched() {
        let rules = rules([FaultRule::new(FaultOn::Operation(Cause::Start), Effect::Fail)]);
        let found = running().request(&Command::Start.into(), at(21), &rules).unwrap();
        assert_eq!((found.changed, effects(&found.events)), (false, vec![]));
        assert!(running().request(&Command::Resume.into(), at(21), &rules).is_ok_and(|outcome| !outcome.changed));
    }

    #[test]
    fn a_creation_is_refused_and_the_machine_never_was() {
        let refusal = FaultRefusal { code: "no".into(), status: 500 };
        let rules = rules([FaultRule::new(FaultOn::Operation(Cause::Create), Effect::Refuse(refusal))]);
        let Outcome { events, struck_down, .. } = Machine::create(new(1), START, &rules);
        assert!(struck_down.is_some());
        assert!(matches!(events[0].change, Change::CreationRefused { why: WorldRefusal::Fault, .. }));
        assert_eq!((effects(&events), events.len()), (vec![Some(EffectKind::Refuse)], 2));
        let told = fold(&events).unwrap();
        assert!(told.is_forgotten(START) && !told.holds_name());
    }

    #[test]
    fn matches_are_counted_for_each_machine() {
        let fail = FaultRule::new(FaultOn::Operation(Cause::Reboot), Effect::Delay(Span::from_secs(5)));
        let rules = rules([FaultRule { after: 1, times: Some(2), ..fail }]);
        let fault = rules.faults.iter().next().unwrap().id;
        let (mut machine, mut seen) = (running(), Vec::new());
        for nth in 1..=5 {
            let outcome = machine.request(&Command::Reboot.into(), at(nth * 100), &rules).unwrap();
            seen.push(effects(&outcome.events));
            machine = outcome.machine;
        }
        let struck = vec![Some(EffectKind::Delay)];
        assert_eq!(seen, [vec![None], struck.clone(), struck, vec![], vec![]]);
        assert_eq!(machine.matches_of(fault), 3);
        let other = Machine::create(new(2), START, &rules).machine.settle(at(20), &rules).machine;
        assert_eq!(effects(&other.request(&Command::Reboot.into(), at(30), &rules).unwrap().events), [None]);
    }

    #[test]
    fn matches_in_the_world_are_counted_for_all_machines_as_far_as_they_are_noted() {
        let stop = FaultRule::new(FaultOn::Operation(Cause::Stop), Effect::Delay(Span::from_secs(5)));
        let mut rules = rules([FaultRule { scope: FaultScope::World, after: 1, times: Some(1), ..stop }]);
        let fault = rules.faults.iter().next().unwrap().clone();
        assert!(rules.faults.count_in_world(at(21)));
        let stopped = |number, rules: &Rules| {
            let machine = Machine::create(new(number), START, rules).machine.settle(at(20), rules).machine;
            machine.request(&Command::Stop.into(), at(21), rules).unwrap()
        };
        let told = |outcome: &Outcome| outcome.events.iter().find_map(|event| event.change.fault_match());
        let mut seen = Vec::new();
        for number in 1..=4 {
            let outcome = stopped(number, &rules);
            assert_eq!(told(&outcome), told(&stopped(number + 4, &rules)), "nothing is counted that is not noted");
            assert_eq!(outcome.machine.matches_of(fault.id), 0);
            rules.faults.note(&outcome.events);
            seen.push(told(&outcome).map(|told| (told.number, told.effect)));
        }
        assert_eq!(seen, [Some((Some(1), None)), Some((Some(2), Some(EffectKind::Delay))), None, None]);
        rules.faults.recount([(fault.id, 1)]);
        assert_eq!(told(&stopped(9, &rules)).and_then(|told| told.number), Some(2));
    }

    #[test]
    fn the_first_that_strikes_is_the_only_one_and_that_of_the_operation_comes_before_that_of_the_state() {
        let state = FaultRule::new(FaultOn::State(MachineState::Rebooting), Effect::Stick(None));
        let passing = FaultRule { after: 1, ..FaultRule::new(FaultOn::Operation(Cause::Reboot), Effect::Fail) };
        let delay = FaultRule::new(FaultOn::Operation(Cause::Reboot), Effect::Delay(Span::from_secs(5)));
        let rules = rules([state, passing, delay.clone(), delay]);
        let outcome = running().request(&Command::Reboot.into(), at(30), &rules).unwrap();
        assert_eq!(effects(&outcome.events), [None, Some(EffectKind::Delay)]);
        assert_eq!(due(&outcome.machine), Some((at(45), StepKind::Proceed)));
    }

    #[test]
    fn a_fault_holds_in_its_time_and_for_whom_it_selects() {
        let stop = || FaultRule::new(FaultOn::Operation(Cause::Stop), Effect::Stick(None));
        let told = |rules: &Rules, secs| {
            effects(&running().request(&Command::Stop.into(), at(secs), rules).unwrap().events).len()
        };
        let timed = FaultRule { active_from: Some(at(30)), active_until: Some(at(40)), ..stop() };
        let timed = rules([timed]);
        assert_eq!([29, 30, 39, 40].map(|secs| told(&timed, secs)), [0, 1, 1, 0]);
        let mut removed = rules([stop()]);
        assert!(removed.faults.remove(|_| true, at(50)) && !removed.faults.remove(|_| true, at(60)));
        assert_eq!([49, 50].map(|secs| told(&removed, secs)), [1, 0]);
        assert_eq!((removed.faults.iter().count(), removed.faults.ever()), (0, 1));
        for (field, text, fits) in [
            (SelectorField::Name, "web-*", 1),
            (SelectorField::Name, "db-*", 0),
            (SelectorField::State, "RUNNING,FAILED", 1),
            (SelectorField::Cluster, "090909090909090909090909", 1),
            (SelectorField::Region, "A", 0),
        ] {
            let mut selecting = stop();
            selecting.selector.add(field, text).unwrap();
            assert_eq!(told(&rules([selecting]), 30), fits, "{text}");
        }
    }

    #[test]
    fn odds_are_drawn_anew_for_each_operation() {
        let half = FaultRule {
            probability: Odds::millionths(500_000),
            ..FaultRule::new(FaultOn::Operation(Cause::Reboot), Effect::Delay(Span::from_secs(1)))
        };
        let rules = rules([half]);
        let mut machine = running();
        let mut struck = 0;
        for nth in 1..=200 {
            let outcome = machine.request(&Command::Reboot.into(), at(nth * 100), &rules).unwrap();
            struck += effects(&outcome.events).len();
            machine = outcome.machine;
        }
        assert!((70..130).contains(&struck), "{struck} of 200");
    }
}
