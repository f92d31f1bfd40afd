//! GET /sim/v1/worlds/{world}/faults

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::FaultBody;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// The faults of a world.
#[derive(Serialize, ToSchema)]
#[schema(as = FaultList)]
pub(crate) struct FaultListBody {
    /// All of them, the first that was posted first.
    #[schema(max_items = 100)]
    items: Vec<FaultBody>,
}

/// Lists the faults of a world
///
/// With how often each matched, after all that was due has happened. Also those that hold no more; but for those that were removed.
#[utoipa::path(
    tag = "faults",
    operation_id = "listFaults",
    params(WorldParam),
    responses(
        (
            status = 200,
            description = "The faults.",
            body = FaultListBody,
            example = json!({"items": [super::example()]})
        ),
        ListFaultsProblems,
    )
)]
#[get("/worlds/{world}/faults")]
pub(crate) async fn list_faults(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let faults = world.cloud.get_faults.list().await?;
    Ok(HttpResponse::Ok().json(FaultListBody { items: faults.iter().map(FaultBody::from).collect() }))
}

problems!(ListFaultsProblems: UnknownParameter, NoSuchWorld, Settling, StoreUnavailable);
