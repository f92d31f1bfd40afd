//! The laws of the architecture that are the domain's to keep, over random lives of machines.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use cloudm_domain::{
    Behaviour, Bounds, Change, ClusterId, Command, Distribution, Edit, FoldError, Instant, Machine, MachineEvent,
    MachineId, MachineState, NewMachine, Odds, Outcome, Preset, Protection, Request, Rules, Seed, Span, Tags, Timing,
    fold,
};
use proptest::prelude::*;

/// Something that is done to a machine.
#[derive(Debug, Clone)]
enum Act {
    Ask(Request),
    Edit(u8),
    Delete,
}

fn acts() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        3 => Just(Command::Start),
        3 => Just(Command::Stop),
        2 => Just(Command::Reboot),
        2 => Just(Command::Suspend),
        2 => Just(Command::Resume),
        2 => prop_oneof![Just("small"), Just("large")].prop_map(|code| Command::Resize(code.parse().unwrap())),
        1 => Just(Command::Terminate),
    ];
    prop_oneof![
        10 => (command, any::<bool>()).prop_map(|(command, force)| Act::Ask(Request { command, force })),
        2 => any::<u8>().prop_map(Act::Edit),
        1 => Just(Act::Delete),
    ]
}

/// A life: acts, and the milliseconds before each.
fn lives() -> impl Strategy<Value = Vec<(u64, Act)>> {
    prop::collection::vec((prop_oneof![Just(0), 0..2_000u64, 0..10_000_000u64], acts()), 0..25)
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
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
            behaviour.repair_after = repairs.then_some(duration);
            behaviour
        },
    );
    prop_oneof![prop::sample::select(Preset::ALL.to_vec()).prop_map(Preset::behaviour), random]
}

/// Rules that change up to three times in the first hours.
fn rules() -> impl Strategy<Value = Rules> {
    let changes = prop::collection::vec((1..5_000_000u64, behaviours()), 0..4);
    (0..=Seed::MAX, behaviours(), changes).prop_map(|(seed, first, changes)| {
        let mut rules = Rules::new(Seed::new(seed).unwrap(), first);
        let mut from = START;
        for (after, behaviour) in changes {
            from = from.plus(Span::from_millis(after));
            rules.behaviour.push(from, behaviour).unwrap();
        }
        rules
    })
}

const START: Instant = Instant::DEFAULT_START;

fn created(number: u8, rules: &Rules) -> Outcome {
    let new = NewMachine {
        id: MachineId::from_bytes([number; 12]),
        cluster_id: ClusterId::from_bytes([9; 12]),
        name: format!("machine-{number}").parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: number.is_multiple_of(2),
    };
    Machine::create(new, START, rules)
}

/// A machine and all that happened to it.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    machine: Machine,
    events: Vec<MachineEvent>,
}

impl Told {
    fn new(number: u8, rules: &Rules) -> Self {
        let Outcome { machine, events, .. } = created(number, rules);
        Self { machine, events }
    }

    fn act(&mut self, act: &Act, now: Instant, rules: &Rules) {
        let machine = self.machine.clone();
        let outcome = match act {
            Act::Ask(request) => machine.request(request, now, rules),
            Act::Delete => machine.delete(now, rules),
            Act::Edit(number) => {
                let edit = Edit { name: Some(format!("name-{number}").parse().unwrap()), ..Edit::default() };
                machine.edit(&edit, now, rules)
            }
        };
        if let Ok(Outcome { machine, events, .. }) = outcome {
            self.machine = machine;
            self.events.extend(events);
        }
    }

    fn settle(&mut self, now: Instant, rules: &Rules) {
        // No behaviour here makes more than an event a second for long; ten thousand are a bug.
        let outcome = self.machine.clone().settle_within(10_000, now, rules).unwrap();
        self.machine = outcome.machine;
        self.events.extend(outcome.events);
    }

    fn live(number: u8, life: &[(u64, Act)], rules: &Rules) -> (Self, Instant) {
        let mut told = Self::new(number, rules);
        let mut now = START;
        for (after, act) in life {
            now = now.plus(Span::from_millis(*after));
            told.act(act, now, rules);
        }
        (told, now)
    }
}

