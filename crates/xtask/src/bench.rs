//! The benchmarks: the server as it ships, and who measures it.

use anyhow::Result;
use clap::Args;

use crate::command::cargo;

/// What is passed on; `--help` tells all of it.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // In one build, so that what both are made of is built once.
    cargo(&["build", "--release", "--package=cloudm-server", "--package=cloudm-bench"])?;
    let run = [
        "run",
        "--release",
        "--quiet",
        "--package=cloudm-server",
        "--package=cloudm-bench",
        "--bin=cloudm-bench",
        "--",
    ];
    let options = options.options.iter().map(String::as_str);
    cargo(&run.into_iter().chain(options).collect::<Vec<_>>())
}
