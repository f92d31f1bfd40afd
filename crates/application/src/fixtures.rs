//! Worlds, clusters and machines for the tests of use cases.

use std::sync::Arc;

use cloudm_domain::{
    Capacity, Cause, Cluster, ClusterId, Effect, FaultOn, FaultRefusal, FaultRule, FleetProgress, FleetState,
    Incarnation, Instant, Machine, MachineId, NewMachine, OperationId, Outcome, Pool, Preset, Protection, Rate, Rules,
    Seed, StruckDown, Tags, WorldName,
};

use crate::idempotency::Answers;
use crate::machines::MachineCommands;
use crate::operations::Fleet;
use crate::ports::{
    Accepted, Cursor, FleetOperation, FleetWork, MachinePage, MachineQuery, MachineStore, MachineWalk, MockAnswerStore,
    MockClusterStore, MockFaultStore, MockMachineStore, MockOperationStore, MockWorldStore, NewWorld, PageByPage,
    PlacedMachine, Position, Runner, World, WorldStore, WorldView,
};
use crate::settler::Settler;
use crate::stripes::Stripes;

const WALL: u64 = 1_000_000;

/// A world of this preset, so long after its start, in real time.
pub(crate) fn view(preset: Preset, after: &str) -> WorldView {
    let new = NewWorld {
        name: WorldName::default_world(),
        incarnation: Incarnation::from_bytes([9; 12]),
        seed: Seed::new(42).unwrap(),
        start: Some(Instant::DEFAULT_START),
        rate: Rate::REAL,
        preset,
        retention: Rules::DEFAULT_RETENTION,
        asked: None,
    };
    let wall = WALL + after.parse::<cloudm_domain::Span>().unwrap().millis();
    let world = World::create(new, WALL);
    WorldView { now: world.clock.now(wall), world: Arc::new(world), wall }
}

/// Such a world, in which there is no room for machines of type `small` in region A.
pub(crate) fn full_view(preset: Preset, after: &str) -> WorldView {
    let (region_code, machine_type) = ("A".parse().unwrap(), "small".parse().unwrap());
    let pool = Pool { region_code, machine_type, size: 0, refills: Vec::new() };
    let view = view(preset, after);
    let capacity = Capacity::new(vec![pool], false).unwrap();
    WorldView { world: Arc::new(World { capacity, ..World::clone(&view.world) }), ..view }
}

/// The port of such a world.
pub(crate) fn full_world(preset: Preset, after: &'static str) -> MockWorldStore {
    let mut store = MockWorldStore::new();
    store.expect_read().returning(move || Ok(full_view(preset, after)));
    store
}

/// Such a world with these faults, which hold from its start.
pub(crate) fn view_with(faults: &[FaultRule], preset: Preset, after: &str) -> WorldView {
    let view = view(preset, after);
    let mut world = World::clone(&view.world);
    for rule in faults {
        rule.check(world.start).unwrap();
        world.rules.faults.push(rule.clone(), world.start, world.seed);
    }
    WorldView { world: Arc::new(world), ..view }
}

/// The port of such a world.
pub(crate) fn world_with(faults: Vec<FaultRule>, preset: Preset, after: &'static str) -> MockWorldStore {
    let mut store = MockWorldStore::new();
    store.expect_read().returning(move || Ok(view_with(&faults, preset, after)));
    store
}

/// One that refuses an operation.
pub(crate) fn refusing(operation: Cause) -> FaultRule {
    FaultRule::new(FaultOn::Operation(operation), Effect::Refuse(FaultRefusal { code: "no".into(), status: 500 }))
}

/// Whether it is what [`refusing`] comes to.
pub(crate) fn is_refused(down: &StruckDown) -> bool {
    matches!(down, StruckDown::Fault { refusal, .. } if refusal.code == "no" && refusal.status == 500)
}

