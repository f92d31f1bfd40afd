//! Every test there is, with nothing installed but Rust and a C compiler.

use std::ffi::OsStr;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::command::{cargo, cargo_output, root, say};

pub(crate) fn run() -> Result<()> {
    cargo(&["test", "--workspace", "--all-features"])?;
    domain_examples()
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
