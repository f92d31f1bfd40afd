//! PATCH /machines/{id}

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, patch};
use cloudm_domain::{Edit, Name, Tags};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::create::TagText;
use super::{MachineBody, show};
use crate::answer::writing;
use crate::body::{Json, Object, not_null, or_default};
use crate::docs::{DryRunParam, IdParam, IfMatchParam, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{World, id};

/// A change of a machine; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MachinePatch)]
pub(crate) struct MachinePatchBody {
    /// Its new name; not 24 hex digits.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "web-2")]
    name: Option<Name>,
    /// Its new tags, none twice, in place of all it had; null takes them away.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["tag2"]))]
    tags: Option<Tags>,
    /// What it is to refuse; null takes all protection away.
    #[serde(default, deserialize_with = "protection")]
    #[schema(value_type = ProtectionPatchBody, required = false)]
    protection: Option<ProtectionPatchBody>,
}

/// A change of what a machine refuses; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProtectionPatch)]
pub(crate) struct ProtectionPatchBody {
    /// Whether it is to refuse STOP.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = bool, required = false)]
    stop: Option<bool>,
    /// Whether it is to refuse TERMINATE and deletion.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = bool, required = false)]
    terminate: Option<bool>,
}

/// Null takes all protection away.
fn protection<'de, D: Deserializer<'de>>(json: D) -> Result<Option<ProtectionPatchBody>, D::Error> {
    let none = ProtectionPatchBody { stop: Some(false), terminate: Some(false) };
    Option::<Object<_>>::deserialize(json).map(|patch| Some(patch.map_or(none, |Object(patch)| patch)))
}

/// Changes a machine's name, tags or protection
///
/// A merge patch (RFC 7396): null takes tags and protection away. What changes is one event; what changes nothing is none.
#[utoipa::path(
    tag = "machines",
    operation_id = "editMachine",
    params(IdParam, DryRunParam, IfMatchParam),
    request_body(content(
        (MachinePatchBody = "application/json", example = json!({"name": "web-2", "tags": ["tag2"]})),
        (Object = "application/merge-patch+json", example = json!({"tags": null})),
    )),
    responses(
        (
            status = 200,
            description = "The machine after the change.",
            body = MachineBody,
            headers(("ETag" = String, description = "Its version, and its cluster's.")),
            example = json!(crate::examples::machine())
        ),
        EditMachineProblems,
    )
)]
#[patch("/machines/{id}")]
pub(crate) async fn edit_machine(
    request: HttpRequest,
    world: World,
    body: Json<MachinePatchBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let writing = writing(&request, &mut query)?;
    query.end()?;
    let MachinePatchBody { name, tags, protection } = body.value;
    let ProtectionPatchBody { stop, terminate } = protection.unwrap_or_default();
    let edit = Edit { name, tags, protect_stop: stop, protect_terminate: terminate };
    let view = world.cloud.edit_machine.run(id(&request)?, edit, writing).await?;
    Ok(show(StatusCode::OK, &view).response())
}

problems!(EditMachineProblems:
    NoSuchWorld, InvalidId, MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader,
    NoSuchMachine, RequestTimeout, NameTaken, MachineTerminated, VersionMismatch, BodyTooLarge, UnsupportedMediaType,
    UnknownField, DuplicateField, WrongType, InvalidName, InvalidTags, InvalidValue, Throttled, SettleLimit, Contention,
    RegionOutage, StoreUnavailable,
);
