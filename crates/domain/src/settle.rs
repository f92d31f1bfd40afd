//! Settling: bringing a machine from its last known moment to now.

use crate::behaviour::Behaviour;
use crate::cluster::Cluster;
use crate::distribution::exponential;
use crate::draw::{Draw, DrawName, Purpose};
use crate::effect::Effect;
use crate::event::{Change, Entered, MachineEvent};
use crate::lifecycle::{self, Cause, MachineState};
use crate::machine::{Machine, MachineData, Outcome, Reason, Step, StepKind};
use crate::rules::Rules;
use crate::schedule::{ScheduleKind, ScheduledEvent};
use crate::strike::Struck;
use crate::time::{Instant, Span};

/// More happened to a machine than was to be walked through at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} things happened to the machine since it was last settled")]
pub struct TooManySteps {
    /// The bound that was met.
    pub limit: usize,
}

impl Machine {
    /// Lets everything happen that was due up to `now`.
    ///
    /// Settling is pure and needs no order: `settle(settle(m, t1), t2) == settle(m, t2)` for all t1 ≤ t2. What was due has
    /// its due time as its instant. The cost is the number of things that happened, not the time that passed, and it has
    /// no bound; a server uses [`Machine::settle_within`].
    ///
    /// `changed` of the outcome says whether anything happened.
    ///
    /// ```
    /// # use cloudm_domain::*;
    /// # fn created(rules: &Rules) -> Machine {
    /// #     let new = NewMachine { id: MachineId::from_bytes([1; 12]), cluster_id: ClusterId::from_bytes([2; 12]),
    /// #         name: "web-1".parse().unwrap(), machine_type: "small".parse().unwrap(), tags: Tags::default(),
    /// #         protection: Protection::default(), start: true };
    /// #     Machine::create(new, Instant::DEFAULT_START, rules).machine
    /// # }
    /// let rules = Rules::new(Seed::new(1)?, Preset::Realistic.behaviour());
    /// let machine = created(&rules); // in PROVISIONING
    /// let after = |secs| Instant::DEFAULT_START.plus(Span::from_secs(secs));
    ///
    /// let seen = machine.clone().settle(after(20), &rules).machine;
    /// assert_eq!(seen.settle(after(600), &rules).machine, machine.settle(after(600), &rules).machine);
    /// # Ok::<(), InvalidSeed>(())
    /// ```
    pub fn settle(self, now: Instant, rules: &Rules) -> Outcome {
        self.settle_in(None, now, rules)
    }

