//! The schedule: what a world does to machines at known instants, and tells them before.

use crate::cluster::Cluster;
use crate::draw::{DrawName, Draws, Purpose};
use crate::id::{MachineId, ScheduleId};
use crate::lifecycle::Cause;
use crate::machine::MachineData;
use crate::name::Code;
use crate::seed::Seed;
use crate::selector::Selector;
use crate::time::{Instant, Span};

crate::lifecycle::codes! {
    /// What is done to a machine.
    ScheduleKind {
        /// Its place is taken back: it is terminated.
        SpotTermination = 1 "SPOT_TERMINATION",
        /// Its host is maintained, and it is moved to another one.
        MaintenanceMigration = 2 "MAINTENANCE_MIGRATION",
        /// Its host is maintained, and it is stopped.
        MaintenanceStop = 3 "MAINTENANCE_STOP",
        /// Its region is out: it fails, and is repaired when the region is back. Meanwhile the region refuses what is asked of it.
        RegionOutage = 4 "REGION_OUTAGE",
    }
}

impl ScheduleKind {
    /// What brings it about.
    pub const fn cause(self) -> Cause {
        match self {
            Self::SpotTermination => Cause::Preemption,
            Self::MaintenanceMigration => Cause::Migration,
            Self::MaintenanceStop => Cause::Maintenance,
            Self::RegionOutage => Cause::Outage,
        }
    }
}

/// An entry of a schedule, as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScheduleRule {
    /// What is done.
    pub kind: ScheduleKind,
    /// To which machines: those that it selects when they are told. For an outage, regions and nothing else.
    pub selector: Selector,
    /// No machine is reached before. An outage begins then.
    pub not_before: Instant,
    /// Every machine is reached by then, each at an instant that is drawn for it. An outage ends then.
    pub deadline: Instant,
    /// How long before `not_before` machines are told. An outage tells nobody before.
    pub notice: Span,
}

/// The part of an entry in which a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleField {
    /// `selector`.
    Selector,
    /// `not_before`.
    NotBefore,
    /// `deadline`.
    Deadline,
    /// `notice`.
    Notice,
}

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidSchedule {
    /// Where the mistake is.
    pub field: ScheduleField,
    /// What it is.
    pub why: &'static str,
}

impl ScheduleRule {
    /// Checks an entry that is to hold from `from` on.
    ///
    /// # Errors
    /// With the first mistake.
    pub fn check(&self, from: Instant) -> Result<(), InvalidSchedule> {
        let is_outage = self.kind == ScheduleKind::RegionOutage;
        let of_regions = Selector { regions: self.selector.regions.clone(), ..Selector::default() };
        let (field, why) = if is_outage && (self.selector.regions.is_empty() || self.selector != of_regions) {
            (ScheduleField::Selector, "an outage is of regions, and of nothing else")
        } else if self.not_before < from {
            (ScheduleField::NotBefore, "it would begin in the past")
        } else if self.deadline >= Instant::MAX {
            (ScheduleField::Deadline, "it would end after the end of time")
        } else if self.deadline < self.not_before {
            (ScheduleField::Deadline, "it would end before it begins")
        } else if is_outage && self.deadline == self.not_before {
            (ScheduleField::Deadline, "an outage lasts for some time")
        } else if is_outage && self.notice > Span::ZERO {
            (ScheduleField::Notice, "an outage tells nobody before")
        } else {
            return Ok(());
        };
        Err(InvalidSchedule { field, why })
    }

    /// When machines are told, where it holds from `from` on.
    fn announced_at(&self, from: Instant) -> Instant {
        let before = self.not_before.millis().saturating_sub(self.notice.millis());
        Instant::from_millis(before).map_or(from, |before| before.max(from))
    }

    fn selects(&self, machine: &MachineData, cluster: Option<&Cluster>) -> bool {
        match cluster {
            Some(cluster) => self.selector.matches_event(machine, cluster),
            None => self.selector.matches_itself(machine),
        }
    }
}

