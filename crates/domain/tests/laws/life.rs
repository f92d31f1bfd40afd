//! Random lives: what is done to a machine and when, under which rules.

use std::sync::LazyLock;

use cloudm_domain::{
    Behaviour, Bounds, Cause, Change, Cluster, ClusterId, Command, Distribution, Edit, Effect, Entered, FaultOn,
    FaultRefusal, FaultRule, Instant, Machine, MachineEvent, MachineId, MachineState, NewMachine, Odds, Outcome,
    Preset, Protection, Request, Rules, ScheduleKind, ScheduleRule, Seed, Selector, Span, Tags, Timing, WorldRefusal,
};
use proptest::prelude::*;

pub(crate) const START: Instant = Instant::DEFAULT_START;

/// More than happens to a machine in a whole life here, which is at most 70 hours, with two events in 30 seconds.
pub(crate) const MOST: usize = 20_000;

/// Something that is done to a machine.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Ask(Request),
    Edit(Edit),
    Delete,
    /// The world refuses a START, whatever state it is in.
    Refuse,
}

pub(crate) fn acts() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        3 => Just(Command::Start),
        3 => Just(Command::Stop),
        2 => Just(Command::Reboot),
        2 => Just(Command::Suspend),
        2 => Just(Command::Resume),
        2 => prop_oneof![Just("small"), Just("large")].prop_map(|code| Command::Resize(code.parse().unwrap())),
        1 => Just(Command::Terminate),
    ];
    let protected = (prop::option::of(any::<bool>()), prop::option::of(any::<bool>()));
    let edit = (labels(), protected).prop_map(|(edit, (stop, terminate))| {
        Act::Edit(Edit { protect_stop: stop, protect_terminate: terminate, ..edit })
    });
    prop_oneof![
        20 => (command, any::<bool>()).prop_map(|(command, force)| Act::Ask(Request { command, force })),
        3 => edit,
        1 => Just(Act::Delete),
        2 => Just(Act::Refuse),
    ]
}

/// Edits of what no decision depends on.
pub(crate) fn labels() -> impl Strategy<Value = Edit> {
    let tags = |number: u8| Tags::new((0..number % 4).map(|i| format!("tag:{i}").parse().unwrap()).collect()).unwrap();
    (prop::option::of(0..9u8), prop::option::of(any::<u8>())).prop_map(move |(name, tag)| Edit {
        name: name.map(|name| format!("name-{name}").parse().unwrap()),
        tags: tag.map(tags),
        ..Edit::default()
    })
}

/// A life: acts, and the milliseconds before each.
pub(crate) type Life = Vec<(u64, Act)>;

pub(crate) fn lives() -> impl Strategy<Value = Life> {
    prop::collection::vec((prop_oneof![Just(0), 0..2_000u64, 0..10_000_000u64], acts()), 0..25)
}

pub(crate) fn behaviours() -> impl Strategy<Value = Behaviour> {
    let odds = || prop_oneof![Just(0), Just(1_000_000), 0..400_000u32].prop_map(Odds::millionths);
    let bounds = Bounds::secs(0, 600);
    let distribution = prop_oneof![
        Just(Distribution::INSTANT),
        (0..400u64).prop_map(|secs| Distribution::Fixed { value: Span::from_secs(secs) }),
        Just(Distribution::Uniform { bounds }),
        Just(Distribution::Normal { mean: Span::from_secs(60), std_dev: Span::from_secs(60), bounds }),
        Just(Distribution::Lognormal { median: Span::from_secs(30), sigma: 1.0, bounds }),
        Just(Distribution::Exponential { mean: Span::from_secs(30), bounds }),
    ];
    let random = (distribution, odds(), odds(), any::<bool>(), any::<bool>()).prop_map(
        |(duration, fail, stick, crashes, repairs)| {
            let mut behaviour = Behaviour::uniform(Timing { duration, fail, stick });
            behaviour.mean_time_between_failures = crashes.then_some(Span::from_secs(3_000));
            // Seldom enough that a life of many hours stays a short test; `totality` has the shortest cycle there is.
            behaviour.repair_after = repairs.then_some(Distribution::Uniform { bounds: Bounds::secs(30, 600) });
            behaviour
        },
    );
    prop_oneof![
        1 => Just(Preset::Instant.behaviour()),
        1 => Just(Preset::Realistic.behaviour()),
        2 => Just(Preset::Flaky.behaviour()),
        4 => random,
    ]
}

