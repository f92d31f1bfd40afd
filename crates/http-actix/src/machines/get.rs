//! GET /machines/{id}

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get};

use super::{MachineBody, etag, show};
use crate::conditions;
use crate::docs::{IdParam, IfNoneMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Reads a machine
///
/// As it is now: what was due has happened. Reading changes nothing. The ETag is its version and its cluster's.
#[utoipa::path(
    tag = "machines",
    operation_id = "getMachine",
    params(IdParam, IfNoneMatchParam),
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
    Query::of(&request)?.end()?;
    let view = world.cloud.get_machine.run(id(&request)?).await?;
    let etag = etag(&view);
    if conditions::is_known(&request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(show(StatusCode::OK, &view).response())
}

problems!(GetMachineProblems:
    NoSuchWorld, InvalidId, UnknownParameter, InvalidHeader, NoSuchMachine, SettleLimit, StoreUnavailable,
);
