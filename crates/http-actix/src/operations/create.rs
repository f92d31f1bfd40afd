//! POST /operations

use actix_web::{HttpRequest, HttpResponse, post};

use super::request::NewOperationBody;
use super::{OperationBody, started};
use crate::answer::{replayed, request_key};
use crate::body::Json;
use crate::docs::{IdempotencyKeyParam, PreferParam, problems};
use crate::examples;
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::World;

/// Starts an operation over many machines
///
/// CREATE makes `count` machines of a `template`. The others are about the machines of a `selector`, or about all: START, STOP,
/// REBOOT, SUSPEND, RESUME, RESIZE (to `machine_type`) and TERMINATE ask the operation of each, forced or not; TAG adds and
/// removes tags. Nothing is done before all of the request is found to make sense. Then each machine is decided on its own, as
/// it is at that moment: done, unchanged, or refused with a code. Machines that are made after it was accepted are none of its.
///
/// Where it is about at most 100 machines, the answer is the operation, ended. Else it is 202, and the operation goes on by
/// itself, also where the server that runs it dies. The answer to a repeated `Idempotency-Key` is the operation as it is now.
/// `kind` is read in any case. A field that does not go with the kind is refused.
#[utoipa::path(
    tag = "operations",
    operation_id = "createOperation",
    params(IdempotencyKeyParam, PreferParam),
    request_body(
        content = NewOperationBody,
        examples(
            ("CREATE" = (summary = "Makes a thousand machines.", value = json!({"kind": "CREATE", "count": 1000,
                "template": {"name": "web-{n}", "cluster_name": "cluster1", "tags": ["tag1"]}}))),
            ("STOP" = (summary = "Stops those that run and have a tag.", value = json!({"kind": "STOP",
                "selector": {"cluster": ["cluster1"], "state": ["RUNNING"], "tag": ["tag1"]}}))),
            ("RESIZE" = (summary = "Gives all another type.", value = json!({"kind": "RESIZE", "all": true,
                "machine_type": "large"}))),
            ("TAG" = (summary = "Moves them to another team.", value = json!({"kind": "TAG",
                "selector": {"name": "web-*"}, "add_tags": ["team:a"], "remove_tags": ["team:b"]}))),
        )
    ),
    responses(
        (
            status = 200,
            description = "The operation, which has ended.",
            body = OperationBody,
            headers(("Preference-Applied" = String, description = "Which preferences were applied.")),
            example = json!(examples::operation())
        ),
        (
            status = 202,
            description = "The operation, which goes on.",
            body = OperationBody,
            headers(
                ("Location" = String, description = "Where it is."),
                ("Preference-Applied" = String, description = "Which preferences were applied."),
            ),
            example = json!(examples::running_operation())
        ),
        CreateOperationProblems,
    )
)]
#[post("/operations")]
pub(crate) async fn create_operation(
    request: HttpRequest,
    world: World,
    body: Json<NewOperationBody>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let (key, prefer) = (request_key(&request, &body.bytes)?, Prefer::of(&request));
    let asked = body.value.read()?;
    let (operation, again) = world.cloud.start_operation.run(asked, key, prefer.patience()).await?;
    Ok(prefer.applied(replayed(started(&request, &operation), again)))
}

problems!(CreateOperationProblems:
    NoSuchWorld, MissingBody, MalformedJson, UnknownParameter, InvalidHeader, NoSuchOperation, RequestTimeout, IdempotencyInFlight,
    BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType, InvalidName, InvalidTags,
    InvalidValue, UnknownKind, SelectorNeeded, UnknownCluster, UnknownMachineType, IdempotencyMismatch, Throttled, Contention,
    TooManyOperations, StoreUnavailable,
);
