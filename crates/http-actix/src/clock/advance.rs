//! POST /sim/v1/worlds/{world}/clock/advance

use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::Target;
use cloudm_domain::{Instant, Span};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AdvancedBody, show};
use crate::answer::request_key;
use crate::body::{Json, not_null, parsed};
use crate::codes::Code;
use crate::docs::{IdempotencyKeyParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// Where to move a clock: `by` or `to`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Advance)]
pub(crate) struct AdvanceBody {
    /// So far ahead, such as `90s`, `5m`, `1h30m` or `PT90S`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,5}(ms|s|m|h)$", example = "2m")]
    by: Option<Span>,
    /// To this instant, which the clock has not passed.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$", example = "2030-01-02T00:00:00Z")]
    to: Option<Instant>,
}

/// Moves a world's clock
///
/// Everything that is due by then has happened when it answers, and it says what. The cost is that of what happens, not of the
/// time that passes. Those who advance at the same time add up.
#[utoipa::path(
    tag = "clock",
    operation_id = "advanceClock",
    params(WorldParam, IdempotencyKeyParam),
    request_body(content = AdvanceBody, example = json!({"by": "2m"})),
    responses(
        (status = 200, description = "What happened.", body = AdvancedBody, example = json!(super::advanced_example())),
        AdvanceClockProblems,
    )
)]
#[post("/worlds/{world}/clock/advance")]
pub(crate) async fn advance_clock(
    request: HttpRequest,
    world: Simulated,
    body: Json<AdvanceBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &body.bytes)?;
    let target = match (body.value.by, body.value.to) {
        (Some(by), None) => Target::By(by),
        (None, Some(to)) => Target::To(to),
        (None, None) => return Err(Problem::at(Code::MissingField, "/by", "or `to` says where to move the clock")),
        (Some(_), Some(_)) => return Err(Problem::at(Code::InvalidValue, "/to", "goes without `by` only")),
    };
    Ok(show(&world.cloud.advance.run(target, key).await?, None))
}

problems!(AdvanceClockProblems:
    MissingBody, MalformedJson, UnknownParameter, InvalidHeader, NoSuchWorld, RequestTimeout, IdempotencyInFlight,
    BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType, InvalidValue, InThePast,
    EndOfTime, IdempotencyMismatch, Contention, OperationsRunning, StoreUnavailable,
);
