//! GET /sim/v1/worlds/{world}/capacity

use actix_web::{HttpRequest, HttpResponse, get};

use super::{CapacityBody, answer};
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Reads what a world has room for
///
/// With how much of it is held, after all that was due has happened. Its cost does not grow with the fleet.
#[utoipa::path(
    tag = "capacity",
    operation_id = "getCapacity",
    params(WorldParam),
    responses(
        (status = 200, description = "The pools.", body = CapacityBody, example = json!(super::example())),
        GetCapacityProblems,
    )
)]
#[get("/worlds/{world}/capacity")]
pub(crate) async fn get_capacity(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    answer(world.cloud.get_capacity.run().await, |_| None)
}

problems!(GetCapacityProblems: UnknownParameter, NoSuchWorld, Settling, StoreUnavailable);
