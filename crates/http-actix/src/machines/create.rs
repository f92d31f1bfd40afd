//! POST /machines

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::{MachineView, NewMachineRequest};
use cloudm_domain::{Code, Name, Tags};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{MachineBody, ProtectionBody, show};
use crate::answer::{Answer, repeatable, respond};
use crate::body::{Json, Object, not_null};
use crate::docs::{DryRunParam, IdempotencyKeyParam, PreferParam, StruckDownProblems, problems};
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, public_path};

/// A machine to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMachine)]
pub(crate) struct NewMachineBody {
    /// Its name, unique in its cluster; not 24 hex digits.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "machine1")]
    name: Name,
    /// The name of the cluster to make it in.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "cluster1")]
    cluster_name: Name,
    /// Its tags, none twice.
    #[serde(default)]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["tag1"]))]
    tags: Tags,
    /// The code of its machine type; the catalogue's first where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "small")]
    machine_type: Option<Code>,
    /// Whether it goes on to RUNNING; else it ends STOPPED.
    #[serde(default = "yes")]
    #[schema(required = false, default = true)]
    start: bool,
    /// What it refuses.
    #[serde(default)]
    #[schema(value_type = ProtectionBody, required = false)]
    protection: Object<ProtectionBody>,
}

/// A tag: letters, digits and `._-:/=@`.
#[derive(ToSchema)]
#[schema(as = Tag, value_type = String, pattern = "^[A-Za-z0-9._:/=@-]{1,128}$", example = "team:a")]
#[expect(dead_code, reason = "it names a schema")]
pub(crate) struct TagText(String);

fn yes() -> bool {
    true
}

/// Makes a machine
///
/// It is PROVISIONING, then STARTING, then RUNNING; how long that takes is the world's behaviour. With
/// `"start": false` it ends STOPPED.
///
/// With `Prefer: wait=N` it answers when the machine is at rest, or after N seconds; a repeated request does not wait.
#[utoipa::path(
    tag = "machines",
    operation_id = "createMachine",
    params(DryRunParam, IdempotencyKeyParam, PreferParam),
    request_body(
        content = NewMachineBody,
        example = json!({"name": "machine1", "cluster_name": "cluster1", "tags": ["tag1"]})
    ),
    responses(
        (
            status = 201,
            description = "The machine.",
            body = MachineBody,
            headers(
                ("ETag" = String, description = "Its version, and its cluster's."),
                ("Location" = String, description = "Where it is."),
                ("Preference-Applied" = String, description = "Which preference was applied."),
            ),
            example = json!(crate::examples::machine())
        ),
        CreateMachineProblems,
        StruckDownProblems,
    )
)]
#[post("/machines")]
pub(crate) async fn create_machine(
    request: HttpRequest,
    world: World,
    body: Json<NewMachineBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let path = public_path(&request);
    let show = move |view: &MachineView| -> Answer {
        show(StatusCode::CREATED, view).located(format!("{path}/{}", view.machine.id))
    };
    let writing = repeatable(&request, &mut query, &body.bytes, show.clone())?;
    query.end()?;
    let NewMachineBody { name, cluster_name, tags, machine_type, start, protection } = body.value;
    let asked = NewMachineRequest { name, cluster_name, tags, machine_type, start, protection: protection.0.into() };
    let prefer = if writing.dry_run { Prefer::default() } else { Prefer::of(&request) };
    let reply = world.cloud.create_machine.run(asked, writing).await?;
    let (reply, waited) = prefer.wait_for(&world, reply).await;
    Ok(prefer.waited(respond(reply, show)?, waited))
}

problems!(CreateMachineProblems:
    NoSuchWorld, MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, RequestTimeout,
    NameTaken, IdempotencyInFlight, BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField, MissingField,
    WrongType, InvalidName, InvalidTags, InvalidValue, UnknownCluster, UnknownMachineType, IdempotencyMismatch, Throttled, SettleLimit,
    InsufficientCapacity, Settling, Contention, RegionOutage, StoreUnavailable,
);
