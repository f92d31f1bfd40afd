//! POST /sim/v1/worlds/{world}/clock/advance-to-next

use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::Target;

use super::{AdvancedBody, show};
use crate::answer::request_key;
use crate::body::NoBody;
use crate::docs::{IdempotencyKeyParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Moves a world's clock to when the next thing happens
///
/// Where nothing is to happen, the clock stays.
#[utoipa::path(
    tag = "clock",
    operation_id = "advanceClockToNext",
    params(WorldParam, IdempotencyKeyParam),
    responses(
        (status = 200, description = "What happened.", body = AdvancedBody, example = json!(super::advanced_example())),
        AdvanceToNextProblems,
    )
)]
#[post("/worlds/{world}/clock/advance-to-next")]
pub(crate) async fn advance_to_next(
    request: HttpRequest,
    world: Simulated,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &[])?;
    Ok(show(&world.cloud.advance.run(Target::Next, key).await?, None))
}

problems!(AdvanceToNextProblems:
    UnexpectedBody, UnknownParameter, InvalidHeader, NoSuchWorld, RequestTimeout, IdempotencyInFlight, BodyTooLarge,
    IdempotencyMismatch, Contention, OperationsRunning, StoreUnavailable,
);
