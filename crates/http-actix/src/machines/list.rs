//! GET /machines

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::MachineListQuery;
use serde::Serialize;
use utoipa::ToSchema;

use super::{MachineBody, Shown};
use crate::docs::{OrderParam, PageParams, SelectorParams, problems};
use crate::events::encode;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, next_link};

/// A page of machines.
#[derive(Serialize, ToSchema)]
#[schema(as = MachineList)]
pub(crate) struct MachineListBody<'a> {
    /// The machines, in order.
    #[schema(value_type = Vec<MachineBody>)]
    items: Vec<Shown<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
    /// Where the stream of events was before the page was read.
    #[schema(example = "cLFA1mYAAAAAAAAC")]
    position: String,
}

/// Lists machines
///
/// In pages: a page may be short or empty, and only an absent `next_page_token` ends a walk. A walk meets each machine
/// exactly once that exists, matches and keeps its place in the order throughout.
#[utoipa::path(
    tag = "machines",
    operation_id = "listMachines",
    params(SelectorParams, OrderParam, PageParams),
    responses(
        (
            status = 200,
            description = "A page of machines.",
            body = MachineListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!(crate::examples::machine_list())
        ),
        ListMachinesProblems,
    )
)]
#[get("/machines")]
pub(crate) async fn list_machines(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = MachineListQuery {
        selector: query.selector()?,
        order: query.order()?,
        page_size: query.page_size()?,
        page_token: query.one("page_token")?,
    };
    query.end()?;
    let list = world.cloud.list_machines.run(asked).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(&request, token)));
    }
    Ok(response.json(MachineListBody {
        items: list.items.iter().map(Shown).collect(),
        next_page_token: list.next_page_token.as_deref(),
        position: encode(&list.position),
    }))
}

problems!(ListMachinesProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidPageSize, InvalidPageToken, Settling, SettleLimit,
    StoreUnavailable,
);
