//! GET /sim/v1/worlds/{world}/faults/{id}

use actix_web::{HttpRequest, HttpResponse, get};

use super::FaultBody;
use crate::docs::{IdParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, id};

/// Reads a fault
///
/// With how often it matched, after all that was due has happened.
#[utoipa::path(
    tag = "faults",
    operation_id = "getFault",
    params(WorldParam, IdParam),
    responses(
        (status = 200, description = "The fault.", body = FaultBody, example = json!(super::example())),
        GetFaultProblems,
    )
)]
#[get("/worlds/{world}/faults/{id}")]
pub(crate) async fn get_fault(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let view = world.cloud.get_faults.get(id(&request)?).await?;
    Ok(HttpResponse::Ok().json(FaultBody::from(&view)))
}

problems!(GetFaultProblems: InvalidId, UnknownParameter, NoSuchFault, NoSuchWorld, Settling, StoreUnavailable);
