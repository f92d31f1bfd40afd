//! What a scenario says, as it is kept with the world that it makes.

use cloudm_domain::{
    Behaviour, Capacity, Code, FaultRule, Instant, Name, NameTemplate, Preset, Protection, Rate, ScheduleRule, Seed,
    Span, Tags,
};
use serde::{Deserialize, Serialize};

/// A whole world: how it begins, and what is in it then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its seed.
    pub seed: Seed,
    /// Its first instant.
    pub start: Instant,
    /// How fast its clock runs.
    pub rate: Rate,
    /// How long a TERMINATED machine stays readable.
    pub retention: Span,
    /// The preset whose behaviour it has, unless it has another one.
    pub preset: Preset,
    /// How machines behave, where that is no preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Behaviour>,
    /// What it has room for.
    #[serde(default, skip_serializing_if = "Capacity::is_default")]
    pub capacity: Capacity,
    /// What makes chosen things go wrong in it, from its start on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
    /// What is done to machines at known instants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<ScheduleRule>,
    /// Its clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ScenarioCluster>,
    /// The machines that are made in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<ScenarioMachines>,
}

/// A cluster of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioCluster {
    /// Its name.
    pub name: Name,
    /// The code of its region.
    pub region_code: Code,
}

/// Machines of a scenario that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioMachines {
    /// What their names are made of; where there is one machine, it may be its name.
    pub name: NameTemplate,
    /// How many; at least 1.
    pub count: u32,
    /// The cluster they are made in.
    pub cluster_name: Name,
    /// Their machine type; the catalogue's first where none is given.
    pub machine_type: Option<Code>,
    /// Their tags.
    pub tags: Tags,
    /// Whether they go on to RUNNING; else they end STOPPED.
    pub start: bool,
    /// What they refuse.
    pub protection: Protection,
}

impl Scenario {
    /// The most machines. More are made by a fleet operation.
    pub const MAX_MACHINES: u32 = 10_000;
}
