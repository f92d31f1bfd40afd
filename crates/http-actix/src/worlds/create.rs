//! POST /sim/v1/worlds

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use cloudm_application::NewWorldRequest;
use cloudm_domain::{Instant, Preset, Rate, Seed, Span, WorldName};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{WorldBody, made};
use crate::HttpApi;
use crate::answer::request_key;
use crate::body::{Json, not_null, parsed};
use crate::docs::{IdempotencyKeyParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// A world to make. What is absent is chosen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWorld)]
pub(crate) struct NewWorldBody {
    /// Its name.
    #[schema(value_type = String, pattern = "^[a-z0-9-]{1,40}$", example = "test-1")]
    name: WorldName,
    /// Its seed; a random one where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 42)]
    seed: Option<Seed>,
    /// Its first instant, before 2106; 2030-01-01T00:00:00Z where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$", example = "2030-01-01T00:00:00Z")]
    start: Option<Instant>,
    /// How many virtual seconds pass in a second, in thousandths; 0, where it is absent: its time is moved by hand.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 1_000_000, multiple_of = 0.001, example = 60.0)]
    rate: Option<Rate>,
    /// How machines behave in it; `instant` where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = crate::presets::PresetName, required = false)]
    preset: Option<Preset>,
    /// How long a TERMINATED machine stays readable, in virtual time; an hour where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 2, pattern = "^([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?([0-9]{1,8}ms)?$", example = "1h")]
    retention: Option<Span>,
}

/// Makes a world
///
/// A cloud of its own, with its own time. Every route under `/api/v1` serves it under `/worlds/{world}/api/v1`.
#[utoipa::path(
    tag = "worlds",
    operation_id = "createWorld",
    params(IdempotencyKeyParam),
    request_body(content = NewWorldBody, example = json!({"name": "test-1", "seed": 42, "preset": "realistic"})),
    responses(
        (
            status = 201,
            description = "The world.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version."), ("Location" = String, description = "Where it is.")),
            example = json!(super::example())
        ),
        CreateWorldProblems,
    )
)]
#[post("/worlds")]
pub(crate) async fn create_world(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    body: Json<NewWorldBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &body.bytes)?;
    let NewWorldBody { name, seed, start, rate, preset, retention } = body.value;
    let asked = NewWorldRequest { name, seed, start, rate, preset, retention };
    Ok(made(&api.worlds().create.run(asked, key).await?, StatusCode::CREATED))
}

problems!(CreateWorldProblems:
    MissingBody, MalformedJson, UnknownParameter, InvalidHeader, RequestTimeout, NameTaken, TooManyWorlds, BodyTooLarge,
    UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType, InvalidName, InvalidValue,
    IdempotencyMismatch, StoreUnavailable,
);
