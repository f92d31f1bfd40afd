//! The least that a server could do: a handler of the same framework, with one worker, that serializes the same body.

use std::io::{self, Read};
use std::process::Command;

use actix_web::web::{Bytes, Data, get, post};
use actix_web::{App, HttpResponse, HttpServer, rt};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::say;

/// A machine as an answer shows it.
#[derive(Serialize, Deserialize)]
struct Machine {
    id: String,
    name: String,
    cluster_id: String,
    cluster_name: String,
    region_code: String,
    machine_type: String,
    ip_address: String,
    tags: Vec<String>,
    state: String,
    state_changed_at: String,
    allowed_operations: Vec<String>,
    protection: Protection,
    version: u64,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize, Deserialize)]
struct Protection {
    stop: bool,
    terminate: bool,
}

#[derive(Serialize, Deserialize)]
struct Page {
    items: Vec<Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    position: String,
}

/// What the handlers serialize.
#[derive(Serialize, Deserialize)]
struct Bodies {
    machine: Machine,
    page: Page,
}

/// Starts one that answers with the bodies that the server answers with.
pub(crate) fn start(machine: &str, page: &str, pinned: bool) -> Result<Process> {
    let bodies = format!(r#"{{"machine":{machine},"page":{page}}}"#);
    let read: Bodies = serde_json::from_str(&bodies).context("the server's answers are not what is compared here")?;
    // Less to say would be less to do.
    ensure!(serde_json::to_string(&read)? == bodies, "the bare handler would not say what the server says");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare");
    Process::start(command, Some(bodies.as_bytes()), pinned)
}

/// Reads what to say, and says it until it is killed.
pub(crate) fn serve() -> Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let bodies: Data<Bodies> = Data::new(serde_json::from_str(&text)?);
    rt::System::new().block_on(async {
        let app = move || {
            App::new()
                .app_data(bodies.clone())
                .route("/machine", get().to(machine))
                .route("/machine", post().to(change))
                .route("/page", get().to(page))
        };
        let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0")?;
        let address = server.addrs().first().copied().context("no address")?;
        say(&format!("http://{address}/"))?;
        Ok(server.run().await?)
    })
}

async fn machine(bodies: Data<Bodies>) -> HttpResponse {
    HttpResponse::Ok().json(&bodies.machine)
}

/// Takes a body, or none, and does nothing with it.
async fn change(bodies: Data<Bodies>, _asked: Bytes) -> HttpResponse {
    HttpResponse::Ok().json(&bodies.machine)
}

async fn page(bodies: Data<Bodies>) -> HttpResponse {
    HttpResponse::Ok().json(&bodies.page)
}
