//! POST /machines/{id}?action=

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::MachineView;
use cloudm_domain::{Code, Command, Operation, Request};

use super::{MachineBody, show};
use crate::answer::{repeatable, respond};
use crate::body::NoBody;
use crate::codes;
use crate::docs::{
    ActionParams, DryRunParam, IdParam, IdempotencyKeyParam, IfMatchParam, PreferParam, StruckDownProblems, problems,
};
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::query::{Query, invalid};
use crate::world::{World, id};

/// Asks an operation of a machine
///
/// 200 where the change is complete or there was none to make; 202 with the machine in its active state where it takes
/// time. The table of the lifecycle says what is possible when.
///
/// With `Prefer: wait=N` it answers when the machine is at rest, or after N seconds; a repeated request does not wait.
#[utoipa::path(
    tag = "machines",
    operation_id = "operateMachine",
    params(IdParam, ActionParams, DryRunParam, IfMatchParam, IdempotencyKeyParam, PreferParam),
    responses(
        (
            status = 200,
            description = "The machine: the change is complete, or there was none to make.",
            body = MachineBody,
            headers(
                ("ETag" = String, description = "Its version, and its cluster's."),
                ("Preference-Applied" = String, description = "Which preference was applied."),
            ),
            example = json!(crate::examples::machine())
        ),
        (
            status = 202,
            description = "The machine on its way.",
            body = MachineBody,
            headers(
                ("ETag" = String, description = "Its version, and its cluster's."),
                ("Preference-Applied" = String, description = "Which preference was applied."),
            ),
            example = json!(crate::examples::stopping_machine())
        ),
        OperateMachineProblems,
        StruckDownProblems,
    )
)]
#[post("/machines/{id}")]
pub(crate) async fn operate_machine(request: HttpRequest, world: World, _: NoBody) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = Request { command: command(&mut query)?, force: query.flag("force")? };
    let show = |view: &MachineView| {
        let on_its_way = view.machine.state.is_active();
        show(if on_its_way { StatusCode::ACCEPTED } else { StatusCode::OK }, view)
    };
    let writing = repeatable(&request, &mut query, &[], show)?;
    query.end()?;
    let prefer = if writing.dry_run { Prefer::default() } else { Prefer::of(&request) };
    let reply = world.cloud.operate_machine.run(id(&request)?, asked, writing).await?;
    let (reply, waited) = prefer.wait_for(&world, reply).await;
    Ok(prefer.waited(respond(reply, show)?, waited))
}

problems!(OperateMachineProblems:
    NoSuchWorld, InvalidId, UnknownAction, MissingParameter, UnexpectedBody, UnknownParameter, DuplicateParameter, InvalidParameter,
    InvalidHeader, NoSuchMachine, RequestTimeout, IllegalTransition, OperationInProgress, Protected, IdempotencyInFlight,
    VersionMismatch, BodyTooLarge, UnknownMachineType, IdempotencyMismatch, Throttled, SettleLimit,
    InsufficientCapacity, Settling, Contention, RegionOutage, StoreUnavailable,
);

fn command(query: &mut Query) -> Result<Command, Problem> {
    let missing = || Problem::at(codes::Code::MissingParameter, "action", "says which operation");
    let action = query.one("action")?.ok_or_else(missing)?;
    let operation: Operation = action.parse().map_err(|_| {
        let operations: Vec<_> = Operation::ALL.iter().map(|operation| operation.code()).collect();
        Problem::at(codes::Code::UnknownAction, "action", format!("is one of {}", operations.join(", ")))
    })?;
    let machine_type = query.one("machine_type")?;
    match (operation, machine_type) {
        (Operation::Resize, None) => {
            Err(Problem::at(codes::Code::MissingParameter, "machine_type", "says to which machine type"))
        }
        (Operation::Resize, Some(text)) => {
            let machine_type: Code = text.parse().map_err(|why| invalid("machine_type", why))?;
            Ok(Command::Resize(machine_type))
        }
        (_, Some(_)) => Err(invalid("machine_type", "goes with RESIZE only")),
        (Operation::Start, None) => Ok(Command::Start),
        (Operation::Stop, None) => Ok(Command::Stop),
        (Operation::Reboot, None) => Ok(Command::Reboot),
        (Operation::Suspend, None) => Ok(Command::Suspend),
        (Operation::Resume, None) => Ok(Command::Resume),
        (Operation::Terminate, None) => Ok(Command::Terminate),
    }
}
