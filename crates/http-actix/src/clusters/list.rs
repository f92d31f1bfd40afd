//! GET /clusters

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::ClusterListQuery;
use serde::Serialize;
use utoipa::ToSchema;

use super::ClusterBody;
use crate::docs::{ClusterSelectorParams, OrderParam, PageParams, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, next_link};

/// A page of clusters.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterList)]
pub(crate) struct ClusterListBody<'a> {
    /// The clusters, in order.
    items: Vec<ClusterBody<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
}

/// Lists clusters
///
/// In pages: a page may be short, and only an absent `next_page_token` ends a walk.
#[utoipa::path(
    tag = "clusters",
    operation_id = "listClusters",
    params(ClusterSelectorParams, OrderParam, PageParams),
    responses(
        (
            status = 200,
            description = "A page of clusters.",
            body = ClusterListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!({"items": [{"id": "70dbd8809c404bf3976680b0", "name": "cluster1", "region_code": "A",
                "version": 1, "created_at": "2030-01-01T00:00:00.000Z", "updated_at": "2030-01-01T00:00:00.000Z"}]})
        ),
        ListClustersProblems,
    )
)]
#[get("/clusters")]
pub(crate) async fn list_clusters(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = ClusterListQuery {
        regions: query.regions()?,
        name: query.name_pattern()?,
        order: query.order()?,
        page_size: query.page_size()?,
        page_token: query.one("page_token")?,
    };
    query.end()?;
    let list = world.cloud.list_clusters.run(asked).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(&request, token)));
    }
    let items = list.items.iter().map(|cluster| ClusterBody::from(&**cluster)).collect();
    Ok(response.json(ClusterListBody { items, next_page_token: list.next_page_token.as_deref() }))
}

problems!(ListClustersProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidPageSize, InvalidPageToken, Throttled, StoreUnavailable,
);
