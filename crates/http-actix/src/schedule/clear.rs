//! DELETE /sim/v1/worlds/{world}/schedule

use actix_web::{HttpRequest, HttpResponse, delete};

use crate::body::NoBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Takes out of a schedule all that nobody was told
///
/// What was announced comes to pass, and stays. Where there is nothing else, nothing changes.
#[utoipa::path(
    tag = "schedule",
    operation_id = "deleteSchedule",
    params(WorldParam),
    responses((status = 204, description = "All that is left was announced."), DeleteScheduleProblems)
)]
#[delete("/worlds/{world}/schedule")]
pub(crate) async fn delete_schedule(
    request: HttpRequest,
    world: Simulated,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    world.cloud.set_schedule.remove_all().await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteScheduleProblems:
    UnexpectedBody, UnknownParameter, NoSuchWorld, RequestTimeout, BodyTooLarge, EndOfTime, Contention, StoreUnavailable,
);
