//! DELETE /operations/{id}

use actix_web::{HttpRequest, HttpResponse, delete};

use super::OperationBody;
use crate::body::NoBody;
use crate::docs::{IdParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Cancels an operation
///
/// It is CANCELLED, and decides no more machines; what was done stays done. One that has ended stays as it is.
#[utoipa::path(
    tag = "operations",
    operation_id = "cancelOperation",
    params(IdParam),
    responses(
        (
            status = 200,
            description = "The operation, which has ended.",
            body = OperationBody,
            example = json!(crate::examples::cancelled_operation())
        ),
        CancelOperationProblems,
    )
)]
#[delete("/operations/{id}")]
pub(crate) async fn cancel_operation(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let operation = world.cloud.cancel_operation.run(id(&request)?).await?;
    Ok(HttpResponse::Ok().json(OperationBody::from(&operation)))
}

problems!(CancelOperationProblems:
    NoSuchWorld, InvalidId, UnexpectedBody, UnknownParameter, NoSuchOperation, RequestTimeout, BodyTooLarge, Throttled, StoreUnavailable,
);
