//! cloudm's HTTP API on actix-web.
//!
//! [`HttpApi`] holds what the routes need; [`HttpApi::app`] is the whole application, the same for the server and for
//! tests. A route is a file: its documentation, its problems and its handler. Rules of machine life are not here: a
//! handler reads the request into the domain's types, calls one use case and shows what came of it.
//!
//! # Adding a route
//! 1. Its file beside those of its feature, with `#[utoipa::path]`, an operation id, an example and its `problems!`.
//! 2. A line in `HttpApi::routes` (or in `HttpApi::app`, for what is not of the simulated cloud).
//! 3. `cargo xtask openapi`.

mod answer;
mod around;
mod behaviour;
mod body;
mod capacity;
mod clock;
mod clusters;
mod codes;
mod conditions;
mod connections;
mod digest;
mod docs;
mod errors;
mod events;
mod examples;
mod fallback;
mod faults;
mod health;
mod machines;
mod ndjson;
mod openapi;
mod operations;
mod prefer;
mod presets;
mod problem;
mod query;
mod request_id;
mod schedule;
mod scorecard;
mod shape;
mod site_constants;
mod stats;
mod stopwatch;
mod stream;
mod strikes;
mod transfers;
mod world;
mod worlds;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{self, Bytes};
use actix_web::{App, Error, HttpResponse, middleware};
use cloudm_application::Worlds;
use cloudm_application::ports::{Entropy, Store};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::connections::Connections;
use crate::fallback::Methods;
use crate::stream::Streams;
use crate::transfers::Transfers;
use crate::worlds::Snapshots;

/// Everything that the routes need. Clones share it.
#[derive(Clone)]
pub struct HttpApi {
    worlds: Arc<Worlds>,
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    draining: Arc<AtomicBool>,
    connections: Arc<Connections>,
    streams: Streams,
    snapshots: Snapshots,
    transfers: Transfers,
    methods: Arc<Methods>,
    openapi_json: Bytes,
}

impl HttpApi {
    /// An API of these worlds, which are in `store`. Request ids come from `entropy`.
    pub fn new(worlds: Arc<Worlds>, store: Arc<dyn Store>, entropy: Arc<dyn Entropy>) -> Self {
        let openapi = openapi();
        Self {
            worlds,
            store,
            entropy,
            draining: Arc::default(),
            connections: Arc::default(),
            streams: Streams::default(),
            snapshots: Snapshots::default(),
            transfers: Transfers::default(),
            methods: Arc::new(Methods::of(&openapi)),
            openapi_json: in_text(&openapi).into(),
        }
    }

    /// From now on the server is not ready; what comes all the same is still answered.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// For [`actix_web::HttpServer::on_connect`]: gets to know the connections that [`HttpApi::watch_connections`] watches.
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + use<> {
        let connections = self.connections.clone();
        move |io, data| connections.opened(io, data)
    }

    /// Shuts down connections that stand still, until it is dropped. A server runs it beside the requests.
    pub async fn watch_connections(&self) {
        self.connections.watch().await;
    }

    pub(crate) fn worlds(&self) -> &Worlds {
        &self.worlds
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The whole application: routes, documentation, and what surrounds every request.
    pub fn app(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody + use<>>,
            Error = Error,
            InitError = (),
        > + use<>,
    > {
        let json = self.openapi_json.clone();
        let description = move || {
            let json = json.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(json) }
        };
        let to_docs = || async { HttpResponse::TemporaryRedirect().insert_header(("location", "/apidocs/")).finish() };
        // Without a validator, which is a service of another host.
        let config = Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true).deep_linking(true);
        let ui = SwaggerUi::new("/apidocs/{_:.*}").config(config);
        App::new()
            .app_data(web::Data::new(self.clone()))
            .into_utoipa_app()
            .configure(routes)
            .into_app()
            .route("/openapi.json", web::get().to(description))
            .route("/", web::get().to(to_docs))
            .route("/apidocs", web::get().to(to_docs))
            .service(ui)
            .default_service(web::to(fallback::fallback))
            .wrap(middleware::from_fn(around::around))
    }
}

/// All routes of the API, and so its description.
fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(utoipa_actix_web::scope("/api/v1").configure(cloud))
        .service(utoipa_actix_web::scope("/sim/v1").configure(simulation))
        .service(health::livez)
        .service(health::readyz)
        .service(health::healthz);
}

/// The routes that control the simulation.
fn simulation(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(worlds::list_worlds)
        .service(worlds::create_world)
        .service(worlds::get_world)
        .service(worlds::edit_world)
        .service(worlds::delete_world)
        .service(worlds::reset_world)
        .service(worlds::fork_world)
        .service(worlds::get_snapshot)
        .service(worlds::put_snapshot)
        .service(worlds::get_scenario)
        .service(worlds::put_scenario)
        .service(clock::get_clock)
        .service(clock::edit_clock)
        .service(clock::advance_clock)
        .service(clock::advance_to_next)
        .service(clock::run_until_idle)
        .service(behaviour::get_behaviour)
        .service(behaviour::put_behaviour)
        .service(capacity::get_capacity)
        .service(capacity::put_capacity)
        .service(capacity::edit_capacity)
        .service(schedule::get_schedule)
        .service(schedule::create_schedule_entry)
        .service(schedule::delete_schedule)
        .service(schedule::get_schedule_entry)
        .service(schedule::delete_schedule_entry)
        .service(faults::list_faults)
        .service(faults::create_fault)
        .service(faults::delete_faults)
        .service(faults::get_fault)
        .service(faults::delete_fault)
        .service(presets::list_presets)
        .service(digest::get_digest)
        .service(scorecard::get_scorecard);
}

/// The routes of the simulated cloud of one world.
fn cloud(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        // They are tried in this order, and a machine is what is asked most.
        .service(machines::get_machine)
        .service(machines::list_machines)
        .service(machines::create_machine)
        .service(machines::export_machines)
        .service(machines::import_machines)
        // Not the id of a machine, with whatever method.
        .route("/machines/export", web::to(fallback::fallback))
        .route("/machines/import", web::to(fallback::fallback))
        .service(machines::operate_machine)
        .service(machines::edit_machine)
        .service(machines::delete_machine)
        .service(machines::wait_for_machine)
        .service(machines::list_machine_events)
        .service(site_constants::list_site_constants)
        .service(clusters::list_clusters)
        .service(clusters::create_cluster)
        .service(clusters::get_cluster)
        .service(clusters::edit_cluster)
        .service(clusters::delete_cluster)
        .service(stats::get_stats)
        .service(operations::list_operations)
        .service(operations::create_operation)
        .service(operations::get_operation)
        .service(operations::cancel_operation)
        .service(operations::wait_for_operation)
        .service(operations::list_operation_results)
        .service(events::list_events);
}

fn openapi() -> utoipa::openapi::OpenApi {
    let (_, collected) = App::new().into_utoipa_app().configure(routes).split_for_parts();
    openapi::complete(collected)
}

/// The API's description, OpenAPI 3.1, as `docs/openapi.json` holds it: indented, with a newline at its end.
pub fn openapi_json() -> String {
    in_text(&openapi())
}

fn in_text(openapi: &utoipa::openapi::OpenApi) -> String {
    let mut json = serde_json::to_string_pretty(openapi).unwrap_or_default();
    json.push('\n');
    json
}
