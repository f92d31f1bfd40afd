//! What a world has room for: one route a file.

mod edit;
mod get;
mod put;

use actix_web::HttpResponse;
use cloudm_application::{CapacityView, Error, PoolView};
use cloudm_domain::{Code, Instant, Pool, Refill};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) use edit::edit_capacity;
pub(crate) use get::get_capacity;
pub(crate) use put::{NewCapacityBody, pointer, put_capacity};

use crate::body::{Object, parsed_one};
use crate::problem::Problem;
use crate::shape;

/// What a world has room for, and how much of it is held.
#[derive(Serialize, ToSchema)]
#[schema(as = Capacity)]
pub(crate) struct CapacityBody {
    /// The virtual time at which it is so.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:02:00.000Z")]
    as_of: Instant,
    /// Whether a SUSPENDED machine holds no place.
    #[schema(example = false)]
    suspended_frees_place: bool,
    /// The pools that have a size, and those in which a machine holds a place, in the order of region and machine type.
    pools: Vec<PoolBody>,
}

/// The machines of one type for which a region has room.
#[derive(Serialize, ToSchema)]
#[schema(as = Pool)]
pub(crate) struct PoolBody {
    /// The code of the region.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "A")]
    region_code: Code,
    /// The code of the machine type.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "small")]
    machine_type: Code,
    /// How many places it has now; absent where there is room for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 1_000_000_000, example = 10)]
    size: Option<u32>,
    /// How many places are held: more than there are where it was made smaller since.
    #[schema(example = 4, minimum = 0)]
    held: u64,
    /// How many places it has later, the earliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 1000)]
    refills: Vec<RefillBody>,
}

/// The size of a pool from an instant on.
#[derive(Serialize, ToSchema)]
#[schema(as = Refill)]
pub(crate) struct RefillBody {
    /// When it begins to be of this size, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-02T00:00:00.000Z")]
    at: Instant,
    /// Its size then.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 20)]
    size: u32,
}

impl From<CapacityView> for CapacityBody {
    fn from(view: CapacityView) -> Self {
        let CapacityView { as_of, suspended_frees_place, pools } = view;
        Self { as_of, suspended_frees_place, pools: pools.into_iter().map(PoolBody::from).collect() }
    }
}

impl From<PoolView> for PoolBody {
    fn from(view: PoolView) -> Self {
        let PoolView { region_code, machine_type, size, held, refills } = view;
        let refills = refills.into_iter().map(|Refill { at, size }| RefillBody { at, size }).collect();
        Self { region_code, machine_type, size, held, refills }
    }
}

/// A size to give a pool from an instant on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRefill)]
pub(crate) struct NewRefillBody {
    /// When it is to begin to be of this size, in virtual time.
    #[serde(deserialize_with = "parsed_one")]
    #[schema(value_type = String, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-02T00:00:00Z")]
    at: Instant,
    /// Its size then.
    #[schema(value_type = u32, minimum = 0, maximum = 1_000_000_000, example = 20)]
    size: Size,
}

/// How many places a pool is to have.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct Size(u32);

impl TryFrom<u32> for Size {
    type Error = String;

    fn try_from(size: u32) -> Result<Self, String> {
        if size <= Pool::MAX_SIZE { Ok(Self(size)) } else { Err(format!("is at most {}", Pool::MAX_SIZE)) }
    }
}

fn refills(bodies: Vec<Object<NewRefillBody>>) -> Vec<Refill> {
    bodies.into_iter().map(|Object(NewRefillBody { at, size: Size(size) })| Refill { at, size }).collect()
}

/// Shows what came of a request, or what was wrong with it and where.
fn answer(
    told: Result<CapacityView, Error>,
    pointer: impl FnOnce(&Error) -> Option<String>,
) -> Result<HttpResponse, Problem> {
    match told {
        Ok(view) => Ok(HttpResponse::Ok().json(CapacityBody::from(view))),
        Err(error) => {
            let pointer = pointer(&error);
            Err(Problem::from(error).with_part(pointer))
        }
    }
}

/// What a capacity is in examples.
fn example() -> Value {
    json!({"as_of": "2030-01-01T00:02:00.000Z", "suspended_frees_place": false,
        "pools": [{"region_code": "A", "machine_type": "small", "size": 10, "held": 4,
            "refills": [{"at": "2030-01-02T00:00:00.000Z", "size": 20}]}]})
}
