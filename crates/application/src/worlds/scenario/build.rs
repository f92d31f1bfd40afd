//! Making a world of a scenario: as if all that it says had been asked at its start, one after the other.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cloudm_domain::{
    Catalogue, Clock, Cluster, ClusterId, Code, Faults, Incarnation, Instant, Machine, MachineEvent, MachineId, Name,
    NewMachine, Outcome, PoolSizes, Rules, Schedule, Seed, Span, Timeline, WorldName, WorldRefusal,
};

use crate::capacity::check_pool;
use crate::clusters::check_region;
use crate::error::{Error, ScenarioPart};
use crate::faults::check_selector;
use crate::machines::machine_type;
use crate::ports::{Asked, Origin, Scenario, ScenarioCluster, ScenarioMachines, World};

/// A world that is ready to be loaded.
pub(super) struct Built {
    pub(super) world: World,
    pub(super) clusters: Vec<Arc<Cluster>>,
    /// In the order of their ids.
    pub(super) machines: Vec<Machine>,
    pub(super) events: Vec<MachineEvent>,
}

/// Whose a world is that is built.
pub(super) struct Named {
    pub(super) name: WorldName,
    pub(super) incarnation: Incarnation,
    pub(super) asked: Option<Asked>,
}

/// Checks a scenario whole, and builds its world.
pub(super) fn build(scenario: Scenario, named: Named, catalogue: &Catalogue) -> Result<Built, Error> {
    let rules = rules(&scenario, catalogue)?;
    capacity(&scenario, catalogue)?;
    let clusters = clusters(&scenario, catalogue)?;
    let mut making = Making::new(&scenario, rules.clone(), catalogue);
    for (number, group) in scenario.machines.iter().enumerate() {
        making.group(group, &clusters).map_err(|why| at(ScenarioPart::Machines(number), why))?;
    }
    let Making { mut machines, events, .. } = making;
    machines.sort_by_key(|machine| machine.id);
    let world = record(scenario, rules, named);
    Ok(Built { world, clusters: clusters.into_values().collect(), machines, events })
}

fn at(part: ScenarioPart, why: Error) -> Error {
    Error::InvalidScenario { part, why: Box::new(why) }
}

fn rules(scenario: &Scenario, catalogue: &Catalogue) -> Result<Rules, Error> {
    let behaviour = scenario.behaviour.clone().unwrap_or_else(|| scenario.preset.behaviour());
    let mistakes = behaviour.mistakes();
    if !mistakes.is_empty() {
        return Err(at(ScenarioPart::Behaviour, Error::InvalidBehaviour(mistakes)));
    }
    let mut rules = Rules::new(scenario.seed, behaviour);
    rules.retention = Timeline::new(scenario.retention);
    for (number, rule) in scenario.faults.iter().enumerate() {
        let part = ScenarioPart::Fault(number);
        if number >= Faults::MAX_AT_ONCE {
            return Err(at(part, Error::TooManyFaults));
        }
        check_selector(&rule.selector, catalogue).map_err(|why| at(part, why))?;
        rule.check(scenario.start).map_err(|why| at(part, why.into()))?;
        rules.faults.push(rule.clone(), scenario.start, scenario.seed);
    }
    for (number, rule) in scenario.schedule.iter().enumerate() {
        let part = ScenarioPart::Schedule(number);
        if number >= Schedule::MAX {
            return Err(at(part, Error::TooManyRules));
        }
        check_selector(&rule.selector, catalogue).map_err(|why| at(part, why))?;
        // Machines that are made at the start are told after it.
        let from = scenario.start.plus(Span::from_millis(1));
        rule.check(from).map_err(|why| at(part, why.into()))?;
        rules.schedule.push(rule.clone(), from, scenario.seed);
    }
    Ok(rules)
}

fn capacity(scenario: &Scenario, catalogue: &Catalogue) -> Result<(), Error> {
    for (number, pool) in scenario.capacity.pools().iter().enumerate() {
        let known = check_pool(catalogue, &pool.region_code, &pool.machine_type);
        known.map_err(|why| at(ScenarioPart::Pool(number), why))?;
    }
    Ok(())
}

/// The clusters, by their names. All are made at the start.
fn clusters(scenario: &Scenario, catalogue: &Catalogue) -> Result<BTreeMap<Name, Arc<Cluster>>, Error> {
    let mut clusters = BTreeMap::new();
    for (number, ScenarioCluster { name, region_code }) in scenario.clusters.iter().enumerate() {
        let part = ScenarioPart::Cluster(number);
        if number >= Cluster::MAX_IN_WORLD {
            return Err(at(part, Error::TooManyClusters));
        }
        check_region(catalogue, region_code).map_err(|why| at(part, why))?;
        let id = ClusterId::of(scenario.seed, name, scenario.start, 0);
        let cluster = Cluster::create(id, name.clone(), region_code.clone(), scenario.start);
        if clusters.insert(name.clone(), Arc::new(cluster)).is_some() {
            return Err(at(part, Error::NameTaken));
        }
    }
    Ok(clusters)
}

