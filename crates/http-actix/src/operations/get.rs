//! GET /operations/{id}

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::{OperationBody, follow};
use crate::HttpApi;
use crate::docs::{IdParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::stream;
use crate::world::{World, id};

/// Reads an operation, or streams its progress
///
/// With `Accept: text/event-stream` it is a stream of server-sent events: an event `progress` with the operation, first as it is
/// and then whenever it has changed, and at the end an event `end` that says why: `ended`, mostly.
#[utoipa::path(
    tag = "operations",
    operation_id = "getOperation",
    params(IdParam),
    responses(
        (
            status = 200,
            description = "The operation, as far as it is.",
            body = OperationBody,
            example = json!(crate::examples::operation())
        ),
        GetOperationProblems,
    )
)]
#[get("/operations/{id}")]
pub(crate) async fn get_operation(
    request: HttpRequest,
    world: World,
    api: web::Data<HttpApi>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = id(&request)?;
    if stream::is_asked_for(&request) {
        return follow::answer(&request, &api.streams, world.cloud, id).await;
    }
    let operation = world.cloud.get_operation.run(id).await?;
    Ok(HttpResponse::Ok().json(OperationBody::from(&operation)))
}

problems!(GetOperationProblems:
    NoSuchWorld, InvalidId, UnknownParameter, NoSuchOperation, Throttled, StoreUnavailable, TooManySubscribers,
);
