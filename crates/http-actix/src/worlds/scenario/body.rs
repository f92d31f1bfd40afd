//! The form of scenarios, which is the same in requests and answers.

use cloudm_application::ports::{Scenario, ScenarioCluster, ScenarioMachines};
use cloudm_domain::{
    Capacity, Code, FaultRule, Instant, Name, NameTemplate, Pool, Preset, Rate, Rules, ScheduleRule, Seed, Span, Tags,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::behaviour::{self, BehaviourBody};
use crate::body::{Fields, Object, not_null, parsed};
use crate::capacity::NewCapacityBody;
use crate::clusters::NewClusterBody;
use crate::faults::{NewFaultBody, shown_rule};
use crate::machines::{ProtectionBody, TagText};
use crate::operations::check_name;
use crate::problem::Problem;
use crate::schedule::NewEntryBody;

/// A whole world: how it begins, and what is in it then. What is absent is chosen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Scenario)]
pub(crate) struct ScenarioBody {
    /// Its seed.
    #[schema(value_type = u64, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 42)]
    seed: Seed,
    /// Its first instant, before 2106; 2030-01-01T00:00:00Z where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-01T00:00:00Z")]
    start: Option<Instant>,
    /// How many virtual seconds pass in a second, in thousandths; 0, where it is absent: its time is moved by hand.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 1_000_000, multiple_of = 0.001, example = 0.0)]
    rate: Option<Rate>,
    /// How long a TERMINATED machine stays readable, in virtual time; an hour where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 2, pattern = "^([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?([0-9]{1,8}ms)?$", example = "1h")]
    retention: Option<Span>,
    /// How machines behave in it; `instant` where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = crate::presets::PresetName, required = false)]
    preset: Option<Preset>,
    /// How machines behave in it, where that is no preset.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = BehaviourBody, required = false)]
    behaviour: Option<Fields>,
    /// What it has room for; any number of machines where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = NewCapacityBody, required = false)]
    capacity: Option<Object<NewCapacityBody>>,
    /// What makes chosen things go wrong in it, from its first instant on.
    #[serde(default)]
    #[schema(value_type = Vec<NewFaultBody>, required = false, max_items = 100)]
    faults: Vec<Object<NewFaultBody>>,
    /// What is done to machines at known instants.
    #[serde(default)]
    #[schema(value_type = Vec<NewEntryBody>, required = false, max_items = 1000)]
    schedule: Vec<Object<NewEntryBody>>,
    /// Its clusters.
    #[serde(default)]
    #[schema(value_type = Vec<NewClusterBody>, required = false, max_items = 1000)]
    clusters: Vec<Object<NewClusterBody>>,
    /// The machines that are made in it at its first instant, at most 10,000 in all.
    #[serde(default)]
    #[schema(value_type = Vec<ScenarioMachinesBody>, required = false, max_items = 10_000)]
    machines: Vec<Object<ScenarioMachinesBody>>,
}

/// Machines to make that are alike.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScenarioMachines)]
pub(crate) struct ScenarioMachinesBody {
    /// Their names, unique in their cluster: `{n}` stands for the number of each, from 1, and has to be there for more than one.
    #[schema(value_type = String, min_length = 1, max_length = 65, example = "web-{n}")]
    name: NameTemplate,
    /// How many.
    #[serde(default = "one")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 10_000, default = 1, example = 3)]
    count: Count,
    /// The name of the cluster to make them in: one of the scenario.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "web")]
    cluster_name: Name,
    /// The code of their machine type; the catalogue's first where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "small")]
    machine_type: Option<Code>,
    /// Their tags, none twice.
    #[serde(default)]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["team:a"]))]
    tags: Tags,
    /// Whether they go on to RUNNING; else they end STOPPED.
    #[serde(default = "yes")]
    #[schema(required = false, default = true)]
    start: bool,
    /// What they refuse.
    #[serde(default)]
    #[schema(value_type = ProtectionBody, required = false)]
    protection: Object<ProtectionBody>,
}

/// How many machines.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct Count(u32);

impl TryFrom<u32> for Count {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        let most = Scenario::MAX_MACHINES;
        if (1..=most).contains(&count) { Ok(Self(count)) } else { Err(format!("is from 1 to {most}")) }
    }
}

fn one() -> Count {
    Count(1)
}

fn yes() -> bool {
    true
}

