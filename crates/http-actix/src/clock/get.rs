//! GET /sim/v1/worlds/{world}/clock

use actix_web::{HttpRequest, HttpResponse, get};

use super::ClockBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Reads a world's clock
///
/// With what is due next, after all that was due before has happened.
#[utoipa::path(
    tag = "clock",
    operation_id = "getClock",
    params(WorldParam),
    responses(
        (status = 200, description = "The clock.", body = ClockBody, example = json!(super::example())),
        GetClockProblems,
    )
)]
#[get("/worlds/{world}/clock")]
pub(crate) async fn get_clock(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    Ok(HttpResponse::Ok().json(ClockBody::from(world.cloud.get_clock.run().await?)))
}

problems!(GetClockProblems: UnknownParameter, NoSuchWorld, Settling, StoreUnavailable);
