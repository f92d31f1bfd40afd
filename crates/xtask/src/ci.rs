//! What a change has to pass, cheapest first, so that a slip is told in seconds.

use anyhow::{Context, Result, ensure};

use crate::command::{self, cargo, cargo_output, root};
use crate::openapi;

/// The original service's requests: its own file where it lies beside the checkout, else our copy.
const REQUESTS: [&str; 2] = ["../shared/seed/requests.sh", ".ci/requests.sh"];

pub(crate) fn run() -> Result<()> {
    style()?;
    dependencies()?;
    // Someone who embeds the domain gets it without any of its features.
    cargo(&["build", "--package", "cloudm-domain", "--no-default-features"])?;
    crate::test::run()?;
    // From here on it is the release build that is tried: the one that the README starts.
    cargo(&["build", "--release"])?;
    openapi::run(&openapi::Options { check: true, release: true })?;
    command::run(".ci/readme", &[])?;
    requests("embedded")?;
    requests("memory")?;
    command::run(".ci/with-server", &[".ci/schemathesis"])
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
    // By its own name: as `cargo machete` it takes that word for a folder when cargo runs the task that runs it.
    command::run("cargo-machete", &[])?;
    contract_is_for_tests()
}

/// The stores run the contract's scenarios as tests; nothing that ships may hold them. The arrows of
/// `deny.toml` cannot tell a dev-dependency from another.
fn contract_is_for_tests() -> Result<()> {
    let users = cargo_output(&[
        "tree",
        "--workspace",
        "--edges=normal,build",
        "--invert=cloudm-persistence-contract",
        "--depth=1",
        "--prefix=none",
    ])?;
    ensure!(users.lines().count() == 1, "cloudm-persistence-contract is more than a dev-dependency:\n{users}");
    Ok(())
}

fn requests(store: &str) -> Result<()> {
    let script = REQUESTS.into_iter().find(|path| root().join(path).is_file()).context("requests.sh is missing")?;
    let kind = format!("CLOUDM__STORE__KIND={store}");
    command::run("env", &[&kind, ".ci/with-server", "bash", script])
}
