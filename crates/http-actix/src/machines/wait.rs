//! GET /machines/{id}/wait

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_domain::{MachineState, Selector, SelectorField};

use super::{MachineBody, show};
use crate::codes::Code;
use crate::docs::{IdParam, WaitParams, problems};
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::world::{World, id};

/// Waits for a machine to come to a state
///
/// It answers as soon as the machine is there, and is woken by what happens and by the clock. The time to wait is wall time.
#[utoipa::path(
    tag = "machines",
    operation_id = "waitForMachine",
    params(IdParam, WaitParams),
    responses(
        (
            status = 200,
            description = "The machine, in the state.",
            body = MachineBody,
            headers(("ETag" = String, description = "Its version, and its cluster's.")),
            example = json!(crate::examples::machine())
        ),
        WaitForMachineProblems,
    )
)]
#[get("/machines/{id}/wait")]
pub(crate) async fn wait_for_machine(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let states = states(&mut query)?;
    let timeout = query.timeout()?;
    query.end()?;
    let view = world.cloud.wait_for_machine.run(id(&request)?, &states, timeout).await?;
    Ok(show(StatusCode::OK, &view).response())
}

problems!(WaitForMachineProblems:
    NoSuchWorld, InvalidId, MissingParameter, UnknownParameter, DuplicateParameter, InvalidParameter, NoSuchMachine,
    WaitTimeout, Unreachable, Throttled, SettleLimit, StoreUnavailable,
);

fn states(query: &mut Query) -> Result<Vec<MachineState>, Problem> {
    let mut selector = Selector::default();
    for text in query.all("state") {
        selector.add(SelectorField::State, &text).map_err(|why| invalid("state", why))?;
    }
    if selector.states.is_empty() {
        return Err(Problem::at(Code::MissingParameter, "state", "says which state to wait for"));
    }
    Ok(selector.states)
}
