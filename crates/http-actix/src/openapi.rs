//! The API's description, made from the code.

use cloudm_domain::{Cause, EffectKind, EventKind, FleetKind, FleetState, MachineState, lifecycle_table};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::server::{Server, ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, KnownFormat, LicenseBuilder, OpenApi, Ref, RefOr, Required, SchemaFormat,
};
use utoipa::{PartialSchema, ToSchema};

use crate::codes;
use crate::docs::text;
use crate::problem::{Mistake, ProblemBody};

/// Makes the type that documents the codes of an enumeration of the domain.
macro_rules! code_schema {
    ($(#[$doc:meta])* $name:ident as $shown:literal: $domain:ty, $description:literal) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let codes = <$domain>::ALL.iter().map(|one| one.code());
                Schema::from(text().enum_values(Some(codes)).description(Some($description)).build()).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $shown.into()
            }
        }
    };
}

code_schema! {
    /// States of machines.
    MachineStateCode as "MachineState": MachineState, "Where a machine is in its life."
}
code_schema! {
    /// Operations on machines.
    MachineOperationCode as "MachineOperation": cloudm_domain::Operation, "What a client asks of a machine."
}
code_schema! {
    /// What brings transitions about.
    CauseCode as "Cause": Cause, "What brought a transition about: an operation, CREATE, or what the world does."
}
code_schema! {
    /// Kinds of events.
    EventKindCode as "EventKind": EventKind, "What kind of event it is."
}
code_schema! {
    /// Kinds of what faults do.
    EffectKindCode as "EffectKind": EffectKind, "What a fault does."
}
code_schema! {
    /// Kinds of what is scheduled.
    ScheduleKindCode as "ScheduleKind": cloudm_domain::ScheduleKind, "What is done to machines at a known instant."
}
code_schema! {
    /// Kinds of fleet operations.
    FleetKindCode as "OperationKind": FleetKind, "What a fleet operation does with its machines."
}
code_schema! {
    /// How far fleet operations are.
    FleetStateCode as "OperationState": FleetState, "How far a fleet operation is."
}

/// Adds to the paths that were collected from the routes what is said of the API as a whole.
pub(crate) fn complete(collected: OpenApi) -> OpenApi {
    let mut openapi = collected;
    openapi.info = InfoBuilder::new()
        .title("cloudm")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description()))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build();
    openapi.servers = Some(vec![ServerBuilder::new().url("/").description(Some("This server.")).build()]);
    openapi.tags = Some(TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build()).into());
    let schemas = &mut openapi.components.get_or_insert_with(Components::new).schemas;
    schemas.insert("Problem".into(), ProblemBody::schema());
    schemas.insert("Mistake".into(), Mistake::schema());
    for schema in schemas.values_mut() {
        bare_references(schema);
    }
    if let Some(body) = body_of(&mut openapi, "/sim/v1/worlds/{world}/clock/run-until-idle") {
        body.required = Some(Required::False);
    }
    for (path, item) in &mut openapi.paths.paths {
        let in_a_world = path.starts_with("/api/v1/");
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(|operation| with_headers(operation, in_a_world));
    }
    openapi
}

/// The body of the POST at a path.
fn body_of<'a>(openapi: &'a mut OpenApi, path: &str) -> Option<&'a mut RequestBody> {
    match openapi.paths.paths.get_mut(path)?.post.as_mut()?.request_body.as_mut()? {
        RefOr::T(body) => Some(body),
        RefOr::Ref(_) => None,
    }
}

/// Where the routes of the simulated cloud are: those of `default`, and those of any world.
fn of_any_world() -> Vec<Server> {
    let world =
        ServerVariableBuilder::new().default_value("default").description(Some("The name of the world.")).build();
    vec![
        ServerBuilder::new().url("/").description(Some("The world `default`.")).build(),
        ServerBuilder::new().url("/worlds/{world}").description(Some("Any world.")).parameter("world", world).build(),
    ]
}

const TAGS: [(&str, &str); 13] = [
    ("site", "Regions, machine types, states and operations."),
    ("clusters", "Named groups of machines."),
    ("machines", "Machines and what can be asked of them."),
    ("operations", "One operation over many machines, with a result for each."),
    ("stats", "How many machines there are."),
    ("events", "What happened."),
    ("worlds", "Clouds side by side, each with its own time, behaviour and history."),
    ("clock", "The time of a world, which is its user's."),
    ("behaviour", "How long things take in a world, and how often they go wrong."),
    ("capacity", "How many machines a world has room for."),
    ("faults", "Rules that make chosen things go wrong."),
    ("schedule", "What is done to machines at known instants: spot terminations, maintenance, outages."),
    ("health", "For whoever watches the server."),
];

/// Leaves references alone: many generators of clients do not read what stands beside one.
fn bare_references(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::Ref(reference) => *reference = Ref::new(std::mem::take(&mut reference.ref_location)),
        RefOr::T(Schema::Object(object)) => object.properties.values_mut().for_each(bare_references),
        RefOr::T(_) => {}
    }
}

/// Every answer has the id of its request, and those of the simulated cloud the time in their world.
fn with_headers(operation: &mut Operation, in_a_world: bool) {
    if in_a_world {
        operation.servers = Some(of_any_world());
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = HeaderBuilder::new().schema(Some(Schema::from(text().build()))).description(Some(
                "The id of the request: the client's X-Request-Id where it is safe, else one that was made.",
            ));
            response.headers.insert("X-Request-Id".into(), RefOr::T(id.build()));
            if in_a_world {
                let instant = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
                let now = HeaderBuilder::new().schema(Some(Schema::from(instant.build())));
                let now = now.description(Some("What the world's clock says, where the world was asked."));
                response.headers.insert("X-World-Now".into(), RefOr::T(now.build()));
            }
        }
    }
}

fn description() -> String {
    format!(
        "{}\n## The lifecycle\n\n{}\n{PROBLEMS}\n{}",
        include_str!("description.md"),
        lifecycle_table(),
        codes::markdown()
    )
}

const PROBLEMS: &str = "## Problems

Every failure is `application/problem+json` (RFC 9457): `type title status detail code request_id`, `errors` with a
pointer to each mistake, and the fields that its code promises.
";
