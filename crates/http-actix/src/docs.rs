//! Pieces of the API's description that several routes share.

use std::collections::BTreeMap;

use cloudm_domain::SelectorField;
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, KnownFormat, Ref, RefOr, Required, Response, ResponseBuilder, SchemaFormat};
use utoipa::{IntoParams, IntoResponses};

use crate::codes::{Code, type_uri};
use crate::problem::MEDIA_TYPE;

/// Makes the type that documents the problems of a route: those named, and those that any route may have.
macro_rules! problems {
    ($name:ident: $($code:ident),* $(,)?) => {
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                crate::docs::problem_responses(&[$(crate::codes::Code::$code),*])
            }
        }
    };
}
pub(crate) use problems;

/// The problems that any route may have.
const ANYWHERE: [Code; 2] = [Code::MalformedRequest, Code::Internal];

/// A response for each status, with an example for each code.
pub(crate) fn problem_responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes.iter().chain(&ANYWHERE) {
        by_status.entry(code.status_number()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), RefOr::T(problem_response(&codes)))).collect()
}

fn problem_response(codes: &[Code]) -> Response {
    let description: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.text(), code.meaning())).collect();
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    for code in codes {
        let example = ExampleBuilder::new().summary(code.title()).value(Some(example(*code))).build();
        content = content.examples_from_iter([(code.text(), example)]);
    }
    let mut response =
        ResponseBuilder::new().description(description.join("\n\n")).content(MEDIA_TYPE, content.build());
    if codes.iter().any(|code| [429, 503].contains(&code.status_number())) {
        let seconds = HeaderBuilder::new()
            .schema(Some(integer()))
            .description(Some("After how many seconds it makes sense to try again."));
        response = response.header("Retry-After", seconds.build());
    }
    response.build()
}

/// Documents the problems with what a fault of the world refuses: the fault gives the status and the code.
pub(crate) struct StruckDownProblems;

impl IntoResponses for StruckDownProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [("4XX", 409), ("5XX", 500)]
            .map(|(statuses, one)| (statuses.into(), RefOr::T(struck_down_response(one))))
            .into()
    }
}

fn struck_down_response(status: u16) -> Response {
    let example = json!({
        "type": type_uri("out_of_luck"),
        "title": Code::Fault.title(),
        "status": status,
        "detail": "a fault of the world refuses it",
        "code": "out_of_luck",
        "request_id": "6f1c2c0f5d0e4a7f",
        "fault": "70dbd8801b2c3d4e5f607182",
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(Some(example));
    let about = "A fault of the world refuses it, with a code and a status that it gives; `fault` is its id.";
    ResponseBuilder::new().description(about).content(MEDIA_TYPE, content.build()).build()
}

fn example(code: Code) -> Value {
    json!({
        "type": type_uri(code.text()),
        "title": code.title(),
        "status": code.status_number(),
        "detail": code.meaning(),
        "code": code.text(),
        "request_id": "6f1c2c0f5d0e4a7f",
    })
}

fn integer() -> Schema {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build().into()
}

pub(crate) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn one_of(values: &[&str]) -> Schema {
    text().enum_values(Some(values.iter().copied())).build().into()
}

fn flag() -> Schema {
    ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(false))).build().into()
}

fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(name, ParameterIn::Query, description, schema).build()
}

fn parameter(
    name: &str,
    parameter_in: ParameterIn,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let required = if parameter_in == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(parameter_in)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
}

/// The pattern of names; that a name is not 24 hex digits is said beside it.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
const CODE_PATTERN: &str = "^[A-Za-z0-9._-]{1,63}$";
const TAG_PATTERN: &str = "^[A-Za-z0-9._:/=@-]{1,128}$";
const ID_PATTERN: &str = "^[0-9a-f]{24}$";

/// Makes a type that documents parameters, whose list is an expression.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident => $list:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                $list
            }
        }
    };
}

parameters! {
    /// The id in a path.
    IdParam => {
        let id = text().pattern(Some(ID_PATTERN)).examples([json!("70dbd880131237f27bdd20d5")]).build();
        vec![parameter("id", ParameterIn::Path, "The id: 24 lower-case hex digits.", Schema::from(id)).build()]
    }
}

