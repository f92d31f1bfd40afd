//! DELETE /sim/v1/worlds/{world}/faults

use actix_web::{HttpRequest, HttpResponse, delete};

use crate::body::NoBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Removes all faults of a world
///
/// They hold no more from the next instant on, to which the clock is moved. Where there is none, nothing changes.
#[utoipa::path(
    tag = "faults",
    operation_id = "deleteFaults",
    params(WorldParam),
    responses((status = 204, description = "There is none any more."), DeleteFaultsProblems)
)]
#[delete("/worlds/{world}/faults")]
pub(crate) async fn delete_faults(request: HttpRequest, world: Simulated, _: NoBody) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    world.cloud.set_faults.remove_all().await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteFaultsProblems:
    UnexpectedBody, UnknownParameter, NoSuchWorld, RequestTimeout, BodyTooLarge, EndOfTime, Contention, StoreUnavailable,
);