    /// As [`Machine::settle`], for a machine of a cluster that a schedule may select by its region or its name.
    ///
    /// The cluster is as it was when machines were told what is told by `now`: whoever moves or renames it settles its
    /// machines before.
    pub fn settle_in(self, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> Outcome {
        self.settle_at_most(usize::MAX, cluster, now, rules)
    }

    /// Lets at most `limit` things happen that were due up to `now`, the earliest first: as settling to an earlier instant
    /// would; what comes with the last of them may come on top, as faults that match. More may be due still.
    pub fn settle_at_most(self, limit: usize, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> Outcome {
        let mut machine = self;
        let mut events = Vec::new();
        while events.len() < limit
            && let Some(due) = machine.what_is_due(cluster, now, rules)
        {
            machine.step(due, rules, &mut events);
        }
        Outcome { machine, changed: !events.is_empty(), events, struck_down: None }
    }

    /// Settles as [`Machine::settle`] does, but gives up after `limit` things that happened.
    ///
    /// # Errors
    /// When there was more; the machine is never shown half way.
    pub fn settle_within(
        self,
        limit: usize,
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &Rules,
    ) -> Result<Outcome, TooManySteps> {
        let outcome = self.settle_at_most(limit, cluster, now, rules);
        if outcome.machine.is_due(cluster, now, rules) { Err(TooManySteps { limit }) } else { Ok(outcome) }
    }

    /// Whether something is due at `now` that was not yet let happen.
    pub fn is_due(&self, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> bool {
        self.what_is_due(cluster, now, rules).is_some()
    }

    /// What happens first of all that is due at `now`. At one instant a machine is told first, then what it was told comes
    /// due, then it goes on by itself: nobody may have met it at that instant before it was told.
    fn what_is_due(&self, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> Option<Due> {
        let own = self.due_step(now);
        let scheduled = self.next_scheduled().filter(|event| event.at <= now).copied();
        let comes = scheduled.map(|event| event.at).into_iter().chain(own.map(|step| step.at)).min();
        let until = comes.map_or(now, |at| at.min(now));
        if let Some((at, told)) = rules.schedule.told_first((self, cluster), until, &rules.draws) {
            return Some(Due::Told(at, told));
        }
        match (scheduled, own) {
            (Some(event), own) if own.is_none_or(|step| event.at <= step.at) => Some(Due::Scheduled(event)),
            (_, own) => own.and_then(|step| Some(Due::Own(step.at, self.entered_by(step)?))),
        }
    }

    /// What is due at `now`. At the end of time nothing is, for there no chain would end.
    fn due_step(&self, now: Instant) -> Option<Step> {
        let due = |step: &Step| step.at <= now && step.at < Instant::MAX && step.kind != StepKind::Forget;
        self.next.filter(due)
    }

    /// Lets happen what is due.
    fn step(&mut self, due: Due, rules: &Rules, events: &mut Vec<MachineEvent>) {
        match due {
            Due::Told(at, told) => {
                events.extend(told.into_iter().map(|event| self.happen(at, Change::Announced(event))));
            }
            Due::Scheduled(event) => self.come_due(event, rules, events),
            Due::Own(at, entered) => self.enter((at, entered), None, rules, events),
        }
    }

    /// Lets come due what it was told. In a state in which that is not done, nothing more happens: it has drained in time.
    fn come_due(&mut self, event: ScheduledEvent, rules: &Rules, events: &mut Vec<MachineEvent>) {
        let ScheduledEvent { kind, at, deadline, .. } = event;
        let repair = (kind == ScheduleKind::RegionOutage).then_some(Step { at: deadline, kind: StepKind::Repair });
        let next = repair.filter(|_| self.state == MachineState::Failed);
        events.push(self.happen(at, Change::CameDue { event, next }));
        if let Some(row) = lifecycle::transition(kind.cause(), self.state, false, false) {
            let state = row.via.first().copied().unwrap_or(row.to);
            let (cause, to) = (row.cause, row.to);
            self.enter(
                (at, Entered { state, cause, to, next: repair, reason: None, machine_type: None }),
                None,
                rules,
                events,
            );
        }
    }

    /// The state that a step leads to.
    fn entered_by(&self, step: Step) -> Option<Entered> {
        let (state, cause, to) = match step.kind {
            StepKind::Forget => return None,
            StepKind::Fail => (MachineState::Failed, Cause::Failure, MachineState::Failed),
            StepKind::Repair => (MachineState::Repairing, Cause::Repair, MachineState::Running),
            StepKind::Proceed => {
                let change = self.in_progress.as_ref()?;
                (lifecycle::state_after(change.cause, self.state, change.to), change.cause, change.to)
            }
        };
        let resize = self.in_progress.as_ref().and_then(|change| change.machine_type.clone());
        Some(Entered { state, cause, to, next: None, reason: None, machine_type: resize })
    }

    /// Enters a state at `at`: draws what happens next, or lets a fault decide it, and finds the reason.
    pub(crate) fn enter(
        &mut self,
        (at, mut entered): (Instant, Entered),
        effect: Option<&Effect>,
        rules: &Rules,
        events: &mut Vec<MachineEvent>,
    ) {
        let mut effect = effect;
        if effect.is_none() && !rules.faults.is_empty() {
            let Struck { told, by } = rules.faults.on_state(self, entered.state, at, &rules.draws);
            events.extend(told.into_iter().map(|change| self.happen(at, change)));
            effect = by.map(|fault| &fault.rule.effect);
        }
        entered.reason = reason(entered.cause, self.state, entered.state);
        entered.machine_type = entered.machine_type.filter(|_| entered.state == MachineState::Updating);
        let entering = Entering { ordinal: self.ordinal + 1, attempt: self.attempt, at, state: entered.state };
        entered.next = entered.next.or_else(|| next_step(self, entering, rules, effect));
        events.push(self.happen(at, Change::Entered(entered)));
    }
}

/// Something that is due.
enum Due {
    /// It is told what is going to be done to it.
    Told(Instant, Vec<ScheduledEvent>),
    /// What it was told is done.
    Scheduled(ScheduledEvent),
    /// It goes on by itself.
    Own(Instant, Entered),
}

/// The entering of a state.
#[derive(Clone, Copy)]
struct Entering {
    /// How many states the machine has entered, with this one.
    ordinal: u32,
    /// After how many refusals.
    attempt: u32,
    at: Instant,
    state: MachineState,
}

impl MachineData {
    /// Decides what happens next to a machine that is being made in a cluster; gives the faults that matched.
    pub(crate) fn draw_first<'a>(&mut self, cluster: Option<&Cluster>, rules: &'a Rules) -> Struck<'a> {
        let (at, state) = (self.created_at, self.state);
        let mut struck = Struck::default();
        if !rules.faults.is_empty() {
            struck = rules.faults.on_operation((self, cluster), (Cause::Create, state), at, &rules.draws);
            if struck.by.is_none() {
                let of_state = rules.faults.on_state(self, state, at, &rules.draws);
                struck.told.extend(of_state.told);
                struck.by = of_state.by;
            }
        }
        let entering = Entering { ordinal: self.ordinal, attempt: 0, at, state };
        self.next = next_step(self, entering, rules, struck.by.map(|fault| &fault.rule.effect));
        struck
    }
}

fn reason(cause: Cause, from: MachineState, state: MachineState) -> Option<Reason> {
    match cause {
        Cause::Failure if from == MachineState::Running => Some(Reason::Crashed),
        Cause::Failure => Some(Reason::TransitionFailed),
        Cause::Repair if state.is_active() => Some(Reason::UnderRepair),
        Cause::Repair => Some(Reason::Repaired),
        Cause::Migration => Some(Reason::Migrated),
        Cause::Preemption => Some(Reason::Preempted),
        Cause::Maintenance => Some(Reason::Maintained),
        Cause::Outage => Some(Reason::RegionOutage),
        _ => None,
    }
}

/// What happens by itself to a machine that enters a state, by the rules of that instant and as a fault has it.
fn next_step(machine: &MachineData, entering: Entering, rules: &Rules, effect: Option<&Effect>) -> Option<Step> {
    let Entering { ordinal, attempt, at, state } = entering;
    let behaviour = rules.behaviour.at(at);
    let after = |span: Span, kind| Some(Step { at: at.plus(span), kind });
    let draw = || rules.draws.draw(&DrawName { machine: machine.id, ordinal, purpose: Purpose::NextStep, attempt });
    match state {
        MachineState::Running => {
            if let Some(effect) = effect {
                return effect.of(None, || Span::ZERO).and_then(|(span, kind)| after(span, kind));
            }
            let mean = behaviour.mean_time_between_failures?;
            let span = Span::from_millis(libm::round(exponential(mean, &draw())) as u64);
            after(span.max(Behaviour::SHORTEST_FAILURE_CYCLE), StepKind::Fail)
        }
        MachineState::Failed => {
            let span = behaviour.repair_after?.sample(&draw());
            after(span.max(Behaviour::SHORTEST_FAILURE_CYCLE), StepKind::Repair)
        }
        MachineState::Terminated if machine.deleted => after(Span::ZERO, StepKind::Forget),
        MachineState::Terminated => after(*rules.retention.at(at), StepKind::Forget),
        _ => {
            let ends = active_step(behaviour, state, draw);
            let duration = || behaviour.timing(state).map_or(Span::ZERO, |timing| timing.duration.sample(&draw()));
            let ends = effect.map_or(ends, |effect| effect.of(ends, duration));
            ends.and_then(|(span, kind)| after(span, kind))
        }
    }
}

/// How an active state ends and after how long; nothing where it sticks, or at rest.
fn active_step(behaviour: &Behaviour, state: MachineState, draw: impl Fn() -> Draw) -> Option<(Span, StepKind)> {
    let timing = behaviour.timing(state)?;
    let (stick, fail) = (timing.stick.as_millionths(), timing.fail.as_millionths());
    let draw = draw();
    match draw.millionth() {
        n if n < stick => None,
        n if n - stick < fail && state.may_fail() => Some((timing.duration.sample(&draw), StepKind::Fail)),
        _ => Some((timing.duration.sample(&draw), StepKind::Proceed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Odds, Timing};

    /// How STARTING ends with these odds, in millionths, by the least draw of a millionth.
    fn ends(stick: u32, fail: u32, millionth: u64) -> Option<StepKind> {
        let timing = Timing { stick: Odds::millionths(stick), fail: Odds::millionths(fail), ..Timing::INSTANT };
        let word = (u128::from(millionth) << 64).div_ceil(1_000_000) as u64;
        let draw = || Draw::of([word, 0, 0, 0]);
        active_step(&Behaviour::uniform(timing), MachineState::Starting, draw).map(|(_, kind)| kind)
    }

    #[test]
    fn odds_are_exact_to_the_millionth() {
        use StepKind::{Fail, Proceed};
        assert_eq!([0, 999_999].map(|draw| ends(0, 0, draw)), [Some(Proceed); 2], "never is never");
        assert_eq!([0, 999_999].map(|draw| ends(1_000_000, 0, draw)), [None; 2], "always is always");
        assert_eq!([0, 999_999].map(|draw| ends(0, 1_000_000, draw)), [Some(Fail); 2]);
        let drawn = [0, 9, 10, 29, 30].map(|draw| ends(10, 20, draw));
        assert_eq!(drawn, [None, None, Some(Fail), Some(Fail), Some(Proceed)]);
    }
}
