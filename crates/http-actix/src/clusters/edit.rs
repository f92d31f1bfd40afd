//! PATCH /clusters/{id}

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, patch};
use cloudm_domain::{ClusterEdit, Code, Name};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ClusterBody, show};
use crate::answer::writing;
use crate::body::{Json, not_null};
use crate::docs::{DryRunParam, IdParam, IfMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// A change of a cluster; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClusterPatch)]
pub(crate) struct ClusterPatchBody {
    /// Its new name; not 24 hex digits.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "cluster2")]
    name: Option<Name>,
    /// The code of its new region; its machines go with it.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "B")]
    region_code: Option<Code>,
}

/// Renames a cluster or moves it to another region
///
/// A merge patch (RFC 7396). Its machines go with it.
#[utoipa::path(
    tag = "clusters",
    operation_id = "editCluster",
    params(IdParam, DryRunParam, IfMatchParam),
    request_body(content(
        (ClusterPatchBody = "application/json", example = json!({"name": "cluster2", "region_code": "B"})),
        (ClusterPatchBody = "application/merge-patch+json", example = json!({"name": "cluster2"})),
    )),
    responses(
        (
            status = 200,
            description = "The cluster after the change.",
            body = ClusterBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"id": "70dbd8809c404bf3976680b0", "name": "cluster2", "region_code": "B", "version": 2,
                "created_at": "2030-01-01T00:00:00.000Z", "updated_at": "2030-01-01T00:05:00.000Z"})
        ),
        EditClusterProblems,
    )
)]
#[patch("/clusters/{id}")]
pub(crate) async fn edit_cluster(
    request: HttpRequest,
    world: World,
    body: Json<ClusterPatchBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    let ClusterPatchBody { name, region_code } = body.value;
    let edit = ClusterEdit { name, region_code };
    let cluster = world.cloud.edit_cluster.run(id(&request)?, edit, writing).await?;
    Ok(show(StatusCode::OK, &cluster).response())
}

problems!(EditClusterProblems:
    NoSuchWorld, InvalidId, MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader,
    NoSuchCluster, RequestTimeout, NameTaken, VersionMismatch, BodyTooLarge, UnsupportedMediaType, UnknownField,
    DuplicateField, WrongType, InvalidName, InvalidValue, UnknownRegion, Throttled, InsufficientCapacity, Settling,
    Contention, RegionOutage, StoreUnavailable,
);
