//! PATCH /sim/v1/worlds/{world}/clock

use actix_web::{HttpRequest, HttpResponse, patch};
use cloudm_domain::Rate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ClockBody;
use crate::body::Json;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// A change of a clock.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClockPatch)]
pub(crate) struct ClockPatchBody {
    /// How many virtual seconds are to pass in a second, in thousandths: 1 is real time, 60 makes a minute of a second, 0 pauses
    /// it.
    #[schema(value_type = f64, minimum = 0, maximum = 1_000_000, multiple_of = 0.001, example = 60.0)]
    rate: Rate,
}

/// Sets how fast a world's clock runs
///
/// It goes on from what it says now.
#[utoipa::path(
    tag = "clock",
    operation_id = "editClock",
    params(WorldParam),
    request_body(content(
        (ClockPatchBody = "application/json", example = json!({"rate": 60})),
        (ClockPatchBody = "application/merge-patch+json", example = json!({"rate": 0})),
    )),
    responses(
        (status = 200, description = "The clock.", body = ClockBody, example = json!(super::example())),
        EditClockProblems,
    )
)]
#[patch("/worlds/{world}/clock")]
pub(crate) async fn edit_clock(
    request: HttpRequest,
    world: Simulated,
    body: Json<ClockPatchBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    Ok(HttpResponse::Ok().json(ClockBody::from(world.cloud.set_rate.run(body.value.rate).await?)))
}

problems!(EditClockProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, BodyTooLarge, UnsupportedMediaType,
    UnknownField, DuplicateField, MissingField, WrongType, InvalidValue, Contention, StoreUnavailable,
);