fn record(scenario: Scenario, rules: Rules, named: Named) -> World {
    let Named { name, incarnation, asked } = named;
    let Scenario { seed, start, rate, retention, preset, .. } = scenario;
    World {
        name,
        incarnation,
        seed,
        start,
        preset,
        clock: Clock::new(start, 0, rate),
        rules,
        capacity: scenario.capacity.clone(),
        version: 1,
        origin: Origin { start: Some(start), rate, retention, scenario: Some(Arc::new(scenario)) },
        asked,
    }
}

/// The making of the machines.
struct Making<'a> {
    seed: Seed,
    start: Instant,
    /// With the matches so far that are counted for the whole world.
    rules: Rules,
    catalogue: &'a Catalogue,
    sizes: Option<PoolSizes>,
    /// How many places are held, by regions and machine types.
    held: BTreeMap<(Code, Code), u64>,
    names: HashSet<(ClusterId, Name)>,
    asked: u32,
    machines: Vec<Machine>,
    events: Vec<MachineEvent>,
}

impl<'a> Making<'a> {
    fn new(scenario: &Scenario, rules: Rules, catalogue: &'a Catalogue) -> Self {
        Self {
            seed: scenario.seed,
            start: scenario.start,
            rules,
            catalogue,
            sizes: scenario.capacity.sizes(scenario.start),
            held: BTreeMap::new(),
            names: HashSet::new(),
            asked: 0,
            machines: Vec::new(),
            events: Vec::new(),
        }
    }

    fn group(&mut self, group: &ScenarioMachines, clusters: &BTreeMap<Name, Arc<Cluster>>) -> Result<(), Error> {
        let unknown = || Error::UnknownCluster(group.cluster_name.clone());
        let cluster = clusters.get(&group.cluster_name).ok_or_else(unknown)?;
        let machine_type = machine_type(self.catalogue, group.machine_type.as_ref())?;
        self.asked = self.asked.saturating_add(group.count);
        if self.asked > Scenario::MAX_MACHINES {
            return Err(Error::TooManyMachines);
        }
        for number in 0..group.count {
            let name = group.name.name(number.saturating_add(1)).map_err(Error::InvalidTemplate)?;
            if !self.names.insert((cluster.id, name.clone())) {
                return Err(Error::NameTaken);
            }
            self.make(group, cluster, (number, name, machine_type.clone()));
        }
        Ok(())
    }

    /// Makes a machine, under the id that a request for it would give it.
    fn make(&mut self, group: &ScenarioMachines, cluster: &Cluster, (number, name, machine_type): (u32, Name, Code)) {
        let id = if group.name.has_number() {
            MachineId::in_batch(self.seed, cluster.id, group.name.as_str(), self.start, (0, number))
        } else {
            MachineId::of(self.seed, cluster.id, &name, self.start, 0)
        };
        let new = NewMachine {
            id,
            cluster_id: cluster.id,
            name,
            machine_type,
            tags: group.tags.clone(),
            protection: group.protection,
            start: group.start,
        };
        let Outcome { machine, events, struck_down, .. } =
            Machine::create_in(new, Some(cluster), self.start, &self.rules);
        let is_made = struck_down.is_none() && self.takes_place(&machine, &events, &cluster.region_code);
        if is_made || struck_down.is_some() {
            self.rules.faults.note(&events);
            self.events.extend(events);
            self.machines.extend(is_made.then_some(machine));
        } else {
            let created = events.first().and_then(|event| event.refused(WorldRefusal::InsufficientCapacity));
            self.events.extend(created);
        }
    }

