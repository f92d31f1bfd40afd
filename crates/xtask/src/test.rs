//! Every test there is, on every store.

use std::ffi::OsStr;
use std::fs;

use anyhow::{Context, Error, Result, ensure};
use clap::Args;
use cloudm_testing_mongo::prepare;

use crate::command::{self, cargo_output, root, say};
use crate::mongo::Mongo;

/// What is tested, with what it is built with. The example is a program of its own.
pub(crate) const PACKAGES: &[&str] = &["--workspace", "--exclude=cloudm-example", "--all-features"];

/// What is tested, where it is not all.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// What `cargo test` is told instead, such as `-p cloudm-server --test served -- races`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    some: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mongo = Mongo::provide(false)?;
    // A query that no index leads to is a mistake that only many machines would show.
    prepare(mongo.uri()).map_err(Error::msg)?;
    let [uri, program] = mongo.environment();
    let some: Vec<&str> = options.some.iter().map(String::as_str).collect();
    let tested = if some.is_empty() { PACKAGES } else { &some };
    command::run("env", &[&[uri.as_str(), &program, "cargo", "test"], tested].concat())?;
    if some.is_empty() { domain_examples() } else { Ok(()) }
}

/// The domain promises the same cloud for the same seed: its examples print the same each time.
fn domain_examples() -> Result<()> {
    let names = examples()?;
    ensure!(!names.is_empty(), "crates/domain/examples holds no example");
    for name in names {
        let args = ["run", "--quiet", "--package", "cloudm-domain", "--example", &name];
        let first = cargo_output(&args)?;
        let second = cargo_output(&args)?;
        ensure!(!first.is_empty(), "the example {name} printed nothing");
        ensure!(first == second, "the example {name} printed something else the second time");
        say(&first);
    }
    Ok(())
}

fn examples() -> Result<Vec<String>> {
    let folder = root().join("crates/domain/examples");
    let entries = fs::read_dir(&folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("rs")) {
            names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}
