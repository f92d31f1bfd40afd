//! `docs/openapi.json` is made from the code, and kept in the repository so that a change of the API is
//! seen in review.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command::{cargo_output, root, say};

const FILE: &str = "docs/openapi.json";

#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail when the file is not what the code says.
    #[arg(long)]
    pub(crate) check: bool,
    /// Ask the release build of the server, where that is the one already built.
    #[arg(long)]
    pub(crate) release: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut args = vec!["run", "--quiet", "--package", "cloudm-server"];
    if options.release {
        args.push("--release");
    }
    args.extend(["--", "openapi"]);
    let made = cargo_output(&args)?;
    let path = root().join(FILE);
    if options.check {
        let kept = fs::read_to_string(&path).with_context(|| format!("{FILE} cannot be read"))?;
        return compare(&kept, &made);
    }
    fs::write(&path, made).with_context(|| format!("{FILE} cannot be written"))?;
    say(&format!("{FILE} is what the code says"));
    Ok(())
}

/// Names the first line that differs: the document is long, and a whole diff hides it.
fn compare(kept: &str, made: &str) -> Result<()> {
    if kept == made {
        return Ok(());
    }
    let differs = kept
        .lines()
        .zip(made.lines())
        .position(|(kept, made)| kept != made)
        .unwrap_or_else(|| kept.lines().count().min(made.lines().count()));
    bail!(
        "{FILE} is not what the code says, from line {}:\n  file: {}\n  code: {}\nrun `cargo xtask openapi` and look at the change",
        differs + 1,
        kept.lines().nth(differs).unwrap_or("(its end)"),
        made.lines().nth(differs).unwrap_or("(its end)"),
    );
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn equal_documents_pass() {
        compare("{\n}\n", "{\n}\n").unwrap();
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let told = compare("a\nb\nc\n", "a\nB\nc\n").unwrap_err().to_string();
        assert!(told.contains("from line 2:\n  file: b\n  code: B\n"), "{told}");
    }

    #[test]
    fn a_document_that_was_cut_is_a_difference() {
        let told = compare("a\n", "a\nb\n").unwrap_err().to_string();
        assert!(told.contains("from line 2:\n  file: (its end)\n  code: b\n"), "{told}");
    }
}
