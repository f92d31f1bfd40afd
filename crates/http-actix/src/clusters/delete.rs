//! DELETE /clusters/{id}

use actix_web::{HttpRequest, HttpResponse, delete};
use cloudm_application::{Error, FleetRequest, VersionMatch};
use cloudm_domain::ClusterId;

use crate::answer::writing;
use crate::body::NoBody;
use crate::conditions::if_match;
use crate::docs::{CascadeParam, DryRunParam, IdParam, IfMatchParam, PreferParam, problems};
use crate::operations::{OperationBody, started};
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::world::{World, id};

/// Deletes a cluster
///
/// Only one without machines; the records of TERMINATED ones go with it.
///
/// With `cascade=true` its machines are deleted too, by a fleet operation, which is the answer, as POST /operations gives it. The
/// cluster goes when the last of them is TERMINATED; where one refuses, or is made meanwhile, it stays. An If-Match holds for
/// the moment at which the operation begins.
#[utoipa::path(
    tag = "clusters",
    operation_id = "deleteCluster",
    params(IdParam, CascadeParam, DryRunParam, IfMatchParam, PreferParam),
    responses(
        (
            status = 200,
            description = "With `cascade`: the operation, which has ended.",
            body = OperationBody,
            headers(("Preference-Applied" = String, description = "Which preferences were applied.")),
            example = json!(crate::examples::operation())
        ),
        (
            status = 202,
            description = "With `cascade`: the operation, which goes on.",
            body = OperationBody,
            headers(
                ("Location" = String, description = "Where it is."),
                ("Preference-Applied" = String, description = "Which preferences were applied."),
            ),
            example = json!(crate::examples::deletion_operation())
        ),
        (status = 204, description = "It is deleted."),
        DeleteClusterProblems,
    )
)]
#[delete("/clusters/{id}")]
pub(crate) async fn delete_cluster(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let cascade = query.flag("cascade")?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    let id = id(&request)?;
    if cascade {
        if writing.dry_run {
            return Err(invalid("dry_run", "goes without cascade only"));
        }
        return delete_with_machines(&request, &world, id).await;
    }
    world.cloud.delete_cluster.run(id, writing).await?;
    Ok(HttpResponse::NoContent().finish())
}

problems!(DeleteClusterProblems:
    NoSuchWorld, InvalidId, UnexpectedBody, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchCluster,
    RequestTimeout, ClusterNotEmpty, VersionMismatch, BodyTooLarge, Throttled, Settling, Contention, TooManyOperations, RegionOutage, StoreUnavailable,
);

async fn delete_with_machines(request: &HttpRequest, world: &World, id: ClusterId) -> Result<HttpResponse, Problem> {
    if let Some(VersionMatch::Versions(versions)) = if_match(request)? {
        let current = world.cloud.get_cluster.run(id).await?.version;
        if !versions.contains(&current) {
            return Err(Error::VersionMismatch { current }.into());
        }
    }
    let prefer = Prefer::of(request);
    let asked = FleetRequest::DeleteCluster(id);
    let (operation, _) = world.cloud.start_operation.run(asked, None, prefer.patience()).await?;
    Ok(prefer.applied(started(request, &operation)))
}
