//! Development tasks: `cargo xtask <task>`, from anywhere in the workspace.
//!
//! | task | what it does |
//! | --- | --- |
//! | `test` | every test there is: units, properties, contracts, documentation, the domain's example; or some |
//! | `mongo` | a MongoDB to run servers on, until ctrl-c |
//! | `bench` | how fast it is, beside what it could be and what else there is; `--quick` to see that it runs |
//! | `openapi` | writes `docs/openapi.json` from the code; `--check` fails when the file is not what the code says |
//! | `ci` | what a change has to pass, with the tools that `.ci/run` installs |
//!
//! A task is a list of commands, each shown before it runs, so that what failed can be repeated by hand.

mod bench;
mod ci;
mod command;
mod mongo;
mod openapi;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of cloudm.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, on every store; needs Rust, a C compiler, and mongod or cmake.
    Test(test::Options),
    /// Start a MongoDB to run servers on, until ctrl-c.
    Mongo(mongo::Options),
    /// Measure how fast it is; `bench --help` tells how.
    Bench(bench::Options),
    /// Write docs/openapi.json from the code.
    Openapi(openapi::Options),
    /// Run all that a change has to pass; .ci/run installs the tools and calls this.
    Ci,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Mongo(options) => mongo::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Openapi(options) => openapi::run(&options),
        Task::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
