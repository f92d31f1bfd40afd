//! The API's description, made from the code.

use cloudm_domain::{Cause, EventKind, MachineState, Operation, lifecycle_table};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, RefOr, tag::TagBuilder};
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
    MachineOperationCode as "MachineOperation": Operation, "What a client asks of a machine."
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
    openapi.tags = Some(
        [
            ("site", "Regions, machine types, states and operations."),
            ("clusters", "Named groups of machines."),
            ("machines", "Machines and what can be asked of them."),
            ("events", "What happened."),
            ("health", "For whoever watches the server."),
        ]
        .map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())
        .into(),
    );
    let schemas = &mut openapi.components.get_or_insert_with(Components::new).schemas;
    schemas.insert("Problem".into(), ProblemBody::schema());
    schemas.insert("Mistake".into(), Mistake::schema());
    openapi
}

fn description() -> String {
    format!(
        "A machine cloud you can run on a laptop: regions hold clusters, clusters hold machines, machines have a \
         lifecycle. No machine is real.\n\n## The lifecycle\n\n{}\n## Problems\n\nEvery failure is \
         `application/problem+json` (RFC 9457) with one of these codes:\n\n{}",
        lifecycle_table(),
        codes::markdown(),
    )
}
