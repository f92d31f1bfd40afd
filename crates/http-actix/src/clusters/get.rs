//! GET /clusters/{id}

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get};

use super::{ClusterBody, etag, show};
use crate::conditions;
use crate::docs::{IdParam, IfNoneMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Reads a cluster
///
/// The ETag is its version.
#[utoipa::path(
    tag = "clusters",
    operation_id = "getCluster",
    params(IdParam, IfNoneMatchParam),
    responses(
        (
            status = 200,
            description = "The cluster.",
            body = ClusterBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"id": "70dbd8809c404bf3976680b0", "name": "cluster1", "region_code": "A", "version": 1,
                "created_at": "2030-01-01T00:00:00.000Z", "updated_at": "2030-01-01T00:00:00.000Z"})
        ),
        (status = 304, description = "It still has the ETag that If-None-Match names."),
        GetClusterProblems,
    )
)]
#[get("/clusters/{id}")]
pub(crate) async fn get_cluster(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let cluster = world.cloud.get_cluster.run(id(&request)?).await?;
    let etag = etag(&cluster);
    if conditions::is_known(&request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(show(StatusCode::OK, &cluster).response())
}

problems!(GetClusterProblems: NoSuchWorld, InvalidId, UnknownParameter, InvalidHeader, NoSuchCluster, Throttled, StoreUnavailable);
