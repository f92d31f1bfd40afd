//! DELETE /sim/v1/worlds/{world}

use actix_web::{HttpRequest, HttpResponse, delete, web};

use super::name;
use crate::HttpApi;
use crate::body::NoBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;

/// Deletes a world
///
/// With all that is in it. `default` always exists.
#[utoipa::path(
    tag = "worlds",
    operation_id = "deleteWorld",
    params(WorldParam),
    responses((status = 204, description = "It is deleted."), DeleteWorldProblems)
)]
#[delete("/worlds/{world}")]
pub(crate) async fn delete_world(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    api.worlds().delete.run(&name(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteWorldProblems:
    UnexpectedBody, UnknownParameter, NoSuchWorld, RequestTimeout, DefaultWorld, BodyTooLarge, Contention,
    StoreUnavailable,
);
