//! Clusters: one route a file.

mod create;
mod delete;
mod edit;
mod get;
mod list;

use actix_web::http::StatusCode;
use cloudm_domain::{Cluster, ClusterId, Code, Instant};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use create::{NewClusterBody, create_cluster};
pub(crate) use delete::delete_cluster;
pub(crate) use edit::edit_cluster;
pub(crate) use get::get_cluster;
pub(crate) use list::list_clusters;

use crate::answer::Answer;
use crate::shape;

/// A named group of machines in one region.
#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(crate) struct ClusterBody<'a> {
    /// Its id, for ever.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8809c404bf3976680b0")]
    id: ClusterId,
    /// Its name, unique in its world.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "cluster1")]
    name: &'a str,
    /// The code of the region it is in.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "A")]
    region_code: &'a Code,
    /// How often it was changed, its creation included.
    #[schema(example = 1, minimum = 1)]
    version: u64,
    /// When it was created, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    created_at: Instant,
    /// When it was last changed, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    updated_at: Instant,
}

impl<'a> From<&'a Cluster> for ClusterBody<'a> {
    fn from(cluster: &'a Cluster) -> Self {
        Self {
            id: cluster.id,
            name: cluster.name.as_str(),
            region_code: &cluster.region_code,
            version: cluster.version,
            created_at: cluster.created_at,
            updated_at: cluster.updated_at,
        }
    }
}

fn show(status: StatusCode, cluster: &Cluster) -> Answer {
    Answer::new(status, etag(cluster), &ClusterBody::from(cluster))
}

fn etag(cluster: &Cluster) -> String {
    format!("\"{}\"", cluster.version)
}
