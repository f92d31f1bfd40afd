//! How fast cloudm is: beside what it could be at best (a bare handler, a loop over the same store) and beside moto.
//!
//! `cargo xtask bench` builds the server and runs this. It ends well whatever the figures are: they are for people to judge,
//! in a table, in a JSON, and, made from that, in `docs/benchmarks.md`.
//!
//! | part | what it measures |
//! | --- | --- |
//! | [`http`] | the hot paths over HTTP, at every size, on both stores |
//! | [`fleet`] | a million machines in one request, on both stores |
//! | [`moto`] | the same work with moto's EC2 server |
//! | [`domain`] | transitions in memory |

mod bare;
mod bench;
mod cli;
mod clock;
mod control;
mod cores;
mod docs;
mod domain;
mod fleet;
mod goals;
mod histogram;
mod host;
mod http;
mod moto;
mod place;
mod process;
mod raw;
mod report;
mod requests;
mod sample;
mod scene;
mod stats;
mod table;
mod wire;

use std::cell::OnceCell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cloudm_domain::Instant;
use mimalloc::MiMalloc;

use crate::bench::Bench;
use crate::cli::{Cli, Part, Role};
use crate::host::{Host, said};
use crate::sample::{Method, Run};

/// The server's, so that the bare handler has it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        Some(Role::Bare) => bare::serve(),
        None if cli.docs => docs::write(&cli.json(), &root().join("docs/benchmarks.md")),
        None => run(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("cloudm-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let pinned = cores::pin_client();
    let mut bench = prepare(cli, pinned)?;
    let is_asked = |part| cli.only.is_none_or(|only| only == part);
    if is_asked(Part::Domain) {
        domain::run(&mut bench)?;
    }
    if is_asked(Part::Http) {
        for store in cli.store.all() {
            http::run(&mut bench, *store)?;
        }
    }
    if is_asked(Part::Fleet) {
        for store in cli.store.all() {
            fleet::run(&mut bench, *store)?;
        }
    }
    if is_asked(Part::Moto) {
        moto::run(&mut bench)?;
    }
    let run = finish(bench, cli.quick)?;
    say(&report::show(&run))?;
    let json = cli.json();
    fs::write(&json, serde_json::to_string_pretty(&run)?).context("the figures cannot be written")?;
    tell(&format!("the figures are in {}", json.display()));
    Ok(())
}

fn prepare(cli: &Cli, pinned: bool) -> Result<Bench> {
    let own = std::env::current_exe()?;
    let server = own.with_file_name("cloudm-server");
    ensure!(server.is_file(), "{} is missing: run this as `cargo xtask bench`", server.display());
    let scratch = root().join("target/bench");
    fs::create_dir_all(&scratch)?;
    Ok(Bench {
        sizes: cli.sizes(),
        server,
        pinned,
        scratch,
        tools: root().join("target/tools"),
        samples: Vec::new(),
        mongodb: OnceCell::new(),
    })
}

fn finish(bench: Bench, quick: bool) -> Result<Run> {
    let has_moto = bench.samples.iter().any(|sample| sample.series.who == sample::Who::Moto);
    let method = Method {
        quick,
        rounds: bench.sizes.rounds,
        seconds: bench.sizes.span.as_secs_f64(),
        pinned: bench.pinned,
        mongodb: bench.mongodb.get().map(|mongodb| mongodb.name.clone()),
        moto: has_moto.then(|| moto::VERSION.to_owned()),
    };
    let date = Instant::from_millis(clock::unix_millis())?.to_string();
    let commit = said("git", &["-C", &root().display().to_string(), "describe", "--always", "--dirty"]);
    Ok(Run { commit, date, host: Host::this(), method, samples: bench.samples })
}

/// The workspace's root.
fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).unwrap_or(crate_dir)
}

/// Writes a line to standard output.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("standard output cannot be written")
}

/// Tells the person at the terminal something.
#[expect(clippy::print_stderr, reason = "this is a program for a terminal")]
fn tell(line: &str) {
    eprintln!("{line}");
}
