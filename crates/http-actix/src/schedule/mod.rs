//! The schedule: one route a file.

mod clear;
mod create;
mod delete;
mod get;
mod list;

use cloudm_domain::{Instant, ScheduleEntry, ScheduleId, ScheduleKind, ScheduleRule, ScheduledEvent, Span};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) use clear::delete_schedule;
pub(crate) use create::{NewEntryBody, create_schedule_entry, refused};
pub(crate) use delete::delete_schedule_entry;
pub(crate) use get::get_schedule_entry;
pub(crate) use list::get_schedule;

use crate::openapi::ScheduleKindCode;
use crate::operations::SelectorBody;
use crate::shape;

/// Something that is done to machines at known instants.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleEntry)]
pub(crate) struct EntryBody {
    /// Its id.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8801b2c3d4e5f607182")]
    id: ScheduleId,
    /// What is done.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = ScheduleKindCode, example = "SPOT_TERMINATION")]
    kind: ScheduleKind,
    /// To which machines, where not to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Option<SelectorBody>,
    /// When machines are told, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:58:00.000Z")]
    announced_at: Instant,
    /// No machine is reached before.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T01:00:00.000Z")]
    not_before: Instant,
    /// Every machine is reached by then; an outage ends then.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T01:00:00.000Z")]
    deadline: Instant,
    /// How long before `not_before` machines were to be told.
    #[schema(value_type = String, example = "2m")]
    notice: Span,
    /// How far it is.
    state: EntryState,
}

/// How far an entry of a schedule is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ScheduleState)]
pub(crate) enum EntryState {
    /// Nobody was told.
    Pending,
    /// Machines were told.
    Announced,
    /// Machines are reached, or a region is out.
    Active,
    /// It is over.
    Over,
}

impl EntryBody {
    /// An entry, as it is at an instant.
    pub(crate) fn of(entry: &ScheduleEntry, now: Instant) -> Self {
        let ScheduleRule { kind, selector, not_before, deadline, notice } = &entry.rule;
        let state = match now {
            now if now < entry.announced_at => EntryState::Pending,
            now if now < *not_before => EntryState::Announced,
            now if now < *deadline => EntryState::Active,
            _ => EntryState::Over,
        };
        Self {
            id: entry.id,
            kind: *kind,
            selector: Some(SelectorBody::from(selector)).filter(|selector| !selector.is_empty()),
            announced_at: entry.announced_at,
            not_before: *not_before,
            deadline: *deadline,
            notice: *notice,
            state,
        }
    }
}

/// What is going to be done to a machine.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduledEvent)]
pub(crate) struct ScheduledEventBody {
    /// The entry of the schedule.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8801b2c3d4e5f607182")]
    id: ScheduleId,
    /// What is done.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = ScheduleKindCode, example = "SPOT_TERMINATION")]
    kind: ScheduleKind,
    /// Not before this instant.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T01:00:00.000Z")]
    not_before: Instant,
    /// By this instant; an outage ends then.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T01:00:00.000Z")]
    deadline: Instant,
}

impl From<&ScheduledEvent> for ScheduledEventBody {
    fn from(event: &ScheduledEvent) -> Self {
        let ScheduledEvent { entry, kind, not_before, deadline, .. } = *event;
        Self { id: entry, kind, not_before, deadline }
    }
}

/// An entry, in the form in which it is posted.
pub(crate) fn shown_rule(rule: &ScheduleRule) -> Value {
    let ScheduleRule { kind, selector, not_before, deadline, notice } = rule;
    let mut shown =
        json!({"kind": kind.code(), "not_before": not_before.to_string(), "deadline": deadline.to_string()});
    let selector = SelectorBody::from(selector);
    if !selector.is_empty() {
        shown["selector"] = json!(selector);
    }
    if *notice > Span::ZERO {
        shown["notice"] = json!(notice);
    }
    shown
}

/// What an entry is in examples.
fn example() -> Value {
    json!({"id": "70dbd8801b2c3d4e5f607182", "kind": "SPOT_TERMINATION", "selector": {"tag": ["spot"]},
        "announced_at": "2030-01-01T00:58:00.000Z", "not_before": "2030-01-01T01:00:00.000Z",
        "deadline": "2030-01-01T01:00:00.000Z", "notice": "2m", "state": "PENDING"})
}
