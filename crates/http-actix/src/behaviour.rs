//! GET and PUT /sim/v1/worlds/{world}/behaviour, and the form of behaviours.

use actix_web::{HttpRequest, HttpResponse, get, put};
use cloudm_domain::{Behaviour, MachineState};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::body::{Json, Object, field};
use crate::codes::Code;
use crate::docs::{WorldParam, problems};
use crate::problem::{Mistake, Problem};
use crate::query::Query;
use crate::world::Simulated;

/// How machines behave: how long each active state takes and how often it goes wrong, how often running machines fail, and what
/// follows a failure.
#[derive(ToSchema)]
#[schema(as = Behaviour)]
#[expect(dead_code, reason = "it describes the domain's type")]
pub(crate) struct BehaviourBody {
    /// PROVISIONING.
    provisioning: TimingBody,
    /// STARTING.
    starting: TimingBody,
    /// STOPPING, which never fails.
    stopping: TimingBody,
    /// SUSPENDING.
    suspending: TimingBody,
    /// RESUMING.
    resuming: TimingBody,
    /// REBOOTING.
    rebooting: TimingBody,
    /// UPDATING.
    updating: TimingBody,
    /// REPAIRING.
    repairing: TimingBody,
    /// MIGRATING.
    migrating: TimingBody,
    /// TERMINATING, which never fails.
    terminating: TimingBody,
    /// The mean time from RUNNING to a failure, exponentially distributed; without it a running machine does not fail.
    #[schema(
        required = false,
        min_length = 2,
        pattern = "^([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?([0-9]{1,8}ms)?$",
        example = "6h"
    )]
    mean_time_between_failures: String,
    /// How long after a failure the repair begins; without it a failed machine stays FAILED.
    #[schema(required = false)]
    repair_after: DistributionBody,
}

/// How an active state goes.
#[derive(ToSchema)]
#[schema(as = Timing)]
#[expect(dead_code, reason = "it describes the domain's type")]
pub(crate) struct TimingBody {
    /// How long it takes, also where it then fails.
    duration: DistributionBody,
    /// The odds that it ends in FAILED.
    #[schema(required = false, minimum = 0, maximum = 1, example = 0.05)]
    fail: f64,
    /// The odds that it sticks: it has no end of its own.
    #[schema(required = false, minimum = 0, maximum = 1, example = 0.01)]
    stick: f64,
}

/// A distribution of spans of time: `fixed` has `value`; `uniform` has `min` and `max`, and so have the others, which are cut to
/// them; `normal` has `mean` and `std_dev`, `lognormal` `median` and `sigma`, `exponential` `mean`.
#[derive(ToSchema)]
#[schema(as = Distribution)]
#[expect(dead_code, reason = "it describes the domain's type")]
pub(crate) struct DistributionBody {
    /// Which.
    distribution: DistributionKind,
    /// Always this.
    #[schema(required = false, example = "20s")]
    value: String,
    /// The least.
    #[schema(required = false, example = "8s")]
    min: String,
    /// The most.
    #[schema(required = false, example = "5m")]
    max: String,
    /// The mean.
    #[schema(required = false, example = "30s")]
    mean: String,
    /// The standard deviation.
    #[schema(required = false, example = "5s")]
    std_dev: String,
    /// The median.
    #[schema(required = false, example = "25s")]
    median: String,
    /// The standard deviation of the logarithm.
    #[schema(required = false, minimum = 0, maximum = 10, example = 0.4)]
    sigma: f64,
}

/// Kinds of distributions.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the domain's type")]
pub(crate) enum DistributionKind {
    Fixed,
    Uniform,
    Normal,
    Lognormal,
    Exponential,
}

/// Reads how machines behave in a world
///
/// As it holds now.
#[utoipa::path(
    tag = "behaviour",
    operation_id = "getBehaviour",
    params(WorldParam),
    responses(
        (status = 200, description = "What holds now.", body = BehaviourBody, example = json!(crate::presets::example())),
        GetBehaviourProblems,
    )
)]
#[get("/worlds/{world}/behaviour")]
pub(crate) async fn get_behaviour(request: HttpRequest, world: Simulated) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    Ok(HttpResponse::Ok().json(world.cloud.get_behaviour.run().await?))
}