    /// Gives the machine that these events make the place that it asks for; says whether there was one.
    fn takes_place(&mut self, machine: &Machine, events: &[MachineEvent], region: &Code) -> bool {
        let Some(sizes) = &self.sizes else { return true };
        let Some(asked) = sizes.asked(None, events) else { return true };
        let held = self.held.entry((region.clone(), asked.machine_type.clone())).or_default();
        let has_place = sizes.has_place(region, &asked, *held);
        *held += u64::from(has_place && sizes.is_held_in(machine.state));
        has_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use cloudm_domain::{
        Capacity, Cause, FaultRule, FaultScope, MachineState, Pool, Preset, Protection, Rate, Tags, fold,
    };

    pub(in crate::worlds::scenario) fn scenario() -> Scenario {
        Scenario {
            seed: Seed::new(42).unwrap(),
            start: Instant::DEFAULT_START,
            rate: Rate::PAUSED,
            retention: Rules::DEFAULT_RETENTION,
            preset: Preset::Instant,
            behaviour: None,
            capacity: Capacity::default(),
            faults: Vec::new(),
            schedule: Vec::new(),
            clusters: vec![cluster("web", "A"), cluster("db", "B")],
            machines: vec![machines("web-{n}", 3, "web"), machines("main", 1, "db")],
        }
    }

    fn cluster(name: &str, region: &str) -> ScenarioCluster {
        ScenarioCluster { name: name.parse().unwrap(), region_code: region.parse().unwrap() }
    }

    fn machines(name: &str, count: u32, cluster: &str) -> ScenarioMachines {
        ScenarioMachines {
            name: name.parse().unwrap(),
            count,
            cluster_name: cluster.parse().unwrap(),
            machine_type: None,
            tags: Tags::default(),
            start: true,
            protection: Protection::default(),
        }
    }

    fn built(scenario: Scenario) -> Result<Built, Error> {
        let named = Named { name: "test".parse().unwrap(), incarnation: Incarnation::from_bytes([3; 12]), asked: None };
        build(scenario, named, &Catalogue::default())
    }

    #[test]
    fn machines_are_as_if_they_had_been_asked_for() {
        let Built { world, clusters, machines, events } = built(scenario()).unwrap();
        assert_eq!((clusters.len(), machines.len(), events.len()), (2, 4, 12));
        assert!(machines.windows(2).all(|two| two[0].id < two[1].id));
        for machine in &machines {
            assert_eq!(machine.state, MachineState::Running);
            assert_eq!(fold(events.iter().filter(|event| event.machine == machine.id)).unwrap(), *machine);
        }
        let of_cluster = ClusterId::of(world.seed, &"web".parse().unwrap(), world.start, 0);
        let first = MachineId::in_batch(world.seed, of_cluster, "web-{n}", world.start, (0, 0));
        assert!(machines.iter().any(|machine| machine.id == first && machine.name.as_str() == "web-1"));
        assert_eq!(world.origin.scenario.as_deref(), Some(&scenario()));
    }

    #[test]
    fn what_a_fault_or_a_pool_refuses_is_only_told() {
        let pool = |size| Pool {
            region_code: "A".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            size,
            refills: Vec::new(),
        };
        let full = Scenario { capacity: Capacity::new(vec![pool(2)], false).unwrap(), ..scenario() };
        let Built { machines, events, .. } = built(full).unwrap();
        assert_eq!((machines.len(), events.len()), (3, 10));
        let mut of_web = fixtures::refusing(Cause::Create);
        of_web.selector.add(cloudm_domain::SelectorField::Region, "A").unwrap();
        let Built { machines, events, .. } = built(Scenario { faults: vec![of_web], ..scenario() }).unwrap();
        assert_eq!((machines.len(), events.len()), (1, 3 + 3 * 2));
    }

    #[test]
    fn a_fault_that_counts_the_whole_world_counts_the_machines_in_their_order() {
        let rule = FaultRule { scope: FaultScope::World, after: 2, ..fixtures::refusing(Cause::Create) };
        let Built { world, machines, events, .. } = built(Scenario { faults: vec![rule], ..scenario() }).unwrap();
        let mut names: Vec<_> = machines.iter().map(|machine| machine.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["web-1", "web-2"]);
        let numbers = events.iter().filter_map(|event| event.change.fault_match()).map(|told| told.number);
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4].map(Some));
        let stored = serde_json::to_string(&world).unwrap();
        assert_eq!(serde_json::from_str::<World>(&stored).unwrap(), world, "the count is no part of the record");
    }

    #[test]
    fn each_mistake_is_told_with_its_part() {
        let refused = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = scenario();
            change(&mut scenario);
            match built(scenario).map(drop) {
                Err(Error::InvalidScenario { part, .. }) => part,
                other => panic!("{other:?}"),
            }
        };
        let never = FaultRule { times: Some(0), ..fixtures::refusing(Cause::Stop) };
        assert_eq!(refused(&|one| one.faults = vec![never.clone()]), ScenarioPart::Fault(0));
        assert_eq!(refused(&|one| one.clusters.push(cluster("c", "Z"))), ScenarioPart::Cluster(2));
        assert_eq!(refused(&|one| one.clusters.push(cluster("web", "A"))), ScenarioPart::Cluster(2));
        assert_eq!(refused(&|one| one.machines[1] = machines("a", 1, "none")), ScenarioPart::Machines(1));
        assert_eq!(refused(&|one| one.machines[1] = machines("web-2", 1, "web")), ScenarioPart::Machines(1));
        assert_eq!(refused(&|one| one.machines[1] = machines("a", 2, "web")), ScenarioPart::Machines(1));
        assert_eq!(refused(&|one| one.machines[1].count = Scenario::MAX_MACHINES), ScenarioPart::Machines(1));
        let mut behaviour = Preset::Flaky.behaviour();
        behaviour.terminating.fail = cloudm_domain::Odds::ALWAYS;
        assert_eq!(refused(&|one| one.behaviour = Some(behaviour.clone())), ScenarioPart::Behaviour);
    }
}
