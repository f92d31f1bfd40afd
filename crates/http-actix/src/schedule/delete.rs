//! DELETE /sim/v1/worlds/{world}/schedule/{id}

use actix_web::{HttpRequest, HttpResponse, delete};

use crate::body::NoBody;
use crate::docs::{IdParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, id};

/// Takes an entry out of a schedule
///
/// One of which nobody was told: what was announced comes to pass.
#[utoipa::path(
    tag = "schedule",
    operation_id = "deleteScheduleEntry",
    params(WorldParam, IdParam),
    responses((status = 204, description = "It is taken out."), DeleteScheduleEntryProblems)
)]
#[delete("/worlds/{world}/schedule/{id}")]
pub(crate) async fn delete_schedule_entry(
    request: HttpRequest,
    world: Simulated,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    world.cloud.set_schedule.remove(id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteScheduleEntryProblems:
    InvalidId, UnexpectedBody, UnknownParameter, NoSuchScheduleEntry, NoSuchWorld, RequestTimeout, Announced, BodyTooLarge,
    EndOfTime, Contention, StoreUnavailable,
);