/// An entry of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScheduleEntry {
    /// Its id.
    pub id: ScheduleId,
    /// What it says.
    pub rule: ScheduleRule,
    /// When machines are told.
    pub announced_at: Instant,
    /// Whether all were told, and it is looked at no more.
    pub told: bool,
}

/// What is going to be done to a machine, as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScheduledEvent {
    /// The entry of the schedule.
    pub entry: ScheduleId,
    /// What is done.
    pub kind: ScheduleKind,
    /// Not before this instant.
    pub not_before: Instant,
    /// By this instant. An outage ends then.
    pub deadline: Instant,
    /// At this instant, which is not told to a client.
    pub at: Instant,
}

/// The schedule of a world, the first posted first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Schedule(Vec<ScheduleEntry>);

impl Schedule {
    /// The most entries that a world has, with those that are over.
    pub const MAX: usize = 1_000;

    /// All entries, also those that are over.
    pub fn iter(&self) -> impl Iterator<Item = &ScheduleEntry> {
        self.0.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry with this id.
    pub fn get(&self, id: ScheduleId) -> Option<&ScheduleEntry> {
        self.0.iter().find(|entry| entry.id == id)
    }

    /// Adds an entry that holds from `from` on; gives it. The caller has checked it, and nobody was shown that instant.
    pub fn push(&mut self, rule: ScheduleRule, from: Instant, seed: Seed) -> &ScheduleEntry {
        let alike = |k: &u32| self.get(ScheduleId::of(seed, *k, from)).is_none();
        let id = ScheduleId::of(seed, (0..u32::MAX).find(alike).unwrap_or(u32::MAX), from);
        let announced_at = rule.announced_at(from);
        let at = self.0.len();
        self.0.push(ScheduleEntry { id, rule, announced_at, told: false });
        &self.0[at]
    }

    /// Takes out what this selects and is told to nobody before `from`; says whether there was any.
    pub fn remove(&mut self, which: impl Fn(&ScheduleEntry) -> bool, from: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.announced_at < from || !which(entry));
        self.0.len() < before
    }

    /// What is to be told by `now` and was not yet told to all.
    pub fn telling(&self, now: Instant) -> impl Iterator<Item = &ScheduleEntry> {
        self.0.iter().filter(move |entry| !entry.told && entry.announced_at <= now)
    }

    /// Notes that everybody was told what was to be told by `until`; says whether anything was.
    pub fn all_told(&mut self, until: Instant) -> bool {
        let mut any = false;
        for entry in self.0.iter_mut().filter(|entry| !entry.told && entry.announced_at <= until) {
            entry.told = true;
            any = true;
        }
        any
    }

    /// When machines are to be told next, or were and not all have been yet.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.iter().filter(|entry| !entry.told).map(|entry| entry.announced_at).min()
    }

    /// The outage that a region has at an instant: that which lasts longest.
    pub fn outage(&self, region: &Code, now: Instant) -> Option<&ScheduleEntry> {
        let is_out = |entry: &&ScheduleEntry| {
            let ScheduleRule { kind, selector, not_before, deadline, .. } = &entry.rule;
            let lasts = *not_before <= now && now < *deadline;
            *kind == ScheduleKind::RegionOutage && lasts && selector.regions.contains(region)
        };
        self.0.iter().filter(is_out).max_by_key(|entry| entry.rule.deadline)
    }

    /// What a machine is told first after its last event and up to `until`, and when: all of that instant. Until then nothing
    /// happens to it, so that it is selected as it is.
    pub(crate) fn told_first(
        &self,
        (machine, cluster): (&MachineData, Option<&Cluster>),
        until: Instant,
        draws: &Draws,
    ) -> Option<(Instant, Vec<ScheduledEvent>)> {
        if self.is_empty() || !machine.may_be_told() {
            return None;
        }
        let is_new = |entry: &&ScheduleEntry| entry.announced_at > machine.updated_at;
        let tells = || self.telling(until).filter(is_new).filter(|entry| entry.rule.selects(machine, cluster));
        let at = tells().map(|entry| entry.announced_at).min()?;
        let of_then = tells().filter(|entry| entry.announced_at == at);
        Some((at, of_then.map(|entry| entry.event_of(machine.id, draws)).collect()))
    }
}

