//! GET /machines/{id}

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get};

use super::{MachineBody, etag, show};
use crate::conditions;
use crate::docs::{AtParam, IdParam, IfNoneMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Reads a machine
///
/// As it is now: what was due has happened. Reading changes nothing. The ETag is its version and its cluster's.
///
/// With `at`, as it was at an instant; the name and the region of its cluster are still those of now, or of its end.
#[utoipa::path(
    tag = "machines",
    operation_id = "getMachine",
    params(IdParam, AtParam, IfNoneMatchParam),
    responses(
        (
            status = 200,
            description = "The machine.",
            body = MachineBody,
            headers(("ETag" = String, description = "Its version, and its cluster's.")),
            example = json!(crate::examples::machine())
        ),
        (status = 304, description = "It still has the ETag that If-None-Match names."),
        GetMachineProblems,
    )
)]
#[get("/machines/{id}")]
pub(crate) async fn get_machine(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let at = query.instant("at")?;
    query.end()?;
    let id = id(&request)?;
    let view = match at {
        None => world.cloud.get_machine.run(id).await?,
        Some(at) => world.cloud.past_machines.get(id, at).await?,
    };
    let etag = etag(&view);
    if conditions::is_known(&request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(show(StatusCode::OK, &view).response())
}

problems!(GetMachineProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchMachine, InTheFuture,
    BeforeHistory, TooMuchHistory, Throttled, SettleLimit, StoreUnavailable,
);