/// Two instants after `from`, within some hours.
fn later(from: Instant, a: u64, b: u64) -> (Instant, Instant) {
    let at = |millis| from.plus(Span::from_millis(millis));
    (at(a.min(b)), at(a.max(b)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Law 1, and law 4 with it: the rules change on the way.
    #[test]
    fn observation_changes_nothing(rules in rules(), life in lives(), a in 0..5_000_000u64, b in 0..5_000_000u64) {
        let (told, now) = Told::live(2, &life, &rules);
        let (early, late) = later(now, a, b);
        let (mut twice, mut once) = (told.clone(), told);
        twice.settle(early, &rules);
        twice.settle(early, &rules);
        twice.settle(late, &rules);
        once.settle(late, &rules);
        prop_assert_eq!(twice, once);
    }

    /// Law 1 between commands: a machine that is looked at all the time lives as one that nobody looked at.
    #[test]
    fn a_watched_machine_lives_as_an_unwatched_one(rules in rules(), life in lives(), looks in 1..5u64) {
        let (unwatched, _) = Told::live(2, &life, &rules);
        let mut watched = Told::new(2, &rules);
        let mut now = START;
        for (after, act) in &life {
            let then = now.plus(Span::from_millis(*after));
            for look in 0..looks {
                watched.settle(now.plus(Span::from_millis(after / looks * look)), &rules);
            }
            watched.act(act, then, &rules);
            now = then;
        }
        // The last act may have been refused, and then the unwatched one was not settled by it.
        let mut unwatched = unwatched;
        unwatched.settle(now, &rules);
        watched.settle(now, &rules);
        prop_assert_eq!(watched, unwatched);
    }

    /// Law 2.
    #[test]
    fn a_version_counts_events_and_instants_never_go_back(rules in rules(), life in lives()) {
        let (told, _) = Told::live(3, &life, &rules);
        let versions: Vec<_> = told.events.iter().map(|event| event.version).collect();
        prop_assert_eq!(&versions, &(1..=told.machine.version).collect::<Vec<_>>());
        prop_assert!(told.events.is_sorted_by_key(|event| event.at));
        prop_assert_eq!(told.events.last().unwrap().at, told.machine.updated_at);
    }

    /// Law 2: a step that was due has its due time, however late it is found.
    #[test]
    fn a_late_step_has_its_due_time(rules in rules(), life in lives(), a in 0..5_000_000u64) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let due = told.machine.next;
        let before = told.events.len();
        told.settle(now.plus(Span::from_millis(a)), &rules);
        if let Some(event) = told.events.get(before) {
            prop_assert_eq!(Some(event.at), due.map(|step| step.at));
        }
    }

    /// Law 3: what is asked of one machine, and when, changes nothing for another.
    #[test]
    fn lives_do_not_touch(rules in rules(), one in lives(), other in lives()) {
        let (alone, _) = Told::live(2, &one, &rules);
        let (mut beside, mut neighbour, mut now) = (Told::new(2, &rules), Told::new(4, &rules), START);
        for (number, (after, act)) in one.iter().enumerate() {
            now = now.plus(Span::from_millis(*after));
            if let Some((_, act)) = other.get(number) {
                neighbour.act(act, now, &rules);
            }
            beside.act(act, now, &rules);
        }
        prop_assert_eq!(beside, alone);
    }

    /// Law 3: edits move no ordinal and so no draw.
    #[test]
    fn edits_change_no_fate(rules in rules(), life in lives(), edits in prop::collection::vec(any::<u8>(), 25)) {
        let fate = |told: &Told| {
            let states = told.events.iter().filter_map(|event| match &event.change {
                Change::Entered(entered) => Some((event.at, entered.clone())),
                _ => None,
            });
            states.collect::<Vec<_>>()
        };
        let (plain, end) = Told::live(2, &life, &rules);
        let (mut edited, mut now) = (Told::new(2, &rules), START);
        for ((after, act), number) in life.iter().zip(&edits) {
            now = now.plus(Span::from_millis(*after));
            edited.act(&Act::Edit(*number), now, &rules);
            edited.act(act, now, &rules);
        }
        let mut plain = plain;
        plain.settle(end, &rules);
        edited.settle(end, &rules);
        prop_assert_eq!(fate(&plain), fate(&edited));
    }

    /// Law 5: with the machine and the rules the same, whatever was before cannot matter.
    #[test]
    fn a_machine_read_back_from_its_data_has_the_same_future(rules in rules(), life in lives(), a in 0..5_000_000u64) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let data = cloudm_domain::MachineData::from(told.machine.clone());
        let read = Machine::try_from(data).unwrap().settle(now.plus(Span::from_millis(a)), &rules).machine;
        told.settle(now.plus(Span::from_millis(a)), &rules);
        prop_assert_eq!(read, told.machine);
    }

    /// Law 7, at every moment of the history.
    #[test]
    fn a_machine_is_the_fold_of_its_events(rules in rules(), life in lives()) {
        let mut told = Told::new(2, &rules);
        let mut now = START;
        for (after, act) in &life {
            now = now.plus(Span::from_millis(*after));
            told.act(act, now, &rules);
            prop_assert_eq!(fold(&told.events), Ok(told.machine.clone()));
        }
    }

    /// Law 7: a history with a gap, a stranger's event or another order makes no machine.
    #[test]
    fn a_broken_history_is_refused(rules in rules(), life in lives(), at in any::<prop::sample::Index>()) {
        let (told, _) = Told::live(2, &life, &rules);
        let events = told.events;
        prop_assert_eq!(fold([]), Err(FoldError::Empty));
        prop_assume!(events.len() > 2);
        let at = at.index(events.len() - 2);
        let mut gap = events.clone();
        gap.remove(at);
        prop_assert!(fold(&gap).is_err());
        let mut swapped = events.clone();
        swapped.swap(at, at + 1);
        prop_assert!(fold(&swapped).is_err());
        let mut stranger = events;
        stranger[at + 1].machine = MachineId::from_bytes([99; 12]);
        prop_assert!(fold(&stranger).is_err());
    }

    /// Whatever is asked, whenever: also before the machine's last event, and at the end of time.
    #[test]
    fn requests_are_total(rules in rules(), life in lives(), act in acts(), millis in 0..=Instant::MAX.millis()) {
        let (mut told, _) = Told::live(2, &life, &rules);
        let now = Instant::from_millis(millis).unwrap().min(START.plus(Span::from_secs(7200)));
        told.act(&act, now, &rules);
        prop_assert_eq!(fold(&told.events), Ok(told.machine.clone()));
        prop_assert!(told.machine.updated_at >= told.machine.created_at);
    }

    /// No behaviour makes a chain without end in no time: a failure and its repair take a second each.
    #[test]
    fn a_chain_always_gets_on(rules in rules(), life in lives()) {
        let (mut told, now) = Told::live(2, &life, &rules);
        let before = told.events.len();
        told.settle(now.plus(Span::from_secs(1_000)), &rules);
        prop_assert!(told.events.len() - before <= 4_000);
    }

    /// A bounded settle is whole or refused; what it writes at most is what an earlier settle would have.
    #[test]
    fn a_bounded_settle_is_whole_or_refused(rules in rules(), life in lives(), limit in 0..6usize) {
        let (told, now) = Told::live(2, &life, &rules);
        let now = now.plus(Span::from_secs(3600));
        let whole = told.machine.clone().settle(now, &rules);
        match told.machine.clone().settle_within(limit, now, &rules) {
            Ok(settled) => prop_assert_eq!(settled, whole),
            Err(_) => {
                prop_assert!(whole.events.len() > limit);
                let part = told.machine.settle_at_most(limit, now, &rules);
                prop_assert_eq!(part.events.len(), limit);
                prop_assert_eq!(part.machine.settle(now, &rules).machine, whole.machine);
            }
        }
    }
}

/// What decides values is pinned: a whole life in `flaky`, to the millisecond.
#[test]
fn a_life_in_flaky_is_a_known_one() {
    let rules = Rules::new(Seed::new(3).unwrap(), Preset::Flaky.behaviour());
    let mut told = Told::new(2, &rules);
    told.settle(START.plus(Span::from_secs(12 * 3600)), &rules);
    use MachineState::{Failed, Provisioning, Repairing, Running, Starting};
    let seen: Vec<_> = told
        .events
        .iter()
        .map(|event| match &event.change {
            Change::Entered(entered) => (event.at.since(START).millis(), entered.state),
            _ => (event.at.since(START).millis(), Provisioning),
        })
        .collect();
    let known = [
        (0, Provisioning),
        (12_489, Starting),
        (39_051, Running),
        (39_744_307, Failed),
        (39_854_656, Repairing),
        (39_998_850, Running),
    ];
    assert_eq!(seen, known);
}
