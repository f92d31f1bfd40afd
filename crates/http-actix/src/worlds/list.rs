//! GET /sim/v1/worlds

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::WorldBody;
use crate::HttpApi;
use crate::docs::{PageParams, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::next_link;

/// A page of worlds.
#[derive(Serialize, ToSchema)]
#[schema(as = WorldList)]
pub(crate) struct WorldListBody<'a> {
    /// The worlds, in the order of their names.
    items: Vec<WorldBody<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
}

/// Lists worlds
///
/// In the order of their names.
#[utoipa::path(
    tag = "worlds",
    operation_id = "listWorlds",
    params(PageParams),
    responses(
        (
            status = 200,
            description = "A page of worlds.",
            body = WorldListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!({"items": [super::example()]})
        ),
        ListWorldsProblems,
    )
)]
#[get("/worlds")]
pub(crate) async fn list_worlds(request: HttpRequest, api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let (page_size, page_token) = (query.page_size()?, query.one("page_token")?);
    query.end()?;
    let list = api.worlds().list.run(page_size, page_token).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(&request, token)));
    }
    let items = list.items.iter().map(WorldBody::from).collect();
    Ok(response.json(WorldListBody { items, next_page_token: list.next_page_token.as_deref() }))
}

problems!(ListWorldsProblems:
    UnknownParameter, DuplicateParameter, InvalidPageSize, InvalidPageToken, StoreUnavailable,
);
