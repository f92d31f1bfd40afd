//! GET /operations

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::OperationBody;
use crate::docs::{PageParams, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, next_link};

/// A page of operations.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationList)]
pub(crate) struct OperationListBody<'a> {
    /// The operations, the last accepted first.
    items: Vec<OperationBody<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
}

/// Lists operations
///
/// The last accepted first. They are kept for 24 hours of wall time after their end.
#[utoipa::path(
    tag = "operations",
    operation_id = "listOperations",
    params(PageParams),
    responses(
        (
            status = 200,
            description = "A page of operations.",
            body = OperationListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!({"items": [crate::examples::operation()]})
        ),
        ListOperationsProblems,
    )
)]
#[get("/operations")]
pub(crate) async fn list_operations(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let (page_size, page_token) = (query.page_size()?, query.one("page_token")?);
    query.end()?;
    let list = world.cloud.list_operations.run(page_size, page_token).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(&request, token)));
    }
    let items = list.items.iter().map(OperationBody::from).collect();
    Ok(response.json(OperationListBody { items, next_page_token: list.next_page_token.as_deref() }))
}

problems!(ListOperationsProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidPageSize, InvalidPageToken, Throttled, StoreUnavailable,
);