/// Rules that make something go wrong: of all machines, for what a machine is called and where it is must not matter here.
fn fault_rules() -> impl Strategy<Value = FaultRule> {
    let span = || (0..600_000u64).prop_map(Span::from_millis);
    let effect = prop_oneof![
        Just(Effect::Refuse(FaultRefusal { code: "no".into(), status: 500 })),
        Just(Effect::Fail),
        prop::option::of(span()).prop_map(Effect::Stick),
        span().prop_map(|by| Effect::Delay(by.plus(Span::from_millis(1)))),
        span().prop_map(Effect::Crash),
    ];
    let odds = prop_oneof![Just(Odds::ALWAYS), (1..1_000_000u32).prop_map(Odds::millionths)];
    let limits = (0..3u32, prop::option::of(1..4u32));
    let aimed = effect.prop_flat_map(|effect| prop::sample::select(possible(&effect)));
    (aimed, odds, limits).prop_map(|(rule, probability, (after, times))| {
        // Each machine is made once.
        let after = if rule.on == FaultOn::Operation(Cause::Create) { 0 } else { after };
        FaultRule { after, times, probability, ..rule }
    })
}

/// The rules by which an effect can do something.
fn possible(effect: &Effect) -> Vec<FaultRule> {
    let operations = Cause::ALL.iter().copied().map(FaultOn::Operation);
    let states = MachineState::ALL.iter().copied().map(FaultOn::State);
    let rules = operations.chain(states).map(|on| FaultRule::new(on, effect.clone()));
    rules.filter(|rule| rule.check(START).is_ok()).collect()
}

/// Faults, from an instant on each, and for how many milliseconds, where they are removed.
type Troubles = Vec<(u64, Option<u64>, FaultRule)>;

fn troubles() -> impl Strategy<Value = Troubles> {
    let trouble = (0..5_000_000u64, prop::option::of(1..5_000_000u64), fault_rules());
    prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(trouble, 1..5)]
}

/// What holds at first and what holds later: up to three changes in the first hours.
pub(crate) type History = (Seed, Behaviour, Vec<(Instant, Behaviour)>);

pub(crate) fn histories_of_rules() -> impl Strategy<Value = History> {
    let changes = prop::collection::vec((1..5_000_000u64, behaviours()), 0..4);
    (0..=Seed::MAX, behaviours(), changes).prop_map(|(seed, first, changes)| {
        let mut from = START;
        let dated = changes.into_iter().map(|(after, behaviour)| {
            from = from.plus(Span::from_millis(after));
            (from, behaviour)
        });
        (Seed::new(seed).unwrap(), first, dated.collect())
    })
}

/// Entries of a schedule, from an instant on each.
fn plans() -> impl Strategy<Value = Vec<(u64, ScheduleRule)>> {
    let selector = prop_oneof![
        2 => Just(Selector::default()),
        1 => prop::sample::select(vec!["A", "B"]).prop_map(of_region),
        1 => Just(Selector { states: vec![MachineState::Running, MachineState::Failed], ..Selector::default() }),
    ];
    let times = (0..5_000_000u64, 1..1_000_000u64, 0..600_000u64, 0..600_000u64);
    let plan = (prop::sample::select(ScheduleKind::ALL), selector, times);
    let plan = plan.prop_map(|(kind, selector, (from, ahead, window, notice))| {
        let at = |after| START.plus(Span::from_millis(from + after));
        let is_outage = kind == ScheduleKind::RegionOutage;
        let selector = if is_outage { of_region("A") } else { selector };
        let notice = Span::from_millis(if is_outage { 0 } else { notice });
        (from, ScheduleRule { kind, selector, not_before: at(ahead), deadline: at(ahead + window + 1), notice })
    });
    prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(plan, 1..4)]
}

fn of_region(code: &str) -> Selector {
    Selector { regions: vec![code.parse().unwrap()], ..Selector::default() }
}

