//! GET /sim/v1/worlds/{world}/scorecard

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::ScorecardQuery;
use cloudm_domain::{Asked, Code, Instant, MachineState, Scorecard, Span};
use serde::Serialize;
use utoipa::ToSchema;

use crate::docs::{IntervalParams, SelectorParams, WorldParam, problems};
use crate::openapi::MachineStateCode;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape;
use crate::world::Simulated;

/// How well a fleet was run. Times are in milliseconds of virtual time.
#[derive(Serialize, ToSchema)]
#[schema(as = Scorecard)]
pub(crate) struct ScorecardBody {
    /// Where the interval begins.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    from: Instant,
    /// Where it ends. What happened at either end belongs to it.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T01:00:00.000Z")]
    to: Instant,
    /// How long machines of each type were in each state, all added up; TERMINATED is no time.
    machine_time: Vec<MachineTimeBody>,
    /// The price of all RUNNING time, in millionths of the catalogue's currency unit: by the millisecond, added up exactly and cut
    /// to whole millionths once.
    #[schema(example = 5_500, minimum = 0)]
    cost_micros: u64,
    /// The machine types that the catalogue does not have, whose time costs nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["huge"]))]
    unpriced_machine_types: Vec<String>,
    /// What machines began because a client asked, and what the world refused, by operations and CREATE.
    #[schema(example = json!({"CREATE": {"asked": 1, "done": 1, "failed": 0, "refused": 0, "superseded": 0, "pending": 0}}))]
    operations: BTreeMap<&'static str, AskedBody>,
    /// How often the world refused something, by why.
    #[schema(example = json!({"INSUFFICIENT_CAPACITY": 2}))]
    refusals: BTreeMap<&'static str, u64>,
    /// How often a machine failed while RUNNING.
    #[schema(example = 0, minimum = 0)]
    crashes: u64,
    /// How long it took from what was asked to what was done; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LatencyBody, required = false)]
    time_to_settle: Option<LatencyBody>,
    /// The times with fewer machines RUNNING than `fewer_than`; absent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ShortageBody, required = false)]
    shortage: Option<ShortageBody>,
}

/// How long machines of a type were in a state.
#[derive(Serialize, ToSchema)]
#[schema(as = MachineTime)]
pub(crate) struct MachineTimeBody {
    /// The machine type.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "small")]
    machine_type: Code,
    /// The state.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = MachineStateCode, example = "RUNNING")]
    state: MachineState,
    /// How long.
    #[schema(example = 1_800_000, minimum = 1)]
    time_ms: u64,
}

/// What came of what was asked; `asked` is the sum of the others. What was found done, or was not possible, is not in it.
#[derive(Serialize, ToSchema)]
#[schema(as = Asked)]
pub(crate) struct AskedBody {
    /// All of it.
    #[schema(example = 1)]
    asked: u64,
    /// What came to the state it was to come to.
    #[schema(example = 1)]
    done: u64,
    /// What ended in FAILED.
    #[schema(example = 0)]
    failed: u64,
    /// What the world refused.
    #[schema(example = 0)]
    refused: u64,
    /// What something else that was asked took the place of.
    #[schema(example = 0)]
    superseded: u64,
    /// What was still on its way.
    #[schema(example = 0)]
    pending: u64,
}

/// How long something took, by nearest rank.
#[derive(Serialize, ToSchema)]
#[schema(as = Latency)]
pub(crate) struct LatencyBody {
    /// Half of it took no longer.
    #[schema(example = 37_000)]
    median_ms: u64,
    /// Ninety-nine of a hundred took no longer.
    #[schema(example = 61_000)]
    p99_ms: u64,
}

/// Times with fewer machines RUNNING than wanted.
#[derive(Serialize, ToSchema)]
#[schema(as = Shortage)]
pub(crate) struct ShortageBody {
    /// How many were wanted.
    #[schema(example = 3)]
    fewer_than: u64,
    /// The longest of these times.
    #[schema(example = 37_000)]
    longest_ms: u64,
    /// All of them together.
    #[schema(example = 40_000)]
    total_ms: u64,
}

impl From<&Asked> for AskedBody {
    fn from(asked: &Asked) -> Self {
        let Asked { asked, done, failed, refused, superseded, pending } = *asked;
        Self { asked, done, failed, refused, superseded, pending }
    }
}

impl From<Scorecard> for ScorecardBody {
    fn from(card: Scorecard) -> Self {
        let times = card.times.into_iter().filter(|(_, time)| *time > Span::ZERO);
        let time = |((machine_type, state), time): ((Code, MachineState), Span)| MachineTimeBody {
            machine_type,
            state,
            time_ms: time.millis(),
        };
        Self {
            from: card.from,
            to: card.to,
            machine_time: times.map(time).collect(),
            cost_micros: u64::try_from(card.cost_micros).unwrap_or(u64::MAX),
            unpriced_machine_types: card.unpriced.iter().map(Code::to_string).collect(),
            operations: card.operations.iter().map(|(cause, asked)| (cause.code(), asked.into())).collect(),
            refusals: card.refusals.iter().map(|(why, count)| (why.code(), *count)).collect(),
            crashes: card.crashes,
            time_to_settle: card
                .to_settle
                .map(|latency| LatencyBody { median_ms: latency.median.millis(), p99_ms: latency.p99.millis() }),
            shortage: card.shortage.map(|shortage| ShortageBody {
                fewer_than: shortage.fewer_than,
                longest_ms: shortage.longest.millis(),
                total_ms: shortage.total.millis(),
            }),
        }
    }
}

/// Tells how well a fleet was run
///
/// From the history of an interval: the time of machines and what it cost, what was asked of them and what came of it, how long that
/// took, and how long fewer machines were RUNNING than wanted. What was due has happened. A selector selects machines as they are at each moment. It
/// costs a look at every event up to the end of the interval, of which there may be a million.
#[utoipa::path(
    tag = "worlds",
    operation_id = "getScorecard",
    params(WorldParam, IntervalParams, SelectorParams),
    responses(
        (
            status = 200,
            description = "The scorecard.",
            body = ScorecardBody,
            example = json!({"from": "2030-01-01T00:00:00.000Z", "to": "2030-01-01T00:30:00.000Z",
                "machine_time": [{"machine_type": "small", "state": "RUNNING", "time_ms": 1_800_000}], "cost_micros": 5_500,
                "operations": {"CREATE": {"asked": 1, "done": 1, "failed": 0, "refused": 0, "superseded": 0, "pending": 0}},
                "refusals": {}, "crashes": 0, "time_to_settle": {"median_ms": 0, "p99_ms": 0},
                "shortage": {"fewer_than": 2, "longest_ms": 1_800_000, "total_ms": 1_800_000}})
        ),
        GetScorecardProblems,
    )
)]
#[get("/worlds/{world}/scorecard")]
pub(crate) async fn get_scorecard(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = ScorecardQuery {
        from: query.instant("from")?,
        to: query.instant("to")?,
        selector: query.selector()?,
        fewer_than: query.number("fewer_than")?,
    };
    query.end()?;
    Ok(HttpResponse::Ok().json(ScorecardBody::from(world.cloud.get_scorecard.run(asked).await?)))
}

problems!(GetScorecardProblems:
    UnknownParameter, DuplicateParameter, InvalidParameter, NoSuchWorld, InTheFuture, BeforeHistory, TooMuchHistory, Settling,
    StoreUnavailable,
);
