//! DELETE /machines/{id}

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete};
use cloudm_domain::MachineState;

use super::{MachineBody, show};
use crate::answer::writing;
use crate::body::NoBody;
use crate::docs::{DryRunParam, IdParam, IfMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Deletes a machine
///
/// It is terminated, and forgotten once it is TERMINATED: from that instant it is 404, and its name is free. To keep its
/// record readable for a while, ask the operation TERMINATE instead.
#[utoipa::path(
    tag = "machines",
    operation_id = "deleteMachine",
    params(IdParam, DryRunParam, IfMatchParam),
    responses(
        (
            status = 202,
            description = "The machine on its way.",
            body = MachineBody,
            headers(("ETag" = String, description = "Its version, and its cluster's.")),
            example = json!(crate::examples::terminating_machine())
        ),
        (status = 204, description = "It is gone."),
        DeleteMachineProblems,
    )
)]
#[delete("/machines/{id}")]
pub(crate) async fn delete_machine(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    let view = world.cloud.delete_machine.run(id(&request)?, writing).await?;
    if view.machine.state == MachineState::Terminated {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(show(StatusCode::ACCEPTED, &view).response())
}

problems!(DeleteMachineProblems:
    NoSuchWorld, InvalidId, UnexpectedBody, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchMachine,
    RequestTimeout, Protected, VersionMismatch, BodyTooLarge, SettleLimit, Contention, StoreUnavailable,
);
