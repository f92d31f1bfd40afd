//! Worlds, clusters, machines and commits to try a store with.

use std::sync::Arc;

use cloudm_application::ports::{
    Accepted, Commit, Cursor, Ending, EventQuery, FleetEntry, FleetOperation, FleetResult, FleetWork, KeptAnswer,
    Lease, MachineQuery, MachineWrite, NewWorld, Position, Runner, SortKey,
};
use cloudm_domain::{
    Behaviour, Capacity, Cluster, ClusterId, Command, Distribution, Edit, FleetOutcome, FleetProgress, FleetState,
    Incarnation, Instant, Machine, MachineEvent, MachineId, NewMachine, OperationId, Order, OrderKey, Outcome, Pool,
    PoolSizes, Preset, Protection, Rate, Rules, Seed, Selector, Span, Tags, Timing, WallMillis, WorldRefusal,
};

/// The instant at which everything is made unless told otherwise.
pub const START: Instant = Instant::DEFAULT_START;

/// A wall time that is never reached.
pub const FOREVER: WallMillis = Instant::MAX.millis();

/// The seed of all worlds.
pub fn seed() -> Seed {
    Seed::new(7).unwrap()
}

/// So many milliseconds after [`START`].
pub fn after(millis: u64) -> Instant {
    START.plus(Span::from_millis(millis))
}

/// Every change takes a minute and nothing fails.
pub fn slow() -> Behaviour {
    Behaviour::uniform(Timing::lasting(Distribution::Fixed { value: Span::from_secs(60) }))
}

/// A world whose clock stands still at [`START`].
pub fn new_world(name: &str, incarnation: u8) -> NewWorld {
    NewWorld {
        name: name.parse().unwrap(),
        incarnation: Incarnation::from_bytes([incarnation; 12]),
        seed: seed(),
        start: Some(START),
        rate: Rate::PAUSED,
        preset: Preset::Instant,
        retention: Rules::DEFAULT_RETENTION,
        asked: None,
    }
}

/// A cluster in region A.
pub fn cluster(name: &str) -> Cluster {
    cluster_in(name, "A")
}

/// A cluster in a region.
pub fn cluster_in(name: &str, region: &str) -> Cluster {
    let name = name.parse().unwrap();
    Cluster::create(ClusterId::of(seed(), &name, START, 0), name, region.parse().unwrap(), START)
}

/// The cluster after a change of its name.
pub fn renamed(cluster: &Cluster, name: &str) -> Cluster {
    let edit = cloudm_domain::ClusterEdit { name: Some(name.parse().unwrap()), region_code: None };
    cluster.edit(&edit, START).unwrap()
}

/// A machine that is to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    new: NewMachine,
    at: Instant,
}

/// A machine of this name, of type `small`, without tags.
pub fn draft(cluster: &Cluster, name: &str) -> Draft {
    draft_at(cluster, name, START)
}

/// The same, made at an instant.
pub fn draft_at(cluster: &Cluster, name: &str, at: Instant) -> Draft {
    let name = name.parse().unwrap();
    let new = NewMachine {
        id: MachineId::of(seed(), cluster.id, &name, at, 0),
        cluster_id: cluster.id,
        name,
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    };
    Draft { new, at }
}

impl Draft {
    /// With another id.
    #[must_use]
    pub fn id(mut self, id: MachineId) -> Self {
        self.new.id = id;
        self
    }

    /// Of another type.
    #[must_use]
    pub fn machine_type(mut self, code: &str) -> Self {
        self.new.machine_type = code.parse().unwrap();
        self
    }

    /// With tags.
    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.new.tags = Tags::new(tags.iter().map(|tag| tag.parse().unwrap()).collect()).unwrap();
        self
    }

    /// The event of its creation where the world refuses it.
    pub fn refused(self) -> MachineEvent {
        let made = self.made(&Rules::new(seed(), Preset::Instant.behaviour()));
        made.events[0].refused(WorldRefusal::InsufficientCapacity).unwrap()
    }

    /// What its creation comes to.
    pub fn made(self, rules: &Rules) -> Outcome {
        Machine::create(self.new, self.at, rules)
    }
}

/// Pools of machines of type `small`, by regions.
pub fn pools(sizes: &[(&str, u32)]) -> Option<Arc<PoolSizes>> {
    let pool = |(region, size): &(&str, u32)| Pool {
        region_code: region.parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        size: *size,
        refills: Vec::new(),
    };
    Capacity::new(sizes.iter().map(pool).collect(), false).unwrap().sizes(START).map(Arc::new)
}

