//! GET /machines/{id}/events

use actix_web::{HttpRequest, HttpResponse, get, web};

use crate::HttpApi;
use crate::docs::{AfterParam, IdParam, LastEventIdParam, PageParams, problems};
use crate::events::{EventListBody, page};
use crate::problem::Problem;
use crate::world::{World, id};

/// Lists what happened to a machine, or streams what happens
///
/// Its history from its creation, newest last, with everything that was due; with `Accept: text/event-stream` a stream, as of
/// all events.
#[utoipa::path(
    tag = "events",
    operation_id = "listMachineEvents",
    params(IdParam, AfterParam, LastEventIdParam, PageParams),
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
pub(crate) async fn list_machine_events(
    request: HttpRequest,
    world: World,
    api: web::Data<HttpApi>,
) -> Result<HttpResponse, Problem> {
    page(&request, (&world, &api.streams), Some(id(&request)?)).await
}

problems!(ListMachineEventsProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, InvalidPageSize, InvalidPageToken, InvalidPosition,
    PositionGone, NoSuchMachine, Throttled, SettleLimit, StoreUnavailable, TooManySubscribers,
);
