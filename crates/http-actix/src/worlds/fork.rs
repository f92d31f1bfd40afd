//! POST /sim/v1/worlds/{world}/fork

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use cloudm_domain::{Seed, WorldName};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{WorldBody, made, name};
use crate::HttpApi;
use crate::answer::request_key;
use crate::body::{Json, not_null};
use crate::docs::{IdempotencyKeyParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// A fork to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewFork)]
pub(crate) struct NewForkBody {
    /// Its name.
    #[schema(value_type = String, pattern = "^[a-z0-9-]{1,40}$", example = "test-2")]
    name: WorldName,
    /// Its seed; where it is absent that of the world it is a fork of, and so the same future.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 43)]
    seed: Option<Seed>,
}

/// Copies a world
///
/// A fork is all that the world is at this instant, and knows nothing of it from then on. Kept answers stay behind.
#[utoipa::path(
    tag = "worlds",
    operation_id = "forkWorld",
    params(WorldParam, IdempotencyKeyParam),
    request_body(content = NewForkBody, example = json!({"name": "test-2"})),
    responses(
        (
            status = 201,
            description = "The fork.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version."), ("Location" = String, description = "Where it is.")),
            example = json!(super::example())
        ),
        ForkWorldProblems,
    )
)]
#[post("/worlds/{world}/fork")]
pub(crate) async fn fork_world(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    body: Json<NewForkBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &body.bytes)?;
    let NewForkBody { name: fork, seed } = body.value;
    Ok(made(&api.worlds().fork.run(&name(&request)?, (fork, seed), key).await?, StatusCode::CREATED))
}

problems!(ForkWorldProblems:
    MissingBody, MalformedJson, UnknownParameter, InvalidHeader, NoSuchWorld, RequestTimeout, NameTaken, TooManyWorlds,
    BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType, InvalidName, InvalidValue,
    IdempotencyMismatch, Contention, StoreUnavailable,
);
