//! POST /sim/v1/worlds/{world}/faults

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::{Error, FaultView};
use cloudm_domain::{FaultField, FaultRule, FaultScope, Instant, InvalidFault, Odds};
use serde::Deserialize;
use utoipa::ToSchema;

use super::FaultBody;
use super::effect::EffectBody;
use super::on::{OnBody, ScopeCode};
use crate::answer::{Answer, repeatable, respond};
use crate::body::{Json, Object, not_null, parsed};
use crate::docs::{DryRunParam, IdempotencyKeyParam, WorldParam, problems};
use crate::operations::SelectorBody;
use crate::problem::Problem;
use crate::query::Query;
use crate::world::{Simulated, public_path};

/// A fault to post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewFault)]
pub(crate) struct NewFaultBody {
    /// What it waits for.
    #[schema(value_type = OnBody)]
    on: Object<OnBody>,
    /// Which machines; all where it is absent, and with `request`.
    #[serde(default)]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Object<SelectorBody>,
    /// Whose matches `after` and `times` count, with `operation`: those of each machine by itself, or all of the world. With `request`
    /// they are the world's.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = ScopeCode, required = false, default = "machine", example = "world")]
    scope: Option<FaultScope>,
    /// How many matches it lets pass first.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 0, maximum = 1_000_000, default = 0, example = 0)]
    after: Count,
    /// How many matches it strikes then; all where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1_000_000, example = 1)]
    times: Option<Count>,
    /// The odds that it matches what it waits for, in millionths.
    #[serde(default = "always")]
    #[schema(value_type = f64, required = false, minimum = 0.000_001, maximum = 1, default = 1.0, example = 1.0)]
    probability: Odds,
    /// What it does.
    #[schema(value_type = EffectBody)]
    effect: Object<EffectBody>,
    /// When it begins to hold, in virtual time; at the next instant where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-01T00:00:00Z")]
    active_from: Option<Instant>,
    /// When it holds no more, in virtual time; it holds for ever where it is absent.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(value_type = String, required = false, pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{3})?Z$", example = "2030-01-02T00:00:00Z")]
    active_until: Option<Instant>,
}

/// How many matches.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "u32")]
struct Count(u32);

impl Count {
    /// The most.
    const MAX: u32 = 1_000_000;
}

impl TryFrom<u32> for Count {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        if count <= Self::MAX { Ok(Self(count)) } else { Err(format!("is at most {}", Self::MAX)) }
    }
}

fn always() -> Odds {
    Odds::ALWAYS
}

impl NewFaultBody {
    pub(crate) fn read(self) -> Result<FaultRule, Problem> {
        Ok(FaultRule {
            selector: self.selector.0.read()?,
            on: self.on.0.read()?,
            scope: self.scope.unwrap_or(FaultScope::Machine),
            after: self.after.0,
            times: self.times.map(|Count(times)| times),
            probability: self.probability,
            effect: self.effect.0.read()?,
            active_from: self.active_from,
            active_until: self.active_until,
        })
    }
}

/// Posts a fault
///
/// A rule that makes chosen things go wrong. On an operation: `refuse` it with any code and status, or let the state that it
/// leads to `fail` when it is due to end, `stick`, be longer by a `delay`, or `crash` the machine. On a state that machines
/// enter: the same, but for `refuse`. On requests: `throttle` them, carry them out and `lose_reply` by closing the connection,
/// or answer with a `slow_reply`.
///
/// With the scope `world`, `after` and `times` count all machines together: the next two START, whichever machines they are of, or every
/// CREATE after the hundredth. Which machines those are depends on who comes first, and so does the history.
///
/// It holds from the next instant on, to which the clock is moved, or from `active_from`. Of several that match, the first posted
/// strikes. What happens to machines by one is in the history, and the same each time.
#[utoipa::path(
    tag = "faults",
    operation_id = "createFault",
    params(WorldParam, DryRunParam, IdempotencyKeyParam),
    request_body(
        content = NewFaultBody,
        example = json!({"on": {"operation": "START"}, "selector": {"tag": ["team:a"]}, "times": 1,
            "effect": {"kind": "refuse", "code": "out_of_luck", "status": 500}})
    ),
    responses(
        (
            status = 201,
            description = "The fault.",
            body = FaultBody,
            headers(("Location" = String, description = "Where it is.")),
            example = json!(super::example())
        ),
        CreateFaultProblems,
    )
)]
#[post("/worlds/{world}/faults")]
pub(crate) async fn create_fault(
    request: HttpRequest,
    world: Simulated,
    body: Json<NewFaultBody>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let path = public_path(&request);
    let show = move |view: &FaultView| -> Answer {
        let location = format!("{path}/{}", view.fault.id);
        Answer::untagged(StatusCode::CREATED, &FaultBody::from(view)).located(location)
    };
    let writing = repeatable(&request, &mut query, &body.bytes, show.clone())?;
    query.end()?;
    let rule = body.value.read()?;
    respond(world.cloud.set_faults.post(rule, writing).await.map_err(refused)?, show)
}

problems!(CreateFaultProblems:
    MissingBody, MalformedJson, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchWorld, RequestTimeout,
    TooManyRules, TooManyFaults, IdempotencyInFlight, BodyTooLarge, UnsupportedMediaType, UnknownField, DuplicateField,
    MissingField, WrongType, InvalidValue, UnknownRegion, UnknownMachineType, InvalidFault, EndOfTime, IdempotencyMismatch,
    Contention, StoreUnavailable,
);

/// What was wrong with a fault, and where.
pub(crate) fn refused(error: Error) -> Problem {
    let pointer = match &error {
        Error::UnknownRegion(_) => Some("/selector/region"),
        Error::UnknownMachineType(_) => Some("/selector/machine_type"),
        Error::InvalidFault(InvalidFault { field, .. }) => Some(match field {
            FaultField::Selector => "/selector",
            FaultField::On => "/on",
            FaultField::Scope => "/scope",
            FaultField::After => "/after",
            FaultField::Times => "/times",
            FaultField::Probability => "/probability",
            FaultField::Effect => "/effect",
            FaultField::ActiveUntil => "/active_until",
        }),
        _ => None,
    };
    let pointer = pointer.map(str::to_owned);
    Problem::from(error).with_part(pointer)
}