/// The port of a world of this preset, so long after its start.
pub(crate) fn world_of(preset: Preset, after: &'static str) -> MockWorldStore {
    let mut store = MockWorldStore::new();
    store.expect_read().returning(move || Ok(view(preset, after)));
    store
}

/// The port of a world of the preset `instant`.
pub(crate) fn world() -> MockWorldStore {
    world_of(Preset::Instant, "0s")
}

/// The cluster `web` in region A.
pub(crate) fn cluster() -> Cluster {
    let id = ClusterId::from_bytes([1; 12]);
    Cluster::create(id, "web".parse().unwrap(), "A".parse().unwrap(), Instant::DEFAULT_START)
}

/// A machine made in that cluster at the start of a world of this preset.
pub(crate) fn created(preset: Preset, name: &str) -> Outcome {
    let view = view(preset, "0s");
    let name = name.parse().unwrap();
    let new = NewMachine {
        id: MachineId::of(view.world.seed, cluster().id, &name, view.now, 0),
        cluster_id: cluster().id,
        name,
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    };
    Machine::create(new, view.now, &view.world.rules)
}

/// Such a machine with its cluster.
pub(crate) fn placed(preset: Preset, name: &str) -> PlacedMachine {
    PlacedMachine { machine: created(preset, name).machine, cluster: Arc::new(cluster()) }
}

/// The walk of a port whose pages are these.
pub(crate) fn walking<F>(pages: F) -> impl Fn(MachineQuery) -> Box<dyn MachineWalk> + Send
where
    F: Fn(&MachineQuery) -> MachinePage + Clone + Send + 'static,
{
    move |query| {
        let (mut machines, pages) = (MockMachineStore::new(), pages.clone());
        machines.expect_list().returning(move |query| Ok(pages(query)));
        Box::new(PageByPage::new(Arc::new(machines), query))
    }
}

/// Commands over these ports, without kept answers.
pub(crate) fn commands(world: MockWorldStore, machines: MockMachineStore) -> MachineCommands {
    commands_counting(world, machines, MockFaultStore::new())
}

/// The same, which may ask how often faults matched.
pub(crate) fn commands_counting(
    world: MockWorldStore,
    machines: MockMachineStore,
    faults: MockFaultStore,
) -> MachineCommands {
    let (world, machines): (Arc<dyn WorldStore>, Arc<dyn MachineStore>) = (Arc::new(world), Arc::new(machines));
    let answers = Arc::new(Answers::new(world.clone(), Arc::new(MockAnswerStore::new())));
    let settler = Settler::new(world.clone(), machines.clone());
    MachineCommands::new((world, machines, Arc::new(faults)), answers, settler, Arc::new(Stripes::new()))
}

/// Fleet operations over these ports.
pub(crate) fn fleet(
    world: MockWorldStore,
    machines: MockMachineStore,
    clusters: MockClusterStore,
    operations: MockOperationStore,
) -> Fleet {
    fleet_of(commands(world, machines), clusters, operations)
}

/// Fleet operations by these commands.
pub(crate) fn fleet_of(commands: MachineCommands, clusters: MockClusterStore, operations: MockOperationStore) -> Fleet {
    let settler = commands.settler.clone();
    let commands = Arc::new(commands);
    Fleet::new(commands, Arc::new(clusters), Arc::new(operations), settler, Runner([7; 16]))
}

/// An operation that asks for this, accepted at the start of the world.
pub(crate) fn operation(work: FleetWork) -> FleetOperation {
    let cursor = match &work {
        FleetWork::Create(_) => Cursor::Made(0),
        _ => Cursor::Walked(None),
    };
    FleetOperation {
        id: OperationId::from_bytes([5; 12]),
        number: 1,
        work,
        state: FleetState::Running,
        progress: FleetProgress::default(),
        cursor,
        accepted: Accepted { at: Instant::DEFAULT_START, position: Position(vec![1]) },
        finished_at: None,
        reason: None,
        expires_at: None,
    }
}
