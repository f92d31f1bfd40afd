//! PUT /sim/v1/worlds/{world}/capacity

use actix_web::{HttpRequest, HttpResponse, put};
use cloudm_application::Error;
use cloudm_domain::{Code, InvalidCapacity, Pool};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CapacityBody, NewRefillBody, Size, answer, refills};
use crate::body::{Json, Object};
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::Simulated;

/// What a world is to have room for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCapacity)]
pub(crate) struct NewCapacityBody {
    /// The pools, none twice, with at most 1000 refills in all. Where there is none, there is room for any number.
    #[schema(value_type = Vec<NewPoolBody>, max_items = 256)]
    pools: Vec<Object<NewPoolBody>>,
    /// Whether a SUSPENDED machine is to hold no place: then it needs one to be resumed.
    #[serde(default)]
    #[schema(required = false, default = false)]
    suspended_frees_place: bool,
}

/// The machines of one type for which a region is to have room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPool)]
pub(crate) struct NewPoolBody {
    /// The code of the region.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "A")]
    region_code: Code,
    /// The code of the machine type.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "small")]
    machine_type: Code,
    /// How many places it has until its first refill.
    #[schema(value_type = u32, minimum = 0, maximum = 1_000_000_000, example = 10)]
    size: Size,
    /// How many it has later, each after the one before it.
    #[serde(default)]
    #[schema(value_type = Vec<NewRefillBody>, required = false, max_items = 1000)]
    refills: Vec<Object<NewRefillBody>>,
}

impl NewCapacityBody {
    /// The pools in their order, and whether a SUSPENDED machine holds no place.
    pub(crate) fn read(self) -> (Vec<Pool>, bool) {
        (self.pools.into_iter().map(|Object(pool)| pool.into()).collect(), self.suspended_frees_place)
    }
}

impl From<NewPoolBody> for Pool {
    fn from(body: NewPoolBody) -> Self {
        let NewPoolBody { region_code, machine_type, size: Size(size), refills: later } = body;
        Self { region_code, machine_type, size, refills: refills(later) }
    }
}

/// Changes what a world has room for
///
/// All of it, from now on: no pools lift every limit. A machine holds a place in the pool of its type in its cluster's
/// region until it is STOPPED or TERMINATED. Whoever holds one keeps it, also where a pool is made smaller; what needs
/// one in a full pool is refused with `insufficient_capacity`.
#[utoipa::path(
    tag = "capacity",
    operation_id = "putCapacity",
    params(WorldParam),
    request_body(
        content = NewCapacityBody,
        example = json!({"pools": [{"region_code": "A", "machine_type": "small", "size": 10,
            "refills": [{"at": "2030-01-02T00:00:00Z", "size": 20}]}]})
    ),
    responses(
        (status = 200, description = "The pools.", body = CapacityBody, example = json!(super::example())),
        PutCapacityProblems,
    )
)]
#[put("/worlds/{world}/capacity")]
pub(crate) async fn put_capacity(
    request: HttpRequest,
    world: Simulated,
    body: Json<NewCapacityBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let (pools, suspended_frees_place) = body.value.read();
    let told = world.cloud.set_capacity.run(pools.clone(), suspended_frees_place).await;
    answer(told, |error| pointer(error, &pools))
}

problems!(PutCapacityProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, BodyTooLarge, UnsupportedMediaType,
    UnknownField, DuplicateField, MissingField, WrongType, InvalidValue, UnknownRegion, UnknownMachineType,
    InvalidCapacity, Settling, Contention, StoreUnavailable,
);

/// Where in the body the mistake is.
pub(crate) fn pointer(error: &Error, pools: &[Pool]) -> Option<String> {
    match error {
        Error::UnknownRegion(code) => {
            let number = pools.iter().position(|pool| pool.region_code == *code)?;
            Some(format!("/pools/{number}/region_code"))
        }
        Error::UnknownMachineType(code) => {
            let number = pools.iter().position(|pool| pool.machine_type == *code)?;
            Some(format!("/pools/{number}/machine_type"))
        }
        Error::InvalidCapacity(why) => Some(match why {
            InvalidCapacity::TooManyPools | InvalidCapacity::TooManyRefills | InvalidCapacity::NoSize => {
                "/pools".into()
            }
            InvalidCapacity::Twice(number) => format!("/pools/{number}"),
            InvalidCapacity::Size(number) => format!("/pools/{number}/size"),
            InvalidCapacity::Order(number) => format!("/pools/{number}/refills"),
        }),
        _ => None,
    }
}