parameters! {
    /// The name of a world in a path.
    WorldParam => {
        let name = text().pattern(Some(crate::worlds::NAME_PATTERN)).examples([json!("default")]).build();
        vec![parameter("world", ParameterIn::Path, "The name of the world.", Schema::from(name)).build()]
    }
}

parameters! {
    /// Where in a list, and how much.
    PageParams => vec![
        query(
            "page_size",
            "The most items in the page. It may have fewer and still not be the last.",
            Schema::from(
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                    .minimum(Some(1))
                    .maximum(Some(1000))
                    .default(Some(json!(100)))
                    .build(),
            ),
        ),
        query(
            "page_token",
            "Where to go on: `next_page_token` of the page before. It holds for the same list, selector and order only.",
            Schema::from(text().min_length(Some(1)).max_length(Some(1024)).build()),
        ),
    ]
}

parameters! {
    /// The order of a list.
    OrderParam => vec![query(
        "order_by",
        "The order. A `-` before it turns it round.",
        one_of(&["created_at", "-created_at", "name", "-name"]),
    )]
}

parameters! {
    /// Whether a write is only tried.
    DryRunParam => vec![query("dry_run", "Give the answer that the request would get, without an effect.", flag())]
}

parameters! {
    /// The condition of a write.
    IfMatchParam => vec![parameter(
        "If-Match",
        ParameterIn::Header,
        "Carry the request out only if the resource still has this version: its ETag, or `*`.",
        Schema::from(text().pattern(Some(r#"^(\*|[0-9]+(\.[0-9]+)?|"[0-9]+(\.[0-9]+)?")$"#)).build()),
    ).build()]
}

parameters! {
    /// The condition of a read.
    IfNoneMatchParam => vec![parameter(
        "If-None-Match",
        ParameterIn::Header,
        "Answer 304 if the resource still has this ETag.",
        Schema::from(text().pattern(Some(r#"^(\*|[0-9]+(\.[0-9]+)?|(W/)?"[0-9]+(\.[0-9]+)?")$"#)).build()),
    ).build()]
}

parameters! {
    /// The key of a request that may be repeated.
    IdempotencyKeyParam => vec![parameter(
        "Idempotency-Key",
        ParameterIn::Header,
        "The same key and request give the same answer for 24 hours and have one effect.",
        Schema::from(text().pattern(Some("^[!-~]{1,255}$")).build()),
    ).build()]
}

parameters! {
    /// Which clusters.
    ClusterSelectorParams => vec![
        several("region", "In any of these regions.", text().pattern(Some(CODE_PATTERN))),
        name_pattern(),
    ]
}

parameters! {
    /// Which machines.
    SelectorParams => SelectorField::ALL.into_iter().map(selector_parameter).collect()
}

fn selector_parameter(field: SelectorField) -> Parameter {
    let code = || text().pattern(Some(CODE_PATTERN));
    match field {
        SelectorField::Cluster => {
            several("cluster", "In any of these clusters, by name or id.", text().pattern(Some(NAME_PATTERN)))
        }
        SelectorField::Region => several("region", "In any of these regions.", code()),
        SelectorField::MachineType => several("machine_type", "Of any of these machine types.", code()),
        SelectorField::State => {
            let states = cloudm_domain::MachineState::ALL.iter().map(|state| state.code());
            several(
                "state",
                "In any of these states; without it, in any but TERMINATED.",
                text().enum_values(Some(states)),
            )
        }
        SelectorField::Tag => {
            let tags = ArrayBuilder::new().items(text().pattern(Some(TAG_PATTERN)).build()).max_items(Some(50));
            parameter(
                "tag",
                ParameterIn::Query,
                "With all of these tags: the parameter is repeated.",
                Schema::from(tags.build()),
            )
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .build()
        }
        SelectorField::Name => name_pattern(),
    }
}

/// Any of several values: separated by commas, or the parameter repeated.
fn several(name: &str, description: &str, value: ObjectBuilder) -> Parameter {
    let values = ArrayBuilder::new().items(value.build()).min_items(Some(1)).max_items(Some(100));
    let description = format!("{description} Separated by commas, or the parameter repeated.");
    parameter(name, ParameterIn::Query, &description, Schema::from(values.build()))
        .style(Some(ParameterStyle::Form))
        .explode(Some(false))
        .build()
}

fn name_pattern() -> Parameter {
    let schema = text().pattern(Some(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,61})?\*$|^[A-Za-z0-9][A-Za-z0-9._-]{0,22}$"));
    let description = "With this name, or with a name that begins so where it ends in `*`.";
    query("name", description, Schema::from(schema.build()))
}

parameters! {
    /// What to wait for, and how long.
    WaitParams => {
        let states = cloudm_domain::MachineState::ALL.iter().map(|state| state.code());
        let states = text().enum_values(Some(states));
        let mut state = several("state", "The state to wait for, or any of several.", states);
        state.required = Required::True;
        vec![state, timeout()]
    }
}

parameters! {
    /// How long to wait.
    TimeoutParam => vec![timeout()]
}

fn timeout() -> Parameter {
    query(
        "timeout",
        "How long to wait at most, in wall time: `30s`, where it is absent, to `10m`.",
        Schema::from(text().pattern(Some("^([0-9]{1,3}ms|[1-5]?[0-9]{1,2}s)$")).build()),
    )
}

parameters! {
    /// What the client would prefer.
    PreferParam => vec![parameter(
        "Prefer",
        ParameterIn::Header,
        "What the client would prefer (RFC 7240): `wait=N`, to wait N seconds of wall time, at most 600, until what was asked is \
         complete, and `respond-async`, not to wait at all for a fleet operation. `Preference-Applied` says what was applied; \
         what is unknown is passed over.",
        Schema::from(text().examples([json!("wait=10")]).build()),
    ).build()]
}

parameters! {
    /// Whether a cluster's machines go with it.
    CascadeParam => vec![query("cascade", "Delete its machines too: by a fleet operation, which is the answer.", flag())]
}

parameters! {
    /// Where in the stream of events.
    AfterParam => vec![query(
        "after",
        "Only events after this position: `id` of an event, or `position` of a list.",
        Schema::from(text().pattern(Some("^[A-Za-z0-9_-]{1,200}$")).build()),
    )]
}

parameters! {
    /// Where a stream goes on.
    LastEventIdParam => vec![parameter(
        "Last-Event-ID",
        ParameterIn::Header,
        "Where a stream goes on: the `id` of the last event that was met. It replaces `after`.",
        Schema::from(text().pattern(Some("^[A-Za-z0-9_-]{1,200}$")).build()),
    ).build()]
}

parameters! {
    /// The instant at which to look.
    AtParam => {
        let instant = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let about = "Shows what was at this instant of virtual time, from the world's first to now.";
        vec![parameter("at", ParameterIn::Query, about, Schema::from(instant.build())).build()]
    }
}

parameters! {
    /// An interval, and how many machines are wanted in it.
    IntervalParams => {
        let instant = || Schema::from(text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build());
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(1_000_000_000));
        vec![
            query("from", "Where the interval begins; at the world's start where it is not said.", instant()),
            query("to", "Where it ends; now where it is not said.", instant()),
            query("fewer_than", "How many machines are wanted RUNNING.", Schema::from(number.build())),
        ]
    }
}

parameters! {
    /// The operation to ask of a machine.
    ActionParams => {
        let operations: Vec<_> = cloudm_domain::Operation::ALL.iter().map(|operation| operation.code()).collect();
        let action = parameter("action", ParameterIn::Query, "The operation, in upper or lower case.", one_of(&operations));
        vec![
            action.required(Required::True).build(),
            query("force", "Force it: see the table of the lifecycle.", flag()),
            query("machine_type", "The machine type to give it. RESIZE needs it, others refuse it.", Schema::from(text().pattern(Some(CODE_PATTERN)).build())),
        ]
    }
}

parameters! {
    /// Which constants.
    ConstantParam => vec![query(
        "constant",
        "Which constants; without it, all.",
        one_of(&["region", "machine_state", "machine_operation", "machine_type"]),
    )]
}
