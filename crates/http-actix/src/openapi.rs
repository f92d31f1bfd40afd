//! The API's description, made from the code.

use cloudm_domain::{Cause, EventKind, MachineState, lifecycle_table};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr};
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
    for item in openapi.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(with_request_id);
    }
    openapi
}

const TAGS: [(&str, &str); 5] = [
    ("site", "Regions, machine types, states and operations."),
    ("clusters", "Named groups of machines."),
    ("machines", "Machines and what can be asked of them."),
    ("events", "What happened."),
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

/// Every answer has the id of its request.
fn with_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = HeaderBuilder::new().schema(Some(Schema::from(text().build()))).description(Some(
                "The id of the request: the client's X-Request-Id where it is safe, else one that was made.",
            ));
            response.headers.insert("X-Request-Id".into(), RefOr::T(id.build()));
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
