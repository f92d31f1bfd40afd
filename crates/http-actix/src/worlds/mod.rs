//! Worlds: one route a file.

mod create;
mod delete;
mod edit;
mod fork;
mod get;
mod list;
mod reset;
mod scenario;
mod snapshot;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use cloudm_application::ports::WorldView;
use cloudm_domain::{Instant, Span, WorldName};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use create::create_world;
pub(crate) use delete::delete_world;
pub(crate) use edit::edit_world;
pub(crate) use fork::fork_world;
pub(crate) use get::get_world;
pub(crate) use list::list_worlds;
pub(crate) use reset::reset_world;
pub(crate) use scenario::{get_scenario, put_scenario};
pub(crate) use snapshot::{Snapshots, get_snapshot, put_snapshot};

use crate::answer::replayed;
use crate::codes::Code;
use crate::conditions;
use crate::problem::Problem;
use crate::shape;

/// The pattern of names of worlds.
pub(crate) const NAME_PATTERN: &str = "^[a-z0-9-]{1,40}$";

/// A cloud of its own: isolated in names, ids, clock, behaviour and storage.
#[derive(Serialize, ToSchema)]
#[schema(as = World)]
pub(crate) struct WorldBody<'a> {
    /// Its name, for ever.
    #[schema(pattern = "^[a-z0-9-]{1,40}$", example = "test-1")]
    name: &'a str,
    /// Its seed, for ever: what happens by chance in it follows from this.
    #[schema(example = 42, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    seed: u64,
    /// The preset whose behaviour it began with.
    #[schema(example = "realistic")]
    preset: &'static str,
    /// Its first instant.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    start: Instant,
    /// How long a TERMINATED machine stays readable, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "1h")]
    retention: Span,
    /// What its clock says.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    now: Instant,
    /// How many virtual seconds pass in a second; at 0 its time is moved by hand.
    #[schema(example = 0.0, minimum = 0, maximum = 1_000_000)]
    rate: f64,
    /// How often its record was written: its clock moved, its rules changed.
    #[schema(example = 1, minimum = 1)]
    version: u64,
}

impl<'a> From<&'a WorldView> for WorldBody<'a> {
    fn from(view: &'a WorldView) -> Self {
        let world = &*view.world;
        Self {
            name: world.name.as_str(),
            seed: world.seed.number(),
            preset: world.preset.name(),
            start: world.start,
            retention: *world.rules.retention.at(view.now),
            now: view.now,
            rate: world.clock.rate().into(),
            version: world.version,
        }
    }
}

/// The name in a path. A text that no world has as its name is one that does not exist.
pub(crate) fn name(request: &HttpRequest) -> Result<WorldName, Problem> {
    let text = request.match_info().get("world").unwrap_or("");
    text.parse().map_err(|_| Problem::new(Code::NoSuchWorld, "there is no such world"))
}

/// Its version in this life of it, for a world that is reset counts anew.
fn etag(view: &WorldView) -> String {
    format!("\"{}.{}\"", view.world.version, view.world.incarnation)
}

fn show(request: &HttpRequest, status: StatusCode, view: &WorldView) -> Result<HttpResponse, Problem> {
    let etag = etag(view);
    if status == StatusCode::OK && conditions::is_known(request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::build(status).insert_header((header::ETAG, etag)).json(WorldBody::from(view)))
}

/// Shows a world that a request made, or made before.
fn made((view, again): &(WorldView, bool), status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::ETAG, etag(view)));
    if status == StatusCode::CREATED {
        response.insert_header((header::LOCATION, format!("/sim/v1/worlds/{}", view.world.name)));
    }
    replayed(response.json(WorldBody::from(view)), *again)
}

/// What a world is in examples.
pub(crate) fn example() -> serde_json::Value {
    serde_json::json!({"name": "test-1", "seed": 42, "preset": "realistic", "start": "2030-01-01T00:00:00.000Z",
        "retention": "1h", "now": "2030-01-01T00:00:00.000Z", "rate": 0.0, "version": 1})
}
