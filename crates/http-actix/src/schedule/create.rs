//! POST /sim/v1/worlds/{world}/schedule

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::Error;
use cloudm_domain::{Instant, InvalidSchedule, ScheduleEntry, ScheduleField, ScheduleKind, ScheduleRule, Span};
use serde::Deserialize;
use utoipa::ToSchema;

use super::EntryBody;
use crate::answer::{Answer, repeatable, respond};
use crate::body::{Json, Object, not_null, parsed, parsed_one};
use crate::docs::{DryRunParam, IdempotencyKeyParam, WorldParam, problems};
use crate::openapi::ScheduleKindCode;
use crate::operations::SelectorBody;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, public_path};

/// An entry of a schedule to post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewScheduleEntry)]
pub(crate) struct NewEntryBody {
    /// What is done.
    #[serde(deserialize_with = "parsed_one")]
    #[schema(value_type = ScheduleKindCode, example = "SPOT_TERMINATION")]
    kind: ScheduleKind,
    /// To which machines: those that it selects when they are told; all where it is absent. An outage is of regions alone, and
    /// needs them.
    #[serde(default)]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Object<SelectorBody>,
    /// No machine is reached before, in virtual time. An outage begins then.
    #[serde(deserialize_with = "parsed_one")]
    #[schema(value_type = String, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-01T01:00:00Z")]
    not_before: Instant,
    /// Every machine is reached by then, each at an instant of its own; at `not_before` where it is absent. An outage ends then,
    /// and needs it.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-01T01:10:00Z")]
    deadline: Option<Instant>,
    /// How long before `not_before` machines are told; none where it is absent. An outage has none.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[1-9][0-9]{0,3}(ms|s|m|h)$", example = "2m")]
    notice: Option<Span>,
}

impl NewEntryBody {
    pub(crate) fn read(self) -> Result<ScheduleRule, Problem> {
        Ok(ScheduleRule {
            kind: self.kind,
            selector: self.selector.0.read()?,
            not_before: self.not_before,
            deadline: self.deadline.unwrap_or(self.not_before),
            notice: self.notice.unwrap_or(Span::ZERO),
        })
    }
}

/// Posts an entry of a schedule
///
/// Something that is done to machines at known instants: `SPOT_TERMINATION` takes their places back, `MAINTENANCE_MIGRATION`
/// moves those that are RUNNING, `MAINTENANCE_STOP` stops them, and in a `REGION_OUTAGE` those of a region fail and are repaired
/// from its end on, while the region refuses what is asked of it.
///
/// Machines are told by an event and as `scheduled_events`, and where there is a `notice`, before. Who has stopped or ended a
/// machine by then sees nothing worse. What was announced comes to pass.
#[utoipa::path(
    tag = "schedule",
    operation_id = "createScheduleEntry",
    params(WorldParam, DryRunParam, IdempotencyKeyParam),
    request_body(
        content = NewEntryBody,
        example = json!({"kind": "SPOT_TERMINATION", "selector": {"tag": ["spot"]}, "not_before": "2030-01-01T01:00:00Z",
            "notice": "2m"})
    ),
    responses(
        (
            status = 201,
            description = "The entry.",
            body = EntryBody,
            headers(("Location" = String, description = "Where it is.")),
            example = json!(super::example())
        ),
        CreateScheduleEntryProblems,
    )
)]
#[post("/worlds/{world}/schedule")]
pub(crate) async fn create_schedule_entry(
    request: HttpRequest,
    world: Simulated,
    body: Json<NewEntryBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let path = public_path(&request);
    let show = move |(entry, now): &(ScheduleEntry, Instant)| -> Answer {
        let location = format!("{path}/{}", entry.id);
        Answer::untagged(StatusCode::CREATED, &EntryBody::of(entry, *now)).located(location)
    };
    let writing = repeatable(&request, &mut query, &body.bytes, show.clone())?;
    query.end()?;
    let rule = body.value.read()?;
    respond(world.cloud.set_schedule.post(rule, writing).await.map_err(refused)?, show)
}

problems!(CreateScheduleEntryProblems:
    MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchWorld, RequestTimeout,
    TooManyRules, IdempotencyInFlight, BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType,
    InvalidValue, UnknownRegion, UnknownMachineType, InvalidSchedule, EndOfTime, IdempotencyMismatch, Contention,
    StoreUnavailable,
);

/// What was wrong with an entry, and where.
pub(crate) fn refused(error: Error) -> Problem {
    let pointer = match &error {
        Error::UnknownRegion(_) => Some("/selector/region"),
        Error::UnknownMachineType(_) => Some("/selector/machine_type"),
        Error::InvalidSchedule(InvalidSchedule { field, .. }) => Some(match field {
            ScheduleField::Selector => "/selector",
            ScheduleField::NotBefore => "/not_before",
            ScheduleField::Deadline => "/deadline",
            ScheduleField::Notice => "/notice",
        }),
        _ => None,
    };
    let pointer = pointer.map(str::to_owned);
    Problem::from(error).with_part(pointer)
}
