//! GET /sim/v1/worlds/{world}/digest

use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::Sum;
use cloudm_domain::Instant;
use serde::Serialize;
use utoipa::ToSchema;

use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::shape;
use crate::world::Simulated;

/// A hash of a world's history.
#[derive(Serialize, ToSchema)]
#[schema(as = Digest)]
pub(crate) struct DigestBody {
    /// The sum of the SHA-256 hashes of all events in canonical form, modulo 2²⁵⁶.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$", example = "a79d194a0ad7caf257284da8c5c4e426ce621036a300bc99c7fbde80a1b05a47")]
    digest: Sum,
    /// How many events there are.
    #[schema(example = 3, minimum = 0)]
    events: u64,
    /// What the world's clock said.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:02:00.000Z")]
    now: Instant,
}

/// Tells the digest of a world's history
///
/// Two worlds with the same digest had the same history: the same ids, states, instants and versions. It needs no order, so that
/// commands to different machines may have come in any. It costs a look at every event.
#[utoipa::path(
    tag = "worlds",
    operation_id = "getDigest",
    params(WorldParam),
    responses(
        (
            status = 200,
            description = "The digest.",
            body = DigestBody,
            example = json!({"digest": "a79d194a0ad7caf257284da8c5c4e426ce621036a300bc99c7fbde80a1b05a47", "events": 4,
                "now": "2030-01-01T07:02:34.188Z"})
        ),
        GetDigestProblems,
    )
)]
#[get("/worlds/{world}/digest")]
pub(crate) async fn get_digest(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let view = world.cloud.get_digest.run().await?;
    Ok(HttpResponse::Ok().json(DigestBody { digest: view.sum, events: view.events, now: view.now }))
}

problems!(GetDigestProblems: UnknownParameter, NoSuchWorld, Settling, StoreUnavailable);