impl ScenarioBody {
    /// The scenario, with its pools in their order.
    pub(crate) fn read(self) -> Result<(Scenario, Vec<Pool>), Problem> {
        let behaviour = self.behaviour.map(behaviour::read).transpose().map_err(|why| why.under("/behaviour"))?;
        let (pools, suspended_frees_place) = self.capacity.map_or_else(Default::default, |Object(body)| body.read());
        let capacity = Capacity::new(pools.clone(), suspended_frees_place)
            .map_err(|why| super::mistakes::capacity(why.into(), &pools))?;
        let faults = self.faults.into_iter().enumerate().map(fault).collect::<Result<_, _>>()?;
        let schedule = self.schedule.into_iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let machines = self.machines.into_iter().enumerate().map(machines).collect::<Result<_, _>>()?;
        let clusters = self
            .clusters
            .into_iter()
            .map(|Object(NewClusterBody { name, region_code })| ScenarioCluster { name, region_code });
        let scenario = Scenario {
            seed: self.seed,
            start: self.start.unwrap_or(Instant::DEFAULT_START),
            rate: self.rate.unwrap_or(Rate::PAUSED),
            retention: self.retention.unwrap_or(Rules::DEFAULT_RETENTION),
            preset: self.preset.unwrap_or_default(),
            behaviour,
            capacity,
            faults,
            schedule,
            clusters: clusters.collect(),
            machines,
        };
        Ok((scenario, pools))
    }
}

fn fault((number, Object(body)): (usize, Object<NewFaultBody>)) -> Result<FaultRule, Problem> {
    body.read().map_err(|why| why.under(&format!("/faults/{number}")))
}

fn entry((number, Object(body)): (usize, Object<NewEntryBody>)) -> Result<ScheduleRule, Problem> {
    body.read().map_err(|why| why.under(&format!("/schedule/{number}")))
}

fn machines((number, Object(body)): (usize, Object<ScenarioMachinesBody>)) -> Result<ScenarioMachines, Problem> {
    let ScenarioMachinesBody { name, count: Count(count), cluster_name, machine_type, tags, start, protection } = body;
    check_name(&name, count, &format!("/machines/{number}/name"))?;
    let protection = protection.0.into();
    Ok(ScenarioMachines { name, count, cluster_name, machine_type, tags, start, protection })
}

/// A scenario, in the form in which it is put.
pub(crate) fn shown(scenario: &Scenario) -> Value {
    let Scenario { seed, start, rate, retention, preset, behaviour, capacity, faults, schedule, clusters, machines } =
        scenario;
    let mut shown =
        json!({"seed": seed, "start": start.to_string(), "rate": rate, "retention": retention, "preset": preset});
    if let Some(behaviour) = behaviour {
        shown["behaviour"] = json!(behaviour);
    }
    if !capacity.is_default() {
        shown["capacity"] = shown_capacity(capacity);
    }
    shown["faults"] = faults.iter().map(shown_rule).collect();
    shown["schedule"] = schedule.iter().map(crate::schedule::shown_rule).collect();
    let cluster = |one: &ScenarioCluster| json!({"name": one.name.as_str(), "region_code": one.region_code.as_str()});
    shown["clusters"] = clusters.iter().map(cluster).collect();
    shown["machines"] = machines.iter().map(shown_machines).collect();
    shown
}

fn shown_capacity(capacity: &Capacity) -> Value {
    let pool = |pool: &Pool| {
        let refills = pool.refills.iter().map(|refill| json!({"at": refill.at.to_string(), "size": refill.size}));
        json!({"region_code": pool.region_code.as_str(), "machine_type": pool.machine_type.as_str(), "size": pool.size,
            "refills": refills.collect::<Vec<_>>()})
    };
    json!({"pools": capacity.pools().iter().map(pool).collect::<Vec<_>>(),
        "suspended_frees_place": capacity.suspended_frees_place()})
}

fn shown_machines(machines: &ScenarioMachines) -> Value {
    let ScenarioMachines { name, count, cluster_name, machine_type, tags, start, protection } = machines;
    let tags: Vec<_> = tags.as_slice().iter().map(|tag| tag.as_str()).collect();
    let mut shown = json!({"name": name.as_str(), "count": count, "cluster_name": cluster_name.as_str(), "tags": tags,
        "start": start, "protection": ProtectionBody::from(*protection)});
    if let Some(code) = machine_type {
        shown["machine_type"] = json!(code.as_str());
    }
    shown
}
