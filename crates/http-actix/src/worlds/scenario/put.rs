//! PUT /sim/v1/worlds/{world}/scenario

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, put, web};

use super::body::ScenarioBody;
use super::mistakes;
use crate::HttpApi;
use crate::body::Json;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::worlds::{WorldBody, made, name};

/// Makes a world of a scenario
///
/// In the place of the one of this name, or where there is none: with its seed, behaviour, room and faults, and with its clusters and
/// machines, which are made at its first instant as if they had been asked for one after the other. What a fault or a full
/// pool refuses is not made, and is in the history. A scenario is checked whole before anything is changed, and a request under way meanwhile
/// sees the old world or the new one. A reset gives the world back as the scenario made it.
#[utoipa::path(
    tag = "worlds",
    operation_id = "putScenario",
    params(WorldParam),
    request_body(content = ScenarioBody, example = json!(super::example())),
    responses(
        (
            status = 200,
            description = "The world, which was there before.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!(crate::worlds::example())
        ),
        (
            status = 201,
            description = "The world, which is new.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version."), ("Location" = String, description = "Where it is.")),
            example = json!(crate::worlds::example())
        ),
        PutScenarioProblems,
    )
)]
#[put("/worlds/{world}/scenario")]
pub(crate) async fn put_scenario(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    body: Json<ScenarioBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let name = name(&request)?;
    let (scenario, pools) = body.value.read()?;
    let put = api.worlds().put_scenario.run(&name, scenario).await;
    let (view, is_new) = put.map_err(|error| mistakes::problem(error, &pools))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(made(&(view, false), status))
}

problems!(PutScenarioProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, TooManyWorlds, BodyTooLarge, UnsupportedMediaType,
    UnknownField, DuplicateField, MissingField, WrongType, InvalidName, InvalidTags, InvalidValue, UnknownRegion,
    UnknownMachineType, UnknownCluster, InvalidBehaviour, InvalidCapacity, InvalidFault, InvalidSchedule,
    Contention, StoreUnavailable,
);
