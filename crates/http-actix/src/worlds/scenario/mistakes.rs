//! What is wrong with a scenario, and where.

use cloudm_application::{Error, ScenarioPart};
use cloudm_domain::Pool;

use crate::codes::Code;
use crate::problem::Problem;

/// What is wrong with the capacity of a scenario.
pub(super) fn capacity(error: Error, pools: &[Pool]) -> Problem {
    let pointer = crate::capacity::pointer(&error, pools).map(|pointer| format!("/capacity{pointer}"));
    Problem::from(error).with_part(pointer)
}

/// What an error is to who put a scenario with these pools.
pub(super) fn problem(error: Error, pools: &[Pool]) -> Problem {
    let (part, why) = match error {
        Error::InvalidScenario { part, why } => (part, *why),
        other => return other.into(),
    };
    match part {
        ScenarioPart::Behaviour => Problem::from(why).under("/behaviour"),
        ScenarioPart::Pool(_) => capacity(why, pools),
        ScenarioPart::Fault(_) if matches!(why, Error::TooManyFaults) => too_many("/faults", &why),
        ScenarioPart::Fault(number) => crate::faults::refused(why).under(&format!("/faults/{number}")),
        ScenarioPart::Schedule(_) if matches!(why, Error::TooManyRules) => too_many("/schedule", &why),
        ScenarioPart::Schedule(number) => crate::schedule::refused(why).under(&format!("/schedule/{number}")),
        ScenarioPart::Cluster(_) if matches!(why, Error::TooManyClusters) => too_many("/clusters", &why),
        ScenarioPart::Cluster(number) => of_field(why, &format!("/clusters/{number}")),
        ScenarioPart::Machines(_) if matches!(why, Error::TooManyMachines) => too_many("/machines", &why),
        ScenarioPart::Machines(number) => of_field(why, &format!("/machines/{number}")),
    }
}

fn too_many(pointer: &str, why: &Error) -> Problem {
    Problem::at(Code::InvalidValue, pointer, why.to_string())
}

/// What is wrong with a cluster or machines.
fn of_field(why: Error, under: &str) -> Problem {
    let field = match &why {
        Error::NameTaken => return Problem::at(Code::InvalidValue, format!("{under}/name"), "the name stands twice"),
        Error::InvalidTemplate(why) => return Problem::at(Code::InvalidName, format!("{under}/name"), why.to_string()),
        Error::UnknownRegion(_) => "region_code",
        Error::UnknownCluster(_) => "cluster_name",
        Error::UnknownMachineType(_) => "machine_type",
        _ => return why.into(),
    };
    let pointer = format!("{under}/{field}");
    Problem::from(why).with_part(Some(pointer))
}