/// What a command comes to.
pub fn asked(machine: &Machine, command: Command, at: Instant, rules: &Rules) -> Outcome {
    machine.clone().request(&command.into(), at, rules).unwrap()
}

/// What its end comes to, at once.
pub fn terminated(machine: &Machine, rules: &Rules) -> Outcome {
    asked(machine, Command::Terminate, machine.updated_at, rules)
}

/// What a new name comes to.
pub fn named(machine: &Machine, name: &str, rules: &Rules) -> Outcome {
    edited(machine, &Edit { name: Some(name.parse().unwrap()), ..Edit::default() }, rules)
}

/// What a change of its data comes to.
pub fn edited(machine: &Machine, edit: &Edit, rules: &Rules) -> Outcome {
    machine.clone().edit(edit, machine.updated_at, rules).unwrap()
}

/// What a change that is always possible comes to: its protection from STOP is turned over.
pub fn touched(machine: &Machine, rules: &Rules) -> Outcome {
    edited(machine, &Edit { protect_stop: Some(!machine.protection.stop), ..Edit::default() }, rules)
}

/// The commit of a creation.
pub fn create(made: Outcome) -> Commit {
    self::made(made).into()
}

/// The commit of a command to `before`.
pub fn update(before: &Machine, after: Outcome) -> Commit {
    changed(before, after).into()
}

/// The commit that forgets a machine.
pub fn remove(machine: &Machine, events: Vec<MachineEvent>) -> Commit {
    forgotten(machine, events).into()
}

/// The write of a creation among many.
pub fn made(made: Outcome) -> MachineWrite {
    MachineWrite { before: None, after: Some(made.machine), events: made.events }
}

/// The write of a command to `before` among many.
pub fn changed(before: &Machine, after: Outcome) -> MachineWrite {
    MachineWrite { before: Some(before.clone()), after: Some(after.machine), events: after.events }
}

/// The write that forgets a machine among many.
pub fn forgotten(machine: &Machine, events: Vec<MachineEvent>) -> MachineWrite {
    MachineWrite { before: Some(machine.clone()), after: None, events }
}

/// A fleet operation that is to be accepted: it stops all machines.
pub fn operation(number: u8) -> FleetOperation {
    FleetOperation {
        id: OperationId::from_bytes([number; 12]),
        number: 0,
        work: FleetWork::Operate(Selector::default(), Command::Stop.into()),
        state: FleetState::Pending,
        progress: FleetProgress::default(),
        cursor: Cursor::Walked(None),
        accepted: Accepted { at: START, position: Position(Vec::new()) },
        finished_at: None,
        reason: None,
        expires_at: None,
    }
}

/// The right of a runner to work from one wall time to another.
pub fn lease(runner: u8, wall: WallMillis, until: WallMillis) -> Lease {
    Lease { runner: Runner([runner; 16]), wall, until }
}

/// What a machine did, and how it changes.
pub fn done(write: MachineWrite) -> FleetEntry {
    let machine = write.machine().unwrap();
    FleetEntry { result: FleetResult { machine, outcome: FleetOutcome::Done }, write: Some(write) }
}

/// What came of an operation for a machine that does not change.
pub fn decided(machine: MachineId, outcome: FleetOutcome) -> FleetEntry {
    FleetEntry { result: FleetResult { machine, outcome }, write: None }
}

/// An end as the progress says, which is kept until `expires_at`.
pub fn ending(expires_at: WallMillis) -> Ending {
    Ending { at: after(9), state: None, reason: None, expires_at }
}

/// An answer under a key.
pub fn answer(key: &str, expires_at: WallMillis) -> KeptAnswer {
    KeptAnswer { key: key.into(), fingerprint: [3; 32], answer: b"{\"id\":1}".to_vec(), expires_at }
}

/// Machines by this selector, in the order of creation.
pub fn query(selector: &Selector, after: Option<SortKey>, limit: usize) -> MachineQuery {
    MachineQuery { selector: selector.clone(), order: Order::default(), after, made_by: None, limit }
}

/// All orders there are.
pub fn orders() -> [Order; 4] {
    let order = |key, descending| Order { key, descending };
    let (created_at, name) = (OrderKey::CreatedAt, OrderKey::Name);
    [order(created_at, false), order(created_at, true), order(name, false), order(name, true)]
}

/// A page of events.
pub fn events(machine: Option<MachineId>, after: Option<Position>, limit: usize) -> EventQuery {
    EventQuery { machine, until: None, after, limit }
}
