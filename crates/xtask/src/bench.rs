//! The benchmarks: the server as it ships, and who measures it.

use std::env;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::command::{self, cargo, root};

/// What is passed on; `--help` tells all of it.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// A run whose figures mean nothing, to see that it runs.
const QUICK: &str = "--quick";

pub(crate) fn run(options: &Options) -> Result<()> {
    let options: Vec<_> = options.options.iter().map(String::as_str).collect();
    let folder = if options.contains(&QUICK) {
        // What is not measured need not be built to be fast, and the tests have built nearly all of it.
        cargo(&[&["build", "--all-targets"], crate::test::PACKAGES].concat())?;
        "debug"
    } else {
        // In one build, so that what both are made of is built once.
        cargo(&["build", "--release", "--package=cloudm-server", "--package=cloudm-bench"])?;
        "release"
    };
    let program = target().join(folder).join("cloudm-bench");
    command::run(&program.display().to_string(), &options)
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// See [`QUICK`].
pub(crate) fn quick() -> Result<()> {
    run(&Options { options: vec![QUICK.into()] })
}
