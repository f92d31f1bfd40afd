//! GET /sim/v1/worlds/{world}

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::{WorldBody, name, show};
use crate::HttpApi;
use crate::docs::{IfNoneMatchParam, WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// Reads a world
///
/// As it is now.
#[utoipa::path(
    tag = "worlds",
    operation_id = "getWorld",
    params(WorldParam, IfNoneMatchParam),
    responses(
        (
            status = 200,
            description = "The world.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!(super::example())
        ),
        (status = 304, description = "It still has the ETag that If-None-Match names."),
        GetWorldProblems,
    )
)]
#[get("/worlds/{world}")]
pub(crate) async fn get_world(request: HttpRequest, api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    show(&request, StatusCode::OK, &api.worlds().get.run(&name(&request)?).await?)
}

problems!(GetWorldProblems: UnknownParameter, InvalidHeader, NoSuchWorld, StoreUnavailable);
