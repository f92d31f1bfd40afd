//! What faults wait for, in requests and answers.

use std::iter;

use cloudm_domain::{Cause, FaultOn, FaultRule, FaultScope, MachineState, Operation, RequestPattern};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::body::{Object, not_null, parsed};
use crate::codes::Code;
use crate::docs::text;
use crate::openapi::MachineStateCode;
use crate::problem::Problem;
use crate::shape;

/// What a fault waits for: `operation`, `state` or `request`, one of them.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FaultOn)]
pub(crate) struct OnBody {
    /// That a client asks this of a machine, or for a machine, and it would be done.
    #[serde(
        default,
        deserialize_with = "parsed",
        serialize_with = "shape::shown_some",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = OperationCode, required = false, example = "START")]
    operation: Option<Cause>,
    /// That a machine enters this state.
    #[serde(
        default,
        deserialize_with = "parsed",
        serialize_with = "shape::shown_some",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = MachineStateCode, required = false, example = "STARTING")]
    state: Option<MachineState>,
    /// That a client sends a request like this to the world's simulated cloud.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PatternBody, required = false)]
    request: Option<Object<PatternBody>>,
}

/// Which requests.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestPattern)]
pub(crate) struct PatternBody {
    /// Their method; any where it is absent. HEAD is a GET.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^(GET|POST|PATCH|DELETE)$", example = "POST")]
    method: Option<String>,
    /// Their path below `/api/v1`, or the beginning of it with a `*` at the end.
    #[schema(pattern = "^/[A-Za-z0-9/._-]{0,198}[*]?$", example = "/machines/*")]
    path: String,
}

/// What can be asked of a machine, or for one.
pub(crate) struct OperationCode;

impl PartialSchema for OperationCode {
    fn schema() -> RefOr<Schema> {
        let about = "What a client asks of a machine, or CREATE for one, in upper or lower case.";
        let codes = iter::once(Cause::Create.code()).chain(Operation::ALL.iter().map(|operation| operation.code()));
        Schema::from(text().enum_values(Some(codes)).description(Some(about)).build()).into()
    }
}

impl ToSchema for OperationCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "FaultOperation".into()
    }
}

/// Whose matches a fault counts.
pub(crate) struct ScopeCode;

impl PartialSchema for ScopeCode {
    fn schema() -> RefOr<Schema> {
        let codes = FaultScope::ALL.iter().map(|scope| scope.code().to_lowercase());
        Schema::from(text().enum_values(Some(codes)).description(Some("Whose matches a fault counts.")).build()).into()
    }
}

impl ToSchema for ScopeCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "FaultScope".into()
    }
}

/// The scope of a rule, where it has one other than what goes without saying.
pub(super) fn scope(rule: &FaultRule) -> Option<String> {
    (!rule.scope.is_machine()).then(|| rule.scope.code().to_lowercase())
}

impl OnBody {
    pub(crate) fn read(self) -> Result<FaultOn, Problem> {
        match (self.operation, self.state, self.request) {
            (Some(cause), None, None) => Ok(FaultOn::Operation(cause)),
            (None, Some(state), None) => Ok(FaultOn::State(state)),
            (None, None, Some(Object(PatternBody { method, path }))) => {
                Ok(FaultOn::Request(RequestPattern { method, path }))
            }
            (None, None, None) => {
                let detail = "or `state` or `request` says what it waits for";
                Err(Problem::at(Code::MissingField, "/on/operation", detail))
            }
            _ => Err(Problem::at(Code::InvalidValue, "/on", "has one of operation, state and request")),
        }
    }
}

impl From<&FaultOn> for OnBody {
    fn from(on: &FaultOn) -> Self {
        match on {
            FaultOn::Operation(cause) => Self { operation: Some(*cause), ..Self::default() },
            FaultOn::State(state) => Self { state: Some(*state), ..Self::default() },
            FaultOn::Request(RequestPattern { method, path }) => {
                let pattern = PatternBody { method: method.clone(), path: path.clone() };
                Self { request: Some(Object(pattern)), ..Self::default() }
            }
        }
    }
}
