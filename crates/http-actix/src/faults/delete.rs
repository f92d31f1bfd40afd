//! DELETE /sim/v1/worlds/{world}/faults/{id}

use actix_web::{HttpRequest, HttpResponse, delete};

use crate::body::NoBody;
use crate::docs::{IdParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, id};

/// Removes a fault
///
/// It holds no more from the next instant on, to which the clock is moved. What it did stays.
#[utoipa::path(
    tag = "faults",
    operation_id = "deleteFault",
    params(WorldParam, IdParam),
    responses((status = 204, description = "It is removed."), DeleteFaultProblems)
)]
#[delete("/worlds/{world}/faults/{id}")]
pub(crate) async fn delete_fault(request: HttpRequest, world: Simulated, _: NoBody) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    world.cloud.set_faults.remove(id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteFaultProblems:
    InvalidId, UnexpectedBody, UnknownParameter, NoSuchFault, NoSuchWorld, RequestTimeout, BodyTooLarge, EndOfTime, Contention,
    StoreUnavailable,
);
