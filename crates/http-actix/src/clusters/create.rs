//! POST /clusters

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::NewCluster;
use cloudm_domain::{Cluster, Code, Name};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ClusterBody, show};
use crate::answer::{Answer, repeatable, respond};
use crate::body::Json;
use crate::docs::{DryRunParam, IdempotencyKeyParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, public_path};

/// A cluster to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCluster)]
pub(crate) struct NewClusterBody {
    /// Its name, unique in its world; not 24 hex digits.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "cluster1")]
    pub(crate) name: Name,
    /// The code of its region.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "A")]
    pub(crate) region_code: Code,
}

/// Makes a cluster
///
/// A cluster is a named group of machines in one region.
#[utoipa::path(
    tag = "clusters",
    operation_id = "createCluster",
    params(DryRunParam, IdempotencyKeyParam),
    request_body(content = NewClusterBody, example = json!({"name": "cluster1", "region_code": "A"})),
    responses(
        (
            status = 201,
            description = "The cluster.",
            body = ClusterBody,
            headers(
                ("ETag" = String, description = "Its version."),
                ("Location" = String, description = "Where it is."),
            ),
            example = json!({"id": "70dbd8809c404bf3976680b0", "name": "cluster1", "region_code": "A", "version": 1,
                "created_at": "2030-01-01T00:00:00.000Z", "updated_at": "2030-01-01T00:00:00.000Z"})
        ),
        CreateClusterProblems,
    )
)]
#[post("/clusters")]
pub(crate) async fn create_cluster(
    request: HttpRequest,
    world: World,
    body: Json<NewClusterBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let path = public_path(&request);
    let show = move |cluster: &Arc<Cluster>| -> Answer {
        show(StatusCode::CREATED, cluster).located(format!("{path}/{}", cluster.id))
    };
    let writing = repeatable(&request, &mut query, &body.bytes, show.clone())?;
    query.end()?;
    let NewClusterBody { name, region_code } = body.value;
    respond(world.cloud.create_cluster.run(NewCluster { name, region_code }, writing).await?, show)
}

problems!(CreateClusterProblems:
    NoSuchWorld, MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, RequestTimeout,
    NameTaken, TooManyClusters, IdempotencyInFlight, BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField,
    MissingField, WrongType, InvalidName, InvalidValue, UnknownRegion, IdempotencyMismatch, Throttled, Contention, RegionOutage, StoreUnavailable,
);