/// Rules with all their changes, with faults and a schedule.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    (unplanned_rules(), plans()).prop_map(|(mut rules, plans)| {
        let seed = Seed::new(1).unwrap();
        for (from, rule) in plans {
            let from = START.plus(Span::from_millis(from));
            rule.check(from).unwrap();
            rules.schedule.push(rule, from, seed);
        }
        rules
    })
}

/// Rules with all their changes, and with faults.
pub(crate) fn unplanned_rules() -> impl Strategy<Value = Rules> {
    (histories_of_rules(), troubles()).prop_map(|((seed, first, changes), troubles)| {
        let mut rules = Rules::new(seed, first);
        for (after, lasting, rule) in troubles {
            let from = START.plus(Span::from_millis(after));
            let id = rules.faults.push(rule, from, seed).id;
            if let Some(lasting) = lasting {
                rules.faults.remove(|fault| fault.id == id, from.plus(Span::from_millis(lasting)));
            }
        }
        for (from, behaviour) in changes {
            rules.behaviour.push(from, behaviour).unwrap();
        }
        rules
    })
}

/// The cluster of all machines.
pub(crate) static WEB: LazyLock<Cluster> = LazyLock::new(|| Cluster {
    id: ClusterId::from_bytes([9; 12]),
    name: "web".parse().unwrap(),
    region_code: "A".parse().unwrap(),
    version: 1,
    created_at: START,
    updated_at: START,
});

/// A machine and all that happened to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) machine: Machine,
    pub(crate) events: Vec<MachineEvent>,
}

impl Told {
    /// The machine with this number, which is to run if the number is even.
    pub(crate) fn new(number: u8, at: Instant, rules: &Rules) -> Self {
        let new = NewMachine {
            id: MachineId::from_bytes([number; 12]),
            cluster_id: WEB.id,
            name: format!("machine-{number}").parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start: number.is_multiple_of(2),
        };
        let Outcome { machine, events, .. } = Machine::create_in(new, Some(&WEB), at, rules);
        Self { machine, events }
    }

    pub(crate) fn act(&mut self, act: &Act, now: Instant, rules: &Rules) {
        let machine = self.machine.clone();
        let outcome = match act {
            Act::Ask(request) => machine.request_in(request, Some(&WEB), now, rules),
            Act::Delete => machine.delete_in(Some(&WEB), now, rules),
            Act::Edit(edit) => machine.edit_in(edit, Some(&WEB), now, rules),
            Act::Refuse => {
                let refused = (Cause::Start, WorldRefusal::InsufficientCapacity);
                Ok(machine.refuse(refused, Some(&WEB), now, rules))
            }
        };
        if let Ok(outcome) = outcome {
            self.take(outcome);
        }
    }

    pub(crate) fn settle(&mut self, now: Instant, rules: &Rules) {
        let outcome = self.machine.clone().settle_within(MOST, Some(&WEB), now, rules).unwrap();
        self.take(outcome);
    }

    fn take(&mut self, outcome: Outcome) {
        let count = outcome.events.len() as u64;
        assert_eq!(outcome.machine.version, self.machine.version + count, "a version counts events");
        self.machine = outcome.machine;
        self.events.extend(outcome.events);
    }

    /// A life from its creation on, and the instant of its last act.
    pub(crate) fn live(number: u8, life: &Life, rules: &Rules) -> (Self, Instant) {
        let mut told = Self::new(number, START, rules);
        let mut now = START;
        for (after, act) in life {
            now = now.plus(Span::from_millis(*after));
            told.act(act, now, rules);
        }
        (told, now)
    }

    /// The states it entered, and when.
    pub(crate) fn fate(&self) -> Vec<(Instant, Entered)> {
        let states = self.events.iter().filter_map(|event| match &event.change {
            Change::Entered(entered) => Some((event.at, entered.clone())),
            _ => None,
        });
        states.collect()
    }
}

/// Two instants after `from`, within some hours, in order.
pub(crate) fn later(from: Instant, a: u64, b: u64) -> (Instant, Instant) {
    let at = |millis| from.plus(Span::from_millis(millis));
    (at(a.min(b)), at(a.max(b)))
}
