//! POST /sim/v1/worlds/{world}/reset

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{WorldBody, made, name};
use crate::HttpApi;
use crate::answer::request_key;
use crate::body::NoBody;
use crate::docs::{IdempotencyKeyParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// Lets a world begin anew
///
/// With the seed, start, rate, preset and retention that it was made with, and nothing in it. A request under way meanwhile sees
/// the old world or the new one. A fork begins where the world began that it is a fork of.
#[utoipa::path(
    tag = "worlds",
    operation_id = "resetWorld",
    params(WorldParam, IdempotencyKeyParam),
    responses(
        (
            status = 200,
            description = "The world, new.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!(super::example())
        ),
        ResetWorldProblems,
    )
)]
#[post("/worlds/{world}/reset")]
pub(crate) async fn reset_world(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let key = request_key(&request, &[])?;
    Ok(made(&api.worlds().reset.run(&name(&request)?, key).await?, StatusCode::OK))
}

problems!(ResetWorldProblems:
    UnexpectedBody, UnknownParameter, InvalidHeader, NoSuchWorld, RequestTimeout, BodyTooLarge, IdempotencyMismatch,
    Contention, StoreUnavailable,
);
