//! GET /operations/{id}/wait

use actix_web::{HttpRequest, HttpResponse, get};

use super::OperationBody;
use crate::docs::{IdParam, TimeoutParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Waits for an operation to end
///
/// It answers as soon as the operation has ended. The time to wait is wall time.
#[utoipa::path(
    tag = "operations",
    operation_id = "waitForOperation",
    params(IdParam, TimeoutParam),
    responses(
        (
            status = 200,
            description = "The operation, which has ended.",
            body = OperationBody,
            example = json!(crate::examples::operation())
        ),
        WaitForOperationProblems,
    )
)]
#[get("/operations/{id}/wait")]
pub(crate) async fn wait_for_operation(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let timeout = query.timeout()?;
    query.end()?;
    let operation = world.cloud.wait_for_operation.run(id(&request)?, timeout).await?;
    Ok(HttpResponse::Ok().json(OperationBody::from(&operation)))
}

problems!(WaitForOperationProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidParameter, NoSuchOperation, WaitTimeout,
    Throttled, StoreUnavailable,
);