problems!(GetBehaviourProblems: UnknownParameter, NoSuchWorld, StoreUnavailable);

/// Changes how machines behave in a world
///
/// All of it, from the next instant on, to which the clock is moved. What was under way ends as it was drawn. Every mistake is
/// pointed at.
#[utoipa::path(
    tag = "behaviour",
    operation_id = "putBehaviour",
    params(WorldParam),
    request_body(content = BehaviourBody, example = json!(crate::presets::example())),
    responses(
        (status = 200, description = "What holds now.", body = BehaviourBody, example = json!(crate::presets::example())),
        PutBehaviourProblems,
    )
)]
#[put("/worlds/{world}/behaviour")]
pub(crate) async fn put_behaviour(
    request: HttpRequest,
    world: Simulated,
    body: Json<Fields>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let behaviour = read(body.value)?;
    Ok(HttpResponse::Ok().json(world.cloud.set_behaviour.run(behaviour).await?))
}

problems!(PutBehaviourProblems:
    MissingBody, MalformedJson, UnknownParameter, NoSuchWorld, RequestTimeout, TooManyRules, BodyTooLarge,
    UnsupportedMediaType, UnknownField, DuplicateField, MissingField, WrongType, InvalidValue, InvalidBehaviour, EndOfTime,
    Contention, StoreUnavailable,
);

/// The fields of a behaviour, not understood yet, so that every mistake in them is found.
pub(crate) type Fields = crate::body::Fields;

/// The behaviour of these fields, with every mistake in them.
pub(crate) fn read(fields: Fields) -> Result<Behaviour, Problem> {
    let mut mistakes = Vec::new();
    let mut understood = Map::new();
    for (name, value) in fields.0 {
        let problem = if is_timing(&name) {
            field::<Object<cloudm_domain::Timing>>(&name, &value)
        } else {
            match name.as_str() {
                "mean_time_between_failures" => field::<cloudm_domain::Span>(&name, &value),
                "repair_after" => field::<Object<cloudm_domain::Distribution>>(&name, &value),
                _ => Some(Problem::at(
                    Code::UnknownField,
                    crate::body::pointer_to(&name),
                    "is not a field of this request",
                )),
            }
        };
        mistakes.extend(problem);
        understood.insert(name, value);
    }
    let missing = timings().filter(|name| !understood.contains_key(name));
    mistakes.extend(missing.map(|name| Problem::at(Code::MissingField, format!("/{name}"), "is missing")));
    if let Some(problem) = Problem::all(mistakes) {
        return Err(problem);
    }
    let read = serde_json::from_value(Value::Object(understood));
    read.map_err(|error| Problem::new(Code::InvalidValue, error.to_string()))
}

/// The names of the fields that are timings.
fn timings() -> impl Iterator<Item = String> {
    MachineState::ALL.iter().filter(|state| state.is_active()).map(|state| state.code().to_lowercase())
}

fn is_timing(name: &str) -> bool {
    timings().any(|timing| timing == name)
}

/// What is wrong with a behaviour, and where.
pub(crate) fn mistakes(mistakes: &[cloudm_domain::InvalidBehaviour]) -> Vec<Mistake> {
    use cloudm_domain::InvalidBehaviour as Invalid;
    let pointer = |mistake: &Invalid| match mistake {
        Invalid::Duration { state, .. } => format!("/{}/duration", state.code().to_lowercase()),
        Invalid::Odds(state) | Invalid::NeverFails(state) => format!("/{}/fail", state.code().to_lowercase()),
        Invalid::MeanTimeBetweenFailures => "/mean_time_between_failures".into(),
        Invalid::RepairAfter(_) => "/repair_after".into(),
    };
    let mistake = |mistake: &Invalid| Mistake {
        pointer: pointer(mistake),
        code: Code::InvalidBehaviour.text(),
        detail: mistake.to_string(),
    };
    mistakes.iter().map(mistake).collect()
}
