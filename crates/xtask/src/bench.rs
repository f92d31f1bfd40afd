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

/// A run whose figures mean nothing, to see that it runs.
const QUICK: &str = "--quick";

/// The server and the benchmarks: in one build, so that what both are made of is built once.
const PACKAGES: [&str; 2] = ["--package=cloudm-server", "--package=cloudm-bench"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let options: Vec<_> = options.options.iter().map(String::as_str).collect();
    // What is not measured need not be built to be fast, which takes minutes.
    let profile = if options.contains(&QUICK) { "--profile=dev" } else { "--profile=release" };
    cargo(&[&["build", profile][..], &PACKAGES].concat())?;
    cargo(&[&["run", profile, "--quiet"][..], &PACKAGES, &["--bin=cloudm-bench", "--"], &options].concat())
}

/// See [`QUICK`].
pub(crate) fn quick() -> Result<()> {
    run(&Options { options: vec![QUICK.into()] })
}
