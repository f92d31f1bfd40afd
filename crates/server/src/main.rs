//! The cloudm server: configuration, wiring, telemetry, shutdown.
//!
//! The way in: [`cli`] says what is asked, [`config`] what holds, and `serve` puts the parts together.

mod banner;
mod cli;
mod config;
mod healthcheck;
mod host;
mod serve;
mod shutdown;
mod telemetry;

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mimalloc::MiMalloc;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::config::Settings;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Exit status for a configuration that cannot be used: starting again would not help.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match config::load(cli.config.as_deref(), Path::new(""), env::vars_os()) {
        Ok(settings) => settings,
        Err(error) => return complain("the configuration cannot be used", &error, BAD_CONFIGURATION.into()),
    };
    match run(cli.command.unwrap_or(Command::Serve), &settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain("failed", &error, ExitCode::FAILURE),
    }
}

fn run(command: Command, settings: &Settings) -> Result<()> {
    match command {
        Command::Serve => {
            telemetry::start(&settings.log).context("the log cannot be started")?;
            serve::run(settings)
        }
        Command::Config(ConfigCommand::Check) => print("the configuration can be used\n"),
        Command::Config(ConfigCommand::Show) => print(&settings.to_string()),
        Command::Healthcheck => print(&format!("{} answers: ready\n", healthcheck::ask(settings.http.bind)?)),
        Command::Openapi => print(&cloudm_http_actix::openapi_json()),
    }
}

/// Writes to standard output; a reader that went away is an error and not a panic.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output cannot be written")
}

/// Tells what went wrong, in one line. If even that cannot be written, the status still says it.
fn complain(what: &str, error: &anyhow::Error, status: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "cloudm-server: {what}: {error:#}");
    status
}
