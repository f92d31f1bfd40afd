//! GET /sim/v1/worlds/{world}/schedule

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::EntryBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// The schedule of a world.
#[derive(Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleBody {
    /// All entries, the first that was posted first.
    #[schema(max_items = 1000)]
    items: Vec<EntryBody>,
}

/// Reads the schedule of a world
///
/// Also what is over.
#[utoipa::path(
    tag = "schedule",
    operation_id = "getSchedule",
    params(WorldParam),
    responses(
        (
            status = 200,
            description = "The schedule.",
            body = ScheduleBody,
            example = json!({"items": [super::example()]})
        ),
        GetScheduleProblems,
    )
)]
#[get("/worlds/{world}/schedule")]
pub(crate) async fn get_schedule(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let (entries, now) = world.cloud.get_schedule.list().await?;
    let items = entries.iter().map(|entry| EntryBody::of(entry, now)).collect();
    Ok(HttpResponse::Ok().json(ScheduleBody { items }))
}

problems!(GetScheduleProblems: UnknownParameter, NoSuchWorld, StoreUnavailable);
