//! GET /machines/{id}/wait

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_domain::{MachineState, Selector, SelectorField, Span};

use super::{MachineBody, show};
use crate::codes::Code;
use crate::docs::{IdParam, WaitParams, problems};
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::world::{World, id};

/// How long a wait lasts unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    let timeout = timeout(&mut query)?;
    query.end()?;
    let view = world.cloud.wait_for_machine.run(id(&request)?, &states, timeout).await?;
    Ok(show(StatusCode::OK, &view).response())
}

problems!(WaitForMachineProblems:
    NoSuchWorld, InvalidId, MissingParameter, UnknownParameter, DuplicateParameter, InvalidParameter, NoSuchMachine,
    WaitTimeout, Unreachable, SettleLimit, StoreUnavailable,
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

fn timeout(query: &mut Query) -> Result<Duration, Problem> {
    let Some(text) = query.one("timeout")? else { return Ok(TIMEOUT) };
    let span: Span = text.parse().map_err(|why| invalid("timeout", why))?;
    let timeout = Duration::from_millis(span.millis());
    if timeout > cloudm_application::machines::WaitForMachine::MAX_TIMEOUT {
        return Err(invalid("timeout", "is at most 10m"));
    }
    Ok(timeout)
}
