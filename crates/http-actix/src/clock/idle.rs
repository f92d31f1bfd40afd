//! POST /sim/v1/worlds/{world}/clock/run-until-idle

use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::clock::RunUntilIdle;
use cloudm_domain::Span;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AdvancedBody, show};
use crate::answer::request_key;
use crate::body::{OptionalJson, not_null};
use crate::docs::{IdempotencyKeyParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// How far to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UntilIdle)]
pub(crate) struct UntilIdleBody {
    /// How far at most; a virtual day where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,5}(ms|s|m|h)$", example = "24h")]
    limit: Option<Span>,
}

/// Moves a world's clock until nothing is on its way
///
/// To the first instant at which no machine is in an active state that ends by itself: one that is stuck is not waited for. It
/// needs no body.
#[utoipa::path(
    tag = "clock",
    operation_id = "runUntilIdle",
    params(WorldParam, IdempotencyKeyParam),
    request_body(content = UntilIdleBody, example = json!({"limit": "24h"})),
    responses(
        (status = 200, description = "What happened.", body = AdvancedBody, example = json!(super::advanced_example())),
        RunUntilIdleProblems,
    )
)]
#[post("/worlds/{world}/clock/run-until-idle")]
pub(crate) async fn run_until_idle(
    request: HttpRequest,
    world: Simulated,
    body: OptionalJson<UntilIdleBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &body.0.bytes)?;
    let limit = body.0.value.limit.unwrap_or(RunUntilIdle::DEFAULT_LIMIT);
    let (advanced, idle) = world.cloud.run_until_idle.run(limit, key).await?;
    Ok(show(&advanced, Some(idle)))
}

problems!(RunUntilIdleProblems:
    MalformedJson, UnknownParameter, InvalidHeader, NoSuchWorld, RequestTimeout, IdempotencyInFlight, BodyTooLarge,
    UnsupportedMediaType, UnknownField, DuplicateField, WrongType, InvalidValue, EndOfTime, IdempotencyMismatch,
    Contention, OperationsRunning, StoreUnavailable,
);