impl ScheduleEntry {
    /// What it does to a machine.
    fn event_of(&self, machine: MachineId, draws: &Draws) -> ScheduledEvent {
        let ScheduleRule { kind, not_before, deadline, .. } = self.rule;
        let at = match kind {
            ScheduleKind::RegionOutage => not_before,
            _ => not_before.plus(Span::from_millis(self.drawn_of(machine, draws))),
        };
        ScheduledEvent { entry: self.id, kind, not_before, deadline, at }
    }

    /// How many milliseconds after `not_before` a machine is reached.
    fn drawn_of(&self, machine: MachineId, draws: &Draws) -> u64 {
        let window = self.rule.deadline.millis() - self.rule.not_before.millis();
        let name = DrawName { machine, ordinal: 0, purpose: Purpose::Schedule(self.id), attempt: 0 };
        if window == 0 { 0 } else { draws.draw(&name).below(window + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use crate::distribution::Distribution;
    use crate::event::{Change, MachineEvent, WorldRefusal, fold};
    use crate::fixtures::{START, at, new, seed, ten_seconds};
    use crate::id::ClusterId;
    use crate::lifecycle::MachineState;
    use crate::machine::{Machine, Outcome, Reason};
    use crate::request::{Command, Edit};
    use crate::strike::StruckDown;

    fn cluster(region: &str) -> Cluster {
        let (id, name) = (ClusterId::from_bytes([9; 12]), "web".parse().unwrap());
        Cluster { id, name, region_code: region.parse().unwrap(), version: 1, created_at: START, updated_at: START }
    }

    fn of_region(region: &str) -> Selector {
        Selector { regions: vec![region.parse().unwrap()], ..Selector::default() }
    }

    fn rule(kind: ScheduleKind, (not_before, deadline): (u64, u64)) -> ScheduleRule {
        let selector = if kind == ScheduleKind::RegionOutage { of_region("A") } else { Selector::default() };
        ScheduleRule { kind, selector, not_before: at(not_before), deadline: at(deadline), notice: Span::ZERO }
    }

    /// Every state takes ten seconds, and this schedule holds from the beginning.
    fn rules(schedule: impl IntoIterator<Item = ScheduleRule>) -> Rules {
        let mut rules = ten_seconds();
        for rule in schedule {
            rule.check(START).unwrap();
            rules.schedule.push(rule, START, seed());
        }
        rules
    }

    fn made(number: u8, rules: &Rules) -> Outcome {
        Machine::create_in(new(number), Some(&cluster("A")), START, rules)
    }

    /// A machine that is RUNNING from second 20 on, at a later one.
    fn seen(secs: u64, rules: &Rules) -> Machine {
        made(1, rules).machine.settle_in(Some(&cluster("A")), at(secs), rules).machine
    }

    fn shown(machine: &Machine) -> (MachineState, Option<Reason>, usize) {
        (machine.state, machine.reason, machine.scheduled.len())
    }

    #[test]
    fn a_spot_machine_is_told_and_then_terminated() {
        let told_before = ScheduleRule { notice: Span::from_secs(20), ..rule(ScheduleKind::SpotTermination, (60, 60)) };
        let rules = rules([told_before]);
        assert_eq!(shown(&seen(39, &rules)), (MachineState::Running, None, 0));
        assert_eq!(shown(&seen(40, &rules)), (MachineState::Running, None, 1));
        assert_eq!(seen(59, &rules).wakes_at(), Some(at(60)));
        assert_eq!(shown(&seen(60, &rules)), (MachineState::Terminating, Some(Reason::Preempted), 0));
        let ended = seen(70, &rules);
        assert_eq!(shown(&ended), (MachineState::Terminated, Some(Reason::Preempted), 0));
        assert!(!ended.deleted, "its record stays readable");
    }

    #[test]
    fn maintenance_moves_it_or_stops_it() {
        let moved = rules([rule(ScheduleKind::MaintenanceMigration, (60, 60))]);
        assert_eq!(shown(&seen(60, &moved)), (MachineState::Migrating, Some(Reason::Migrated), 0));
        assert_eq!(seen(70, &moved).state, MachineState::Running);
        let stopped = rules([rule(ScheduleKind::MaintenanceStop, (60, 60))]);
        assert_eq!(shown(&seen(60, &stopped)), (MachineState::Stopping, Some(Reason::Maintained), 0));
        assert_eq!(seen(70, &stopped).state, MachineState::Stopped);
    }

    #[test]
    fn who_drains_in_time_sees_nothing_worse() {
        for kind in [ScheduleKind::SpotTermination, ScheduleKind::MaintenanceMigration, ScheduleKind::MaintenanceStop] {
            let rules = rules([ScheduleRule { notice: Span::from_secs(30), ..rule(kind, (60, 60)) }]);
            let told = seen(31, &rules);
            assert_eq!(told.scheduled.len(), 1);
            let stopped = told.request_in(&Command::Stop.into(), Some(&cluster("A")), at(32), &rules).unwrap().machine;
            let later = stopped.settle_in(Some(&cluster("A")), at(600), &rules);
            assert_eq!(shown(&later.machine), (MachineState::Stopped, None, 0), "{kind}");
            assert!(matches!(later.events.last(), Some(MachineEvent { change: Change::CameDue { .. }, .. })));
        }
    }

    #[test]
    fn each_machine_is_reached_at_an_instant_of_its_own() {
        let rules = rules([rule(ScheduleKind::MaintenanceStop, (60, 120))]);
        let reached: Vec<_> = (1..40)
            .map(|number| {
                let machine = made(number, &rules).machine.settle_in(Some(&cluster("A")), at(60), &rules).machine;
                assert_eq!((machine.scheduled[0].not_before, machine.scheduled[0].deadline), (at(60), at(120)));
                machine.scheduled[0].at
            })
            .collect();
        assert!(reached.iter().all(|instant| (at(60)..=at(120)).contains(instant)));
        assert!(reached.iter().min() < Some(&at(70)) && reached.iter().max() > Some(&at(110)), "{reached:?}");
    }

    #[test]
    fn a_region_fails_and_is_repaired_when_it_is_back() {
        let rules = rules([rule(ScheduleKind::RegionOutage, (60, 100))]);
        assert_eq!(shown(&seen(60, &rules)), (MachineState::Failed, Some(Reason::RegionOutage), 0));
        assert_eq!(seen(99, &rules).state, MachineState::Failed);
        assert_eq!(shown(&seen(100, &rules)), (MachineState::Repairing, Some(Reason::UnderRepair), 0));
        assert_eq!(shown(&seen(110, &rules)), (MachineState::Running, Some(Reason::Repaired), 0));
        let elsewhere = made(1, &rules).machine.settle_in(Some(&cluster("B")), at(60), &rules);
        assert_eq!(elsewhere.machine.state, MachineState::Running);
    }

    #[test]
    fn what_had_failed_before_an_outage_is_not_repaired_in_it() {
        let mut rules = rules([rule(ScheduleKind::RegionOutage, (60, 100))]);
        let mut behaviour = rules.behaviour.at(START).clone();
        behaviour.starting.fail = crate::Odds::ALWAYS;
        behaviour.repair_after = Some(Distribution::Fixed { value: Span::from_secs(50) });
        rules.behaviour = crate::Timeline::new(behaviour);
        assert_eq!((seen(60, &rules).state, seen(99, &rules).state), (MachineState::Failed, MachineState::Failed));
        assert_eq!(seen(100, &rules).state, MachineState::Repairing);
    }

    #[test]
    fn a_region_that_is_out_refuses_what_is_asked() {
        let rules = rules([rule(ScheduleKind::RegionOutage, (60, 100))]);
        let (web, down) =
            (cluster("A"), Box::new(StruckDown::Outage { region_code: "A".parse().unwrap(), until: at(100) }));
        let failed = seen(60, &rules);
        let started = failed.clone().request_in(&Command::Start.into(), Some(&web), at(61), &rules).unwrap();
        let refused = Change::Refused { cause: Cause::Start, why: WorldRefusal::RegionOutage };
        assert_eq!((started.struck_down, &started.events[0].change), (Some(down.clone()), &refused));
        assert_eq!(started.machine.next, failed.next);
        let edit = Edit { protect_stop: Some(true), ..Edit::default() };
        let edited = failed.clone().edit_in(&edit, Some(&web), at(61), &rules).unwrap();
        assert_eq!((edited.struck_down, edited.events.len()), (Some(down.clone()), 0));
        let deleted = failed.clone().delete_in(Some(&web), at(61), &rules).unwrap();
        assert_eq!((deleted.struck_down, deleted.machine.deleted), (Some(down), false));
        let back = failed.request_in(&Command::Reboot.into(), Some(&web), at(110), &rules).unwrap();
        assert_eq!((back.struck_down, back.machine.state), (None, MachineState::Rebooting));
        let mut out = rules;
        out.schedule = Schedule::default();
        out.schedule.push(rule(ScheduleKind::RegionOutage, (0, 100)), START, seed());
        let never = made(1, &out);
        assert!(never.struck_down.is_some() && fold(&never.events).unwrap().is_forgotten(START));
    }

    #[test]
    fn it_needs_no_order_and_is_looked_at_until_all_are_told() {
        let told_before = ScheduleRule { notice: Span::from_secs(20), ..rule(ScheduleKind::SpotTermination, (60, 60)) };
        let mut rules = rules([told_before.clone(), rule(ScheduleKind::MaintenanceStop, (40, 40)), told_before]);
        let whole = seen(600, &rules);
        let told = seen(40, &rules);
        assert_eq!(told.scheduled.len(), 2);
        assert_eq!(rules.schedule.telling(at(39)).count(), 0);
        assert!(rules.schedule.all_told(at(40)) && !rules.schedule.all_told(at(40)));
        assert_eq!(told.settle_in(Some(&cluster("A")), at(600), &rules).machine, whole);
        assert_eq!(seen(50, &rules).scheduled, [], "who was not there is not told later");
    }

    #[test]
    fn what_was_not_told_is_taken_out() {
        let mut schedule =
            rules([rule(ScheduleKind::MaintenanceStop, (60, 60)), rule(ScheduleKind::MaintenanceStop, (90, 90))])
                .schedule;
        assert_eq!(schedule.next_due(), Some(at(60)));
        assert!(schedule.remove(|_| true, at(61)));
        assert_eq!(schedule.len(), 1);
        assert!(!schedule.remove(|_| true, at(61)));
    }

    #[test]
    fn mistakes_are_told() {
        let of = |kind, times| rule(kind, times);
        let outage = of(ScheduleKind::RegionOutage, (60, 100));
        let stop = of(ScheduleKind::MaintenanceStop, (60, 100));
        let everywhere = ScheduleRule { selector: Selector::default(), ..outage };
        let of_names = Selector { name: Some("web-*".parse().unwrap()), ..of_region("A") };
        let wrong = [
            (everywhere, ScheduleField::Selector),
            (ScheduleRule { selector: of_names, ..outage.clone() }, ScheduleField::Selector),
            (ScheduleRule { notice: Span::from_secs(1), ..outage.clone() }, ScheduleField::Notice),
            (ScheduleRule { deadline: outage.not_before, ..outage }, ScheduleField::Deadline),
            (ScheduleRule { not_before: at(9), ..stop.clone() }, ScheduleField::NotBefore),
            (ScheduleRule { deadline: at(59), ..stop.clone() }, ScheduleField::Deadline),
            (ScheduleRule { deadline: Instant::MAX, ..stop.clone() }, ScheduleField::Deadline),
        ];
        for (rule, field) in wrong {
            assert_eq!(rule.check(at(10)).unwrap_err().field, field, "{rule:?}");
        }
        assert_eq!(stop.check(at(60)), Ok(()));
    }
}
