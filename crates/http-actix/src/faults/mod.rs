//! Faults: one route a file.

mod clear;
mod create;
mod delete;
mod effect;
mod get;
mod list;
mod on;

use cloudm_application::FaultView;
use cloudm_domain::{FaultId, FaultRule, Instant, Odds};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) use clear::delete_faults;
pub(crate) use create::{NewFaultBody, create_fault, refused};
pub(crate) use delete::delete_fault;
pub(crate) use get::get_fault;
pub(crate) use list::list_faults;

use self::effect::EffectBody;
use self::on::{OnBody, ScopeCode, scope};
use crate::operations::SelectorBody;
use crate::shape;

/// A rule that makes chosen things go wrong, and how often it did.
#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
pub(crate) struct FaultBody {
    /// Its id.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8801b2c3d4e5f607182")]
    id: FaultId,
    /// What it waits for.
    on: OnBody,
    /// Which machines, where not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Option<SelectorBody>,
    /// Whose matches are counted, where not those of each machine by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ScopeCode, required = false, example = "world")]
    scope: Option<String>,
    /// How many matches it lets pass first.
    #[schema(example = 0, minimum = 0, maximum = 1_000_000)]
    after: u32,
    /// How many matches it strikes then; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1_000_000, example = 1)]
    times: Option<u32>,
    /// The odds that it matches what it waits for.
    #[schema(value_type = f64, minimum = 0, maximum = 1, example = 1.0)]
    probability: Odds,
    /// What it does.
    effect: EffectBody,
    /// From when on it holds, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.001Z")]
    active_from: Instant,
    /// From when on it holds no more, in virtual time; absent where it holds for ever.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2030-01-02T00:00:00.000Z")]
    active_until: Option<Instant>,
    /// How often it matched, also where it let the match pass. Requests are counted anew in a fork, and where a snapshot is put.
    #[schema(example = 1, minimum = 0)]
    matches: u64,
    /// How often it had its effect.
    #[schema(example = 1, minimum = 0)]
    struck: u64,
}

impl From<&FaultView> for FaultBody {
    fn from(FaultView { fault, matches, struck }: &FaultView) -> Self {
        let rule = &fault.rule;
        Self {
            id: fault.id,
            on: OnBody::from(&rule.on),
            selector: Some(SelectorBody::from(&rule.selector)).filter(|selector| !selector.is_empty()),
            scope: scope(rule),
            after: rule.after,
            times: rule.times,
            probability: rule.probability,
            effect: EffectBody::from(&rule.effect),
            active_from: fault.from,
            active_until: fault.until,
            matches: *matches,
            struck: *struck,
        }
    }
}

/// A rule, in the form in which it is posted.
pub(crate) fn shown_rule(rule: &FaultRule) -> Value {
    let FaultRule { selector, on, scope: _, after, times, probability, effect, active_from, active_until } = rule;
    let mut shown = json!({"on": OnBody::from(on), "after": after, "probability": probability,
        "effect": EffectBody::from(effect)});
    let selector = SelectorBody::from(selector);
    let optional = [
        ("selector", (!selector.is_empty()).then(|| json!(selector))),
        ("scope", scope(rule).map(Value::from)),
        ("times", times.map(|times| json!(times))),
        ("active_from", active_from.map(|at| json!(at.to_string()))),
        ("active_until", active_until.map(|at| json!(at.to_string()))),
    ];
    for (name, value) in optional {
        value.into_iter().for_each(|value| shown[name] = value);
    }
    shown
}

/// What a fault is in examples.
fn example() -> Value {
    json!({"id": "70dbd8801b2c3d4e5f607182", "on": {"operation": "START"}, "selector": {"tag": ["team:a"]}, "after": 0,
        "times": 1, "probability": 1.0, "effect": {"kind": "refuse", "code": "out_of_luck", "status": 500},
        "active_from": "2030-01-01T00:00:00.001Z", "matches": 1, "struck": 1})
}
