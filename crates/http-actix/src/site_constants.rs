//! The codes of the site: regions, machine types, states and operations.

use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_domain::{Catalogue, MachineState, Operation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::codes::Code;
use crate::docs::{ConstantParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::World;

/// One kind of constants.
#[derive(Serialize, ToSchema)]
pub(crate) struct SiteConstants {
    /// Which.
    #[schema(example = "region")]
    constant: &'static str,
    /// Its values, in their order.
    values: Vec<SiteConstant>,
}

/// A code and what it stands for.
#[derive(Serialize, ToSchema)]
pub(crate) struct SiteConstant {
    /// The code that requests use.
    #[schema(example = "A")]
    code: String,
    /// The name for people.
    #[schema(example = "Amsterdam")]
    name: String,
    /// Virtual processors, of a machine type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    vcpus: Option<u32>,
    /// Memory in MiB, of a machine type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    memory_mib: Option<u32>,
    /// Price of an hour of RUNNING in millionths of the currency unit, of a machine type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    price_per_hour_micros: Option<u64>,
}

/// One kind of constants, or all.
#[derive(Serialize, ToSchema)]
#[schema(as = SiteConstantsAnswer)]
pub(crate) struct SiteConstantsBody {
    /// Which constants, where one kind was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "region")]
    constant: Option<&'static str>,
    /// Its values, where one kind was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<SiteConstant>, required = false)]
    values: Option<Vec<SiteConstant>>,
    /// All kinds, where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<SiteConstants>, required = false)]
    items: Option<Vec<SiteConstants>>,
}

const KINDS: [&str; 4] = ["region", "machine_state", "machine_operation", "machine_type"];

/// Lists the codes of regions, machine states, operations or machine types
///
/// Without `constant`, all of them, as `{"items": [...]}`.
#[utoipa::path(
    tag = "site",
    operation_id = "listSiteConstants",
    params(ConstantParam),
    responses(
        (
            status = 200,
            description = "The codes and names.",
            body = SiteConstantsBody,
            example = json!({"constant": "region", "values": [{"code": "A", "name": "Amsterdam"}]})
        ),
        SiteConstantsProblems,
    )
)]
#[get("/site-constants")]
pub(crate) async fn list_site_constants(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = query.one("constant")?;
    query.end()?;
    let catalogue = world.cloud.catalogue();
    match asked {
        None => {
            let items = KINDS.into_iter().filter_map(|kind| constants(kind, catalogue)).collect();
            Ok(HttpResponse::Ok().json(SiteConstantsBody { constant: None, values: None, items: Some(items) }))
        }
        Some(kind) => match constants(&kind, catalogue) {
            Some(SiteConstants { constant, values }) => {
                let body = SiteConstantsBody { constant: Some(constant), values: Some(values), items: None };
                Ok(HttpResponse::Ok().json(body))
            }
            None => {
                let detail = format!("is one of {}", KINDS.join(", "));
                Err(Problem::at(Code::UnknownConstant, "constant", detail).with("constants", KINDS.to_vec()))
            }
        },
    }
}

problems!(SiteConstantsProblems: NoSuchWorld, UnknownConstant, UnknownParameter, DuplicateParameter, Throttled, StoreUnavailable);

fn constants(kind: &str, catalogue: &Catalogue) -> Option<SiteConstants> {
    let (constant, values) = match kind {
        "region" => (KINDS[0], catalogue.regions().iter().map(|r| named(r.code.as_str(), &r.name)).collect()),
        "machine_state" => (KINDS[1], MachineState::ALL.iter().map(|s| named(s.code(), &title(s.code()))).collect()),
        "machine_operation" => (KINDS[2], Operation::ALL.iter().map(|o| named(o.code(), &title(o.code()))).collect()),
        "machine_type" => (KINDS[3], catalogue.machine_types().iter().map(machine_type).collect()),
        _ => return None,
    };
    Some(SiteConstants { constant, values })
}

fn named(code: &str, name: &str) -> SiteConstant {
    SiteConstant { code: code.into(), name: name.into(), vcpus: None, memory_mib: None, price_per_hour_micros: None }
}

fn machine_type(machine_type: &cloudm_domain::MachineType) -> SiteConstant {
    let code = machine_type.code.as_str();
    let name = format!("{} vCPU, {} MiB", machine_type.vcpus, machine_type.memory_mib);
    SiteConstant {
        vcpus: Some(machine_type.vcpus),
        memory_mib: Some(machine_type.memory_mib),
        price_per_hour_micros: Some(machine_type.price_per_hour_micros),
        ..named(code, &name)
    }
}

/// `RUNNING` as `Running`.
fn title(code: &str) -> String {
    let mut title = code.to_lowercase();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}
