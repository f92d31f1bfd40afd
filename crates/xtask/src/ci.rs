//! What a change has to pass, cheapest first, so that a slip is told in seconds.

use anyhow::{Context, Result, ensure};

use crate::command::{self, cargo, cargo_output, root};
use crate::mongo::Mongo;
use crate::openapi;

/// The original service's requests: its own file where it lies beside the checkout, else our copy.
const REQUESTS: [&str; 2] = ["../shared/seed/requests.sh", ".ci/requests.sh"];

pub(crate) fn run() -> Result<()> {
    style()?;
    dependencies()?;
    command::run(".ci/compose", &[])?;
    // Someone who embeds the domain gets it without any of its features.
    cargo(&["build", "--package", "cloudm-domain", "--no-default-features"])?;
    crate::test::run(&crate::test::Options::default())?;
    // From here on it is the release build that is tried: the one that the README starts.
    cargo(&["build", "--release"])?;
    openapi::run(&openapi::Options { check: true, release: true })?;
    command::run(".ci/readme", &[])?;
    command::run(".ci/with-server", &[".ci/examples"])?;
    let script = requests()?;
    command::run("env", &["CLOUDM__STORE__KIND=memory", ".ci/with-server", "bash", script])?;
    let mongo = Mongo::provide(true)?;
    let uri = format!("CLOUDM__STORE__URI={}", mongo.uri());
    let mongodb = ["CLOUDM__STORE__KIND=mongodb", &uri];
    for store in [&["CLOUDM__STORE__KIND=embedded"][..], &mongodb] {
        for checks in [&["bash", script][..], &[".ci/schemathesis"]] {
            command::run("env", &[store, &[".ci/with-server"], checks].concat())?;
        }
    }
    crate::bench::quick()
}

fn style() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny=warnings"])?;
    command::run("env", &["RUSTDOCFLAGS=--deny=warnings", "cargo", "doc", "--workspace", "--all-features", "--no-deps"])
}

fn dependencies() -> Result<()> {
    cargo(&[
        "deny",
        "--all-features",
        "check",
        // An arrow may be written down before the crate at its tail exists.
        "--allow=unused-wrapper",
        "licenses",
        "bans",
        "sources",
    ])?;
    cargo(&["machete"])?;
    tests_are_for_tests()
}

/// What tests are made of: nothing that ships may hold it. The arrows of `deny.toml` cannot tell a dev-dependency from
/// another.
fn tests_are_for_tests() -> Result<()> {
    for (package, users) in [("cloudm-persistence-contract", 1), ("cloudm-testing-mongo", 3)] {
        let invert = format!("--invert={package}");
        let tree = ["tree", "--workspace", "--edges=normal,build", &invert, "--depth=1", "--prefix=none"];
        let found = cargo_output(&tree)?;
        // Itself, these tasks, and the benchmarks.
        ensure!(found.lines().count() == users, "{package} is more than a dev-dependency:\n{found}");
    }
    Ok(())
}

/// Where the original service's requests are.
fn requests() -> Result<&'static str> {
    REQUESTS.into_iter().find(|path| root().join(path).is_file()).context("requests.sh is missing")
}
