//! GET /sim/v1/worlds/{world}/scenario

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::body::{ScenarioBody, shown};
use crate::HttpApi;
use crate::docs::{WorldParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::worlds::name;

/// Gives a world as a scenario
///
/// The scenario of a world that begins with what this one has now: its behaviour, its room and its faults as they hold now, its
/// clusters, and its machines that are not TERMINATED, to be made anew.
#[utoipa::path(
    tag = "worlds",
    operation_id = "getScenario",
    params(WorldParam),
    responses(
        (status = 200, description = "The scenario.", body = ScenarioBody, example = json!(super::example())),
        GetScenarioProblems,
    )
)]
#[get("/worlds/{world}/scenario")]
pub(crate) async fn get_scenario(request: HttpRequest, api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    Ok(HttpResponse::Ok().json(shown(&api.worlds().get_scenario.run(&name(&request)?).await?)))
}

problems!(GetScenarioProblems: UnknownParameter, NoSuchWorld, TooManyMachines, Settling, StoreUnavailable,);
