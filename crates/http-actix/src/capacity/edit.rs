//! PATCH /sim/v1/worlds/{world}/capacity

use actix_web::{HttpRequest, HttpResponse, patch};
use cloudm_application::{Error, PoolEdit};
use cloudm_domain::{Code, InvalidCapacity};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CapacityBody, NewRefillBody, Size, answer, refills};
use crate::body::{Json, Object, or_default, or_none};
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// A change of the pool that it names; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoolPatch)]
pub(crate) struct PoolPatchBody {
    /// The code of the region.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "A")]
    region_code: Code,
    /// The code of the machine type.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "small")]
    machine_type: Code,
    /// How many places it is to have from now on; null makes room for any number.
    #[serde(default, deserialize_with = "or_none")]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 1_000_000_000, example = 10)]
    size: Option<Option<Size>>,
    /// How many it is to have later, in place of all that was said of it; null takes it away.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = Vec<NewRefillBody>, required = false, max_items = 1000)]
    refills: Option<Vec<Object<NewRefillBody>>>,
}

/// Changes the room of one pool
///
/// From now on: a merge patch (RFC 7396) of the pool that `region_code` and `machine_type` name.
#[utoipa::path(
    tag = "capacity",
    operation_id = "editCapacity",
    params(WorldParam),
    request_body(content(
        (
            PoolPatchBody = "application/json",
            example = json!({"region_code": "A", "machine_type": "small", "size": 10})
        ),
        (
            Object = "application/merge-patch+json",
            example = json!({"region_code": "A", "machine_type": "small", "size": null})
        ),
    )),
    responses(
        (status = 200, description = "All pools.", body = CapacityBody, example = json!(super::example())),
        EditCapacityProblems,
    )
)]
#[patch("/worlds/{world}/capacity")]
pub(crate) async fn edit_capacity(
    request: HttpRequest,
    world: Simulated,
    body: Json<PoolPatchBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let PoolPatchBody { region_code, machine_type, size, refills: later } = body.value;
    let size = size.map(|size| size.map(|Size(size)| size));
    let edit = PoolEdit { region_code, machine_type, size, refills: later.map(refills) };
    answer(world.cloud.set_capacity.edit(edit).await, pointer)
}

problems!(EditCapacityProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, BodyTooLarge, UnsupportedMediaType,
    UnknownField, DuplicateField, MissingField, WrongType, InvalidValue, UnknownRegion, UnknownMachineType,
    InvalidCapacity, Settling, Contention, StoreUnavailable,
);

/// Where in the body the mistake is.
fn pointer(error: &Error) -> Option<String> {
    let field = match error {
        Error::UnknownRegion(_) => "region_code",
        Error::UnknownMachineType(_) => "machine_type",
        Error::InvalidCapacity(InvalidCapacity::Size(_)) => "size",
        Error::InvalidCapacity(
            InvalidCapacity::Order(_) | InvalidCapacity::TooManyRefills | InvalidCapacity::NoSize,
        ) => "refills",
        _ => return None,
    };
    Some(format!("/{field}"))
}
