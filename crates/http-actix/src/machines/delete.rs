//! DELETE /machines/{id}

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete};

use super::{MachineBody, show};
use crate::answer::writing;
use crate::body::NoBody;
use crate::docs::{DryRunParam, IdParam, IfMatchParam, PreferParam, StruckDownProblems, problems};
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Deletes a machine
///
/// It is terminated, and forgotten once it is TERMINATED: from that instant it is 404, and its name is free. To keep its
/// record readable for a while, ask the operation TERMINATE instead.
///
/// With `Prefer: wait=N` it answers when the machine is gone, or after N seconds.
#[utoipa::path(
    tag = "machines",
    operation_id = "deleteMachine",
    params(IdParam, DryRunParam, IfMatchParam, PreferParam),
    responses(
        (
            status = 202,
            description = "The machine on its way.",
            body = MachineBody,
            headers(
                ("ETag" = String, description = "Its version, and its cluster's."),
                ("Preference-Applied" = String, description = "Which preference was applied."),
            ),
            example = json!(crate::examples::terminating_machine())
        ),
        (
            status = 204,
            description = "It is gone.",
            headers(("Preference-Applied" = String, description = "Which preference was applied."))
        ),
        DeleteMachineProblems,
        StruckDownProblems,
    )
)]
#[delete("/machines/{id}")]
pub(crate) async fn delete_machine(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    let prefer = if writing.dry_run { Prefer::default() } else { Prefer::of(&request) };
    let view = world.cloud.delete_machine.run(id(&request)?, writing).await?;
    let (left, waited) = prefer.wait_for_end(&world, view).await;
    let response = match left {
        None => HttpResponse::NoContent().finish(),
        Some(view) => show(StatusCode::ACCEPTED, &view).response(),
    };
    Ok(prefer.waited(response, waited))
}

problems!(DeleteMachineProblems:
    NoSuchWorld, InvalidId, UnexpectedBody, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchMachine,
    RequestTimeout, Protected, VersionMismatch, BodyTooLarge, Throttled, SettleLimit, Contention, RegionOutage, StoreUnavailable,
);
