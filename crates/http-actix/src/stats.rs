//! GET /stats

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::Stats;
use cloudm_domain::{ClusterId, Code, Instant};
use serde::Serialize;
use utoipa::ToSchema;

use crate::docs::problems;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape;
use crate::world::World;

/// How many machines there are. All but the counts by state leave out TERMINATED machines, as lists do.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
pub(crate) struct StatsBody<'a> {
    /// The virtual time at which it is so.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:02:00.000Z")]
    as_of: Instant,
    /// All of them.
    #[schema(example = 3, minimum = 0)]
    machines: u64,
    /// Those in each state that any is in, TERMINATED too.
    #[schema(example = json!({"RUNNING": 2, "STOPPED": 1, "TERMINATED": 4}))]
    states: BTreeMap<&'static str, u64>,
    /// Those in each region that has any, by its code.
    #[schema(example = json!({"A": 3}))]
    regions: BTreeMap<&'a str, u64>,
    /// Those in each cluster that has any, in the order of cluster ids.
    clusters: Vec<ClusterStatsBody<'a>>,
    /// Those of each machine type that any is of, by its code.
    #[schema(example = json!({"small": 3}))]
    machine_types: BTreeMap<&'a str, u64>,
}

/// How many machines a cluster has.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterStats)]
pub(crate) struct ClusterStatsBody<'a> {
    /// Its id.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8809c404bf3976680b0")]
    id: ClusterId,
    /// Its name.
    #[schema(example = "cluster1")]
    name: &'a str,
    /// The code of its region.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "A")]
    region_code: &'a Code,
    /// Its machines.
    #[schema(example = 3, minimum = 1)]
    machines: u64,
}

impl<'a> From<&'a Stats> for StatsBody<'a> {
    fn from(stats: &'a Stats) -> Self {
        let by_code =
            |counts: &'a BTreeMap<Code, u64>| counts.iter().map(|(code, count)| (code.as_str(), *count)).collect();
        let clusters = stats.clusters.iter().map(|(cluster, machines)| ClusterStatsBody {
            id: cluster.id,
            name: cluster.name.as_str(),
            region_code: &cluster.region_code,
            machines: *machines,
        });
        Self {
            as_of: stats.as_of,
            machines: stats.machines,
            states: stats.states.iter().map(|(state, count)| (state.code(), *count)).collect(),
            regions: by_code(&stats.regions),
            clusters: clusters.collect(),
            machine_types: by_code(&stats.machine_types),
        }
    }
}

/// Counts machines
///
/// By state, region, cluster and machine type. What was due has happened. The cost does not grow with the fleet.
#[utoipa::path(
    tag = "stats",
    operation_id = "getStats",
    responses(
        (
            status = 200,
            description = "The counts.",
            body = StatsBody,
            example = json!({"as_of": "2030-01-01T00:02:00.000Z", "machines": 3,
                "states": {"RUNNING": 2, "STOPPED": 1, "TERMINATED": 4}, "regions": {"A": 3},
                "clusters": [{"id": "70dbd8809c404bf3976680b0", "name": "cluster1", "region_code": "A", "machines": 3}],
                "machine_types": {"small": 3}})
        ),
        GetStatsProblems,
    )
)]
#[get("/stats")]
pub(crate) async fn get_stats(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let stats = world.cloud.get_stats.run().await?;
    Ok(HttpResponse::Ok().json(StatsBody::from(&stats)))
}

problems!(GetStatsProblems: NoSuchWorld, UnknownParameter, Throttled, Settling, StoreUnavailable);
