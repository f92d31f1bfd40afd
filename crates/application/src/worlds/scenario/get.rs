//! A world as a scenario.

use std::sync::Arc;

use cloudm_domain::{Machine, MachineState, NameTemplate, Order, ScheduleRule, Selector, WorldName};

use crate::cloud::Cloud;
use crate::error::Error;
use crate::ports::{MachineQuery, Scenario, ScenarioCluster, ScenarioMachines, SortKey, StoreError, World, WorldView};
use crate::worlds::clouds::Clouds;

/// Machines that are read at once.
const PAGE: usize = 1_000;

/// Gives a world as a scenario.
pub struct GetScenario {
    pub(crate) clouds: Arc<Clouds>,
}

impl GetScenario {
    /// The scenario of a world that begins with what this one has now: its rules as they hold now, its clusters, and its machines
    /// that are not TERMINATED, to be made anew, in the order of clusters and names. What was due before is settled.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::TooManyMachines`] where there are more than a scenario has, [`Error::Settling`],
    /// [`Error::Store`].
    pub async fn run(&self, name: &WorldName) -> Result<Scenario, Error> {
        let cloud = self.clouds.open(name).await?;
        let view = cloud.view().await?;
        cloud.settler.settle_all(&view).await?;
        let clusters = cloud.clusters().all().await?;
        let cluster = |one: &Arc<cloudm_domain::Cluster>| ScenarioCluster {
            name: one.name.clone(),
            region_code: one.region_code.clone(),
        };
        let clusters = clusters.iter().map(cluster).collect();
        let machines = machines(&cloud).await?;
        Ok(Scenario { clusters, machines, ..rules(&view) })
    }
}

/// What holds in a world now.
fn rules(view: &WorldView) -> Scenario {
    let World { seed, start, preset, clock, rules, capacity, .. } = &*view.world;
    let behaviour = rules.behaviour.at(view.now);
    let ahead = |rule: &&ScheduleRule| rule.deadline > view.now;
    Scenario {
        seed: *seed,
        start: *start,
        rate: clock.rate(),
        retention: *rules.retention.at(view.now),
        preset: *preset,
        behaviour: (*behaviour != preset.behaviour()).then(|| behaviour.clone()),
        capacity: capacity.clone(),
        faults: rules.faults.iter().map(|fault| fault.rule.clone()).collect(),
        schedule: rules.schedule.iter().map(|entry| &entry.rule).filter(ahead).cloned().collect(),
        clusters: Vec::new(),
        machines: Vec::new(),
    }
}

async fn machines(cloud: &Cloud) -> Result<Vec<ScenarioMachines>, Error> {
    let (mut machines, mut after): (Vec<ScenarioMachines>, Option<SortKey>) = (Vec::new(), None);
    loop {
        let query =
            MachineQuery { selector: Selector::default(), order: Order::default(), after, made_by: None, limit: PAGE };
        let page = cloud.machines().list(&query).await?;
        for placed in page.machines {
            machines.push(like(&placed.machine, placed.cluster.name.clone())?);
        }
        if machines.len() > Scenario::MAX_MACHINES as usize {
            return Err(Error::TooManyMachines);
        }
        after = page.next;
        if after.is_none() {
            // Not in the order of their ids, which those that are made of it do not share.
            machines.sort_by_cached_key(|one| (one.cluster_name.clone(), one.name.to_string()));
            return Ok(machines);
        }
    }
}

/// A machine to be made like one that is there.
fn like(machine: &Machine, cluster_name: cloudm_domain::Name) -> Result<ScenarioMachines, StoreError> {
    let name: NameTemplate =
        machine.name.as_str().parse().map_err(|_| StoreError::Damaged("a machine has no name".into()))?;
    let comes_to = machine.in_progress.as_ref().map_or(machine.state, |change| change.to);
    let rests = matches!(comes_to, MachineState::Stopped | MachineState::Suspended);
    Ok(ScenarioMachines {
        name,
        count: 1,
        cluster_name,
        machine_type: Some(machine.machine_type.clone()),
        tags: machine.tags.clone(),
        start: !rests,
        protection: machine.protection,
    })
}
