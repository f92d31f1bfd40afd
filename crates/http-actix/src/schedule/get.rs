//! GET /sim/v1/worlds/{world}/schedule/{id}

use actix_web::{HttpRequest, HttpResponse, get};

use super::EntryBody;
use crate::docs::{IdParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, id};

/// Reads an entry of a schedule
///
/// Also one that is over.
#[utoipa::path(
    tag = "schedule",
    operation_id = "getScheduleEntry",
    params(WorldParam, IdParam),
    responses(
        (status = 200, description = "The entry.", body = EntryBody, example = json!(super::example())),
        GetScheduleEntryProblems,
    )
)]
#[get("/worlds/{world}/schedule/{id}")]
pub(crate) async fn get_schedule_entry(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let (entry, now) = world.cloud.get_schedule.get(id(&request)?).await?;
    Ok(HttpResponse::Ok().json(EntryBody::of(&entry, now)))
}

problems!(GetScheduleEntryProblems: InvalidId, UnknownParameter, NoSuchScheduleEntry, NoSuchWorld, StoreUnavailable);
