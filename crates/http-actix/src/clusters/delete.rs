//! DELETE /clusters/{id}

use actix_web::{HttpRequest, HttpResponse, delete};

use crate::answer::writing;
use crate::body::NoBody;
use crate::docs::{DryRunParam, IdParam, IfMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// Deletes a cluster
///
/// Only one without machines; the records of TERMINATED ones go with it.
#[utoipa::path(
    tag = "clusters",
    operation_id = "deleteCluster",
    params(IdParam, DryRunParam, IfMatchParam),
    responses((status = 204, description = "It is deleted."), DeleteClusterProblems)
)]
#[delete("/clusters/{id}")]
pub(crate) async fn delete_cluster(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    world.cloud.delete_cluster.run(id(&request)?, writing).await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteClusterProblems:
    NoSuchWorld, InvalidId, UnexpectedBody, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchCluster,
    RequestTimeout, ClusterNotEmpty, VersionMismatch, BodyTooLarge, Settling, Contention, StoreUnavailable,
);
