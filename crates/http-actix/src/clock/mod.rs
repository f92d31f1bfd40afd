//! A world's clock: one route a file.

mod advance;
mod edit;
mod get;
mod idle;
mod next;

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use cloudm_application::{Advanced, ClockView};
use cloudm_domain::Instant;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use advance::advance_clock;
pub(crate) use edit::edit_clock;
pub(crate) use get::get_clock;
pub(crate) use idle::run_until_idle;
pub(crate) use next::advance_to_next;

use crate::answer::replayed;
use crate::shape;

/// A world's clock.
#[derive(Serialize, ToSchema)]
#[schema(as = Clock)]
pub(crate) struct ClockBody {
    /// What it says.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:02:00.000Z")]
    now: Instant,
    /// How many virtual seconds pass in a second; at 0 it is moved by hand.
    #[schema(example = 0.0, minimum = 0, maximum = 1_000_000)]
    rate: f64,
    /// When the next thing happens by itself: a machine enters a state, or a TERMINATED one is forgotten.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2030-01-01T03:21:09.417Z")]
    next_due_at: Option<Instant>,
}

impl From<ClockView> for ClockBody {
    fn from(view: ClockView) -> Self {
        Self { now: view.now, rate: view.rate.into(), next_due_at: view.next_due_at }
    }
}

/// How a clock was moved, and what happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Advanced)]
pub(crate) struct AdvancedBody {
    /// What the clock said before.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    from: Instant,
    /// What it said then.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:02:00.000Z")]
    to: Instant,
    /// The clock now.
    clock: ClockBody,
    /// What happened after `from`, up to `to`.
    happened: HappenedBody,
    /// Whether no machine is on its way; only where the world was run until that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    idle: Option<bool>,
}

/// Counts of what happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Happened)]
pub(crate) struct HappenedBody {
    /// Events in all.
    #[schema(example = 2, minimum = 0)]
    events: u64,
    /// Events of each kind that there were any of.
    #[schema(example = json!({"STATE_ENTERED": 2}))]
    kinds: BTreeMap<&'static str, u64>,
    /// How often each state was entered, of those that were.
    #[schema(example = json!({"STARTING": 1, "RUNNING": 1}))]
    states: BTreeMap<&'static str, u64>,
}

fn show(advanced: &Advanced, idle: Option<bool>) -> HttpResponse {
    let happened = &advanced.happened;
    let body = AdvancedBody {
        from: advanced.from,
        to: advanced.to,
        clock: advanced.clock.into(),
        happened: HappenedBody {
            events: happened.events,
            kinds: happened.kinds.iter().map(|(kind, count)| (kind.code(), *count)).collect(),
            states: happened.states.iter().map(|(state, count)| (state.code(), *count)).collect(),
        },
        idle,
    };
    replayed(HttpResponse::Ok().json(body), advanced.replayed)
}

/// What a clock is in examples.
pub(crate) fn example() -> serde_json::Value {
    serde_json::json!({"now": "2030-01-01T00:02:00.000Z", "rate": 0.0, "next_due_at": "2030-01-01T03:21:09.417Z"})
}

/// What a moved clock is in examples.
pub(crate) fn advanced_example() -> serde_json::Value {
    serde_json::json!({"from": "2030-01-01T00:00:00.000Z", "to": "2030-01-01T00:02:00.000Z", "clock": example(),
        "happened": {"events": 2, "kinds": {"STATE_ENTERED": 2}, "states": {"RUNNING": 1, "STARTING": 1}}})
}
