//! What faults do, in requests and answers.

use cloudm_domain::{Effect, EffectKind, FaultRefusal, Span};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::body::{not_null, parsed_one};
use crate::codes::Code;
use crate::docs::text;
use crate::problem::Problem;

/// After how long a request that is throttled is to be tried again, where nothing else is said.
const RETRY_AFTER: Span = Span::from_secs(1);

/// What a fault does: `refuse` has `code` and `status`, `stick` may have `for`, `delay` and `slow_reply` have `by`, `crash` may have
/// `in`, and `throttle` `retry_after`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FaultEffect)]
pub(crate) struct EffectBody {
    /// Which.
    #[serde(serialize_with = "in_lower_case", deserialize_with = "parsed_one")]
    #[schema(value_type = KindCode, example = "refuse")]
    kind: EffectKind,
    /// The code with which it is refused.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[a-z][a-z0-9_]{0,62}$", example = "out_of_luck")]
    code: Option<String>,
    /// The HTTP status with which it is refused.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u16, required = false, minimum = 400, maximum = 599, example = 500)]
    status: Option<u16>,
    /// How long the state lasts; it has no end of its own where it is absent.
    #[serde(rename = "for", default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[1-9][0-9]{0,3}(ms|s|m|h)$", example = "10m")]
    lasting: Option<Span>,
    /// How much longer it takes: in virtual time, and for an answer, at most a minute of wall time.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[1-9][0-9]{0,3}(ms|s|m|h)$", example = "30s")]
    by: Option<Span>,
    /// How long after it entered the state the machine fails; at once where it is absent.
    #[serde(rename = "in", default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,4}(ms|s|m|h)$", example = "30s")]
    crash_in: Option<Span>,
    /// After how long the request is to be tried again, in wall time: at most an hour, and `1s` where it is absent.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[1-9][0-9]{0,2}(ms|s)$", example = "1s")]
    retry_after: Option<Span>,
}

/// Kinds of what faults do.
pub(crate) struct KindCode;

impl PartialSchema for KindCode {
    fn schema() -> RefOr<Schema> {
        let codes = EffectKind::ALL.iter().map(|kind| kind.code().to_lowercase());
        Schema::from(text().enum_values(Some(codes)).description(Some("What a fault does.")).build()).into()
    }
}

impl ToSchema for KindCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "FaultEffectKind".into()
    }
}

fn in_lower_case<S: Serializer>(kind: &EffectKind, json: S) -> Result<S::Ok, S::Error> {
    json.serialize_str(&kind.code().to_lowercase())
}

impl EffectBody {
    fn of(kind: EffectKind) -> Self {
        Self { kind, code: None, status: None, lasting: None, by: None, crash_in: None, retry_after: None }
    }

    pub(crate) fn read(mut self) -> Result<Effect, Problem> {
        let effect = match self.kind {
            EffectKind::Refuse => {
                let (code, status) = (needed("code", self.code.take())?, needed("status", self.status.take())?);
                Effect::Refuse(FaultRefusal { code, status })
            }
            EffectKind::Fail => Effect::Fail,
            EffectKind::Stick => Effect::Stick(self.lasting.take()),
            EffectKind::Delay => Effect::Delay(needed("by", self.by.take())?),
            EffectKind::Crash => Effect::Crash(self.crash_in.take().unwrap_or(Span::ZERO)),
            EffectKind::Throttle => Effect::Throttle(self.retry_after.take().unwrap_or(RETRY_AFTER)),
            EffectKind::LoseReply => Effect::LoseReply,
            EffectKind::SlowReply => Effect::SlowReply(needed("by", self.by.take())?),
        };
        self.refuse_strangers()?;
        Ok(effect)
    }

    /// Refuses the fields that are left: they do not go with the kind.
    fn refuse_strangers(&self) -> Result<(), Problem> {
        let fields = [
            ("code", self.code.is_some()),
            ("status", self.status.is_some()),
            ("for", self.lasting.is_some()),
            ("by", self.by.is_some()),
            ("in", self.crash_in.is_some()),
            ("retry_after", self.retry_after.is_some()),
        ];
        match fields.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => {
                let detail = format!("does not go with {}", self.kind.code().to_lowercase());
                Err(Problem::at(Code::UnknownField, format!("/effect/{name}"), detail))
            }
        }
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::at(Code::MissingField, format!("/effect/{name}"), "is missing"))
}

impl From<&Effect> for EffectBody {
    fn from(effect: &Effect) -> Self {
        let plain = Self::of(effect.kind());
        match effect {
            Effect::Refuse(FaultRefusal { code, status }) => {
                Self { code: Some(code.clone()), status: Some(*status), ..plain }
            }
            Effect::Stick(lasting) => Self { lasting: *lasting, ..plain },
            Effect::Delay(by) | Effect::SlowReply(by) => Self { by: Some(*by), ..plain },
            Effect::Crash(after) => Self { crash_in: Some(*after), ..plain },
            Effect::Throttle(after) => Self { retry_after: Some(*after), ..plain },
            Effect::Fail | Effect::LoseReply => plain,
        }
    }
}
