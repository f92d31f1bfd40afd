//! GET /machines/{id}/events

use actix_web::{HttpRequest, HttpResponse, get};

use crate::docs::{AfterParam, IdParam, PageParams, problems};
use crate::events::{EventListBody, page};
use crate::problem::Problem;
use crate::world::{World, id};

/// Lists what happened to a machine
///
/// Its history from its creation, newest last, with everything that was due.
#[utoipa::path(
    tag = "events",
    operation_id = "listMachineEvents",
    params(IdParam, AfterParam, PageParams),
    responses(
        (
            status = 200,
            description = "A page of events.",
            body = EventListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!(crate::examples::event_list())
        ),
        ListMachineEventsProblems,
    )
)]
#[get("/machines/{id}/events")]
pub(crate) async fn list_machine_events(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    page(&request, &world, Some(id(&request)?)).await
}

problems!(ListMachineEventsProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidPageSize, InvalidPageToken, InvalidPosition,
    NoSuchMachine, SettleLimit, StoreUnavailable,
);
