//! What an error of the application is to a client: the one place that says so.

use cloudm_application::Error;
use cloudm_application::ports::StoreError;
use cloudm_domain::{InProgress, Instant, MachineState, Operation, Refusal, StruckDown};
use serde_json::{Value, json};

use crate::codes::Code;
use crate::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let retry_after = error.retry_after_secs();
        let detail = error.to_string();
        let problem = match error {
            Error::Refused(refusal) => refused(refusal),
            Error::Store(error) => store(&error),
            Error::VersionMismatch { current } => Self::new(Code::VersionMismatch, detail).with("version", current),
            Error::WaitTimeout { state } => Self::new(Code::WaitTimeout, detail).with("state", state.code()),
            Error::OperationTimeout { state } => Self::new(Code::WaitTimeout, detail).with("state", state.code()),
            Error::InvalidTemplate(why) => Self::at(Code::InvalidName, "/template/name", why.to_string()),
            Error::Unreachable { state: Some(state) } => {
                Self::new(Code::Unreachable, detail).with("state", state.code())
            }
            Error::InThePast { now } => Self::new(Code::InThePast, detail).with("now", now.to_string()),
            Error::InTheFuture { now } => Self::new(Code::InTheFuture, detail).with("now", now.to_string()),
            Error::BeforeHistory { start } => Self::new(Code::BeforeHistory, detail).with("start", start.to_string()),
            Error::InvalidSnapshot { line, .. } => Self::new(Code::InvalidSnapshot, detail).with("line", line),
            Error::InvalidBehaviour(mistakes) => {
                Self::new(Code::InvalidBehaviour, detail).because(crate::behaviour::mistakes(&mistakes))
            }
            Error::InsufficientCapacity { region_code, machine_type } => Self::new(Code::InsufficientCapacity, detail)
                .with("region_code", region_code.as_str())
                .with("machine_type", machine_type.as_str()),
            Error::StruckDown(down) => match *down {
                StruckDown::Fault { fault, refusal } => {
                    Self::new(Code::Fault, detail).given(refusal).with("fault", fault.to_string())
                }
                StruckDown::Outage { region_code, until } => Self::new(Code::RegionOutage, detail)
                    .with("region_code", region_code.as_str())
                    .with("until", until.to_string()),
            },
            other => Self::new(code(&other), detail),
        };
        problem.retry_after(retry_after)
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::NoSuchMachine => Code::NoSuchMachine,
        Error::NoSuchCluster => Code::NoSuchCluster,
        Error::NoSuchOperation => Code::NoSuchOperation,
        Error::NoSuchWorld => Code::NoSuchWorld,
        Error::NameTaken | Error::WorldNameTaken => Code::NameTaken,
        Error::TooManyWorlds => Code::TooManyWorlds,
        Error::DefaultWorld => Code::DefaultWorld,
        Error::TooManyRules => Code::TooManyRules,
        Error::TooManyOperations => Code::TooManyOperations,
        Error::OperationsRunning => Code::OperationsRunning,
        Error::InvalidTemplate(_) => Code::InvalidName,
        Error::WaitTimeout { .. } | Error::OperationTimeout { .. } => Code::WaitTimeout,
        Error::Unreachable { .. } => Code::Unreachable,
        Error::InThePast { .. } => Code::InThePast,
        Error::InvalidSnapshot { .. } => Code::InvalidSnapshot,
        Error::InTheFuture { .. } => Code::InTheFuture,
        Error::BeforeHistory { .. } => Code::BeforeHistory,
        Error::TooMuchHistory { .. } => Code::TooMuchHistory,
        Error::EndOfTime => Code::EndOfTime,
        Error::InvalidInterval => Code::InvalidParameter,
        Error::InvalidBehaviour(_) => Code::InvalidBehaviour,
        Error::InvalidCapacity(_) => Code::InvalidCapacity,
        Error::InsufficientCapacity { .. } => Code::InsufficientCapacity,
        Error::StruckDown(_) => Code::Fault,
        Error::NoSuchFault => Code::NoSuchFault,
        Error::NoSuchScheduleEntry => Code::NoSuchScheduleEntry,
        Error::Announced { .. } => Code::Announced,
        Error::InvalidSchedule(_) => Code::InvalidSchedule,
        Error::TooManyFaults => Code::TooManyFaults,
        Error::InvalidFault(_) => Code::InvalidFault,
        Error::ClusterNotEmpty => Code::ClusterNotEmpty,
        Error::TooManyClusters => Code::TooManyClusters,
        Error::UnknownRegion(_) => Code::UnknownRegion,
        Error::UnknownMachineType(_) => Code::UnknownMachineType,
        Error::UnknownCluster(_) => Code::UnknownCluster,
        Error::VersionMismatch { .. } => Code::VersionMismatch,
        Error::InvalidPageToken => Code::InvalidPageToken,
        Error::InvalidPosition => Code::InvalidPosition,
        Error::PositionGone => Code::PositionGone,
        Error::IdempotencyMismatch => Code::IdempotencyMismatch,
        Error::IdempotencyInFlight => Code::IdempotencyInFlight,
        Error::SettleLimit(_) => Code::SettleLimit,
        Error::Settling => Code::Settling,
        Error::Contention => Code::Contention,
        Error::TooManyMachines => Code::TooManyMachines,
        Error::InvalidScenario { why, .. } => code(why),
        Error::Refused(_) | Error::Store(_) => Code::Internal,
    }
}

/// Says what it is to the client and keeps the internals for the log.
fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::WorldGone => Problem::new(Code::NoSuchWorld, "the world does not exist any more"),
        StoreError::UnknownPosition => Problem::new(Code::InvalidPosition, "the position is none"),
        StoreError::PositionGone => Problem::new(Code::PositionGone, "the position is of another history"),
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "the store is not available");
            Problem::new(Code::StoreUnavailable, "the store does not answer now")
        }
        StoreError::Damaged(_) | StoreError::Failed(_) => {
            tracing::error!(%error, "the store failed");
            Problem::new(Code::Internal, "the server failed to carry out the request")
        }
    }
}

fn refused(refusal: Refusal) -> Problem {
    let detail = refusal.to_string();
    let state_and_allowed = |code, state: MachineState, allowed: &[Operation]| {
        Problem::new(code, detail.clone()).with("state", state.code()).with("allowed_operations", codes(allowed))
    };
    match refusal {
        Refusal::IllegalTransition { state, allowed, .. } => {
            state_and_allowed(Code::IllegalTransition, state, &allowed)
        }
        Refusal::Protected { state, allowed, .. } => state_and_allowed(Code::Protected, state, &allowed),
        Refusal::InProgress { state, in_progress, started_at, due_at, allowed, .. } => {
            state_and_allowed(Code::OperationInProgress, state, &allowed)
                .with("transition", transition(&in_progress, started_at, due_at))
        }
        Refusal::Terminated => state_and_allowed(Code::MachineTerminated, MachineState::Terminated, &[]),
    }
}

fn codes(operations: &[Operation]) -> Vec<Value> {
    operations.iter().map(|operation| operation.code().into()).collect()
}

fn transition(change: &InProgress, started_at: Instant, due_at: Option<Instant>) -> Value {
    let mut value = json!({
        "operation": change.cause.code(),
        "to": change.to.code(),
        "started_at": started_at.to_string(),
    });
    if let Some(from) = change.from {
        value["from"] = from.code().into();
    }
    if let Some(due_at) = due_at {
        value["due_at"] = due_at.to_string().into();
    }
    value
}
