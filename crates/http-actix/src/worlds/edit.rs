//! PATCH /sim/v1/worlds/{world}

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, patch, web};
use cloudm_domain::Span;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{WorldBody, etag, name};
use crate::HttpApi;
use crate::body::{Json, not_null};
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// A change of a world; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorldPatch)]
pub(crate) struct WorldPatchBody {
    /// How long a machine stays readable that comes to be TERMINATED from now on, in virtual time.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 2, pattern = "^([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?([0-9]{1,8}ms)?$", example = "24h")]
    retention: Option<Span>,
}

/// Changes a world
///
/// A merge patch (RFC 7396). Its name and seed are for ever; its clock and its behaviour have routes of their own. A change holds
/// from the next instant on, to which the clock is moved.
#[utoipa::path(
    tag = "worlds",
    operation_id = "editWorld",
    params(WorldParam),
    request_body(content(
        (WorldPatchBody = "application/json", example = json!({"retention": "24h"})),
        (WorldPatchBody = "application/merge-patch+json", example = json!({"retention": "24h"})),
    )),
    responses(
        (
            status = 200,
            description = "The world after the change.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!(super::example())
        ),
        EditWorldProblems,
    )
)]
#[patch("/worlds/{world}")]
pub(crate) async fn edit_world(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    body: Json<WorldPatchBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let view = api.worlds().edit.run(&name(&request)?, body.value.retention).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(&view))).json(WorldBody::from(&view)))
}

problems!(EditWorldProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, TooManyRules, BodyTooLarge,
    UnsupportedMediaType, UnknownField, DuplicateField, WrongType, InvalidValue, EndOfTime, Contention, StoreUnavailable,
);
