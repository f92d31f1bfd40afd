//! GET /machines

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::{MachineListQuery, MachineView, PastListQuery};
use cloudm_domain::{Instant, OrderKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MachineBody, Shown, text};
use crate::docs::{AtParam, OrderParam, PageParams, SelectorParams, problems};
use crate::events::encode;
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::world::{World, next_link};

/// A page of machines.
#[derive(Serialize, ToSchema)]
#[schema(as = MachineList)]
pub(crate) struct MachineListBody<'a> {
    /// The machines, in order.
    #[schema(value_type = Vec<MachineBody>)]
    pub(super) items: Vec<Shown<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_page_token: Option<&'a str>,
    /// Where the stream of events was before the page was read; absent in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "cLFA1mYAAAAAAAAC")]
    pub(super) position: Option<String>,
}

/// Lists machines
///
/// In pages: a page may be short or empty, and only an absent `next_page_token` ends a walk. A walk meets each machine
/// exactly once that exists, matches and keeps its place in the order throughout.
///
/// With `at`, those that matched at an instant, as they were, in the order of their creation; machines that exist no more are
/// among them. The names and regions of clusters are still those of now, or of their end.
#[utoipa::path(
    tag = "machines",
    operation_id = "listMachines",
    params(SelectorParams, OrderParam, AtParam, PageParams),
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
    let at = query.instant("at")?;
    let asked = MachineListQuery {
        selector: query.selector()?,
        order: query.order()?,
        page_size: query.page_size()?,
        page_token: query.one("page_token")?,
    };
    query.end()?;
    if let Some(at) = at {
        let past = world.cloud.past_machines.list(then(at, asked)?).await?;
        return Ok(page(&request, &past.items, past.next_page_token.as_deref(), None));
    }
    let list = world.cloud.list_machines.run(asked).await?;
    Ok(page(&request, &list.items, list.next_page_token.as_deref(), Some(encode(&list.position))))
}

/// What is asked of the list, asked of its past.
fn then(at: Instant, asked: MachineListQuery) -> Result<PastListQuery, Problem> {
    let MachineListQuery { selector, order, page_size, page_token } = asked;
    if order.key != OrderKey::CreatedAt {
        return Err(invalid("order_by", "with at, the order is created_at or -created_at"));
    }
    Ok(PastListQuery { at, selector, descending: order.descending, page_size, page_token })
}

fn page(request: &HttpRequest, items: &[MachineView], token: Option<&str>, position: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(token) = token {
        response.insert_header((header::LINK, next_link(request, token)));
    }
    let items = items.iter().map(Shown).collect();
    let list = text::list(&MachineListBody { items, next_page_token: token, position });
    response.content_type("application/json").body(list)
}

problems!(ListMachinesProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidPageSize, InvalidPageToken, InTheFuture,
    BeforeHistory, TooMuchHistory, Throttled, Settling, SettleLimit, StoreUnavailable,
);
