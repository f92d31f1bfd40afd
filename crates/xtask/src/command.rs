//! Running a command in the workspace's root: shown first, and an error when it fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).unwrap_or(crate_dir)
}

/// Tells the person at the terminal something; standard output is left to what a task produces.
#[expect(clippy::print_stderr, reason = "this is a program for a terminal")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Runs `cargo` with `args`, its output going to the terminal.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    run("cargo", args)
}

/// Runs a program with `args`, its output going to the terminal, and says how long it took.
#[expect(clippy::disallowed_methods, reason = "it tells a person, and decides nothing")]
pub(crate) fn run(program: &str, args: &[&str]) -> Result<()> {
    let shown = show(program, args);
    let started = Instant::now();
    let status = prepare(program, args).status().with_context(|| format!("`{shown}` cannot be started"))?;
    let took = started.elapsed().as_secs();
    if !status.success() {
        bail!("`{shown}` failed after {took} s: {status}");
    }
    say(&format!("< {took} s: {shown}"));
    Ok(())
}

/// Runs `cargo` with `args` and returns what it wrote to standard output.
pub(crate) fn cargo_output(args: &[&str]) -> Result<String> {
    let shown = show("cargo", args);
    let output = prepare("cargo", args)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{shown}` cannot be started"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote no UTF-8"))
}

/// Whether a program can be run, and says that all is well.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(&mut prepare(program, args)).is_ok_and(|status| status.success())
}

fn prepare(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    // What cargo tells a program that it runs is of that program; a build script that looks at it would be run anew.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_this_program)) {
        command.env_remove(name);
    }
    command
}

fn is_of_this_program(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
}

fn show(program: &str, args: &[&str]) -> String {
    let shown = format!("{program} {}", args.join(" "));
    say(&format!("\n> {shown}"));
    shown
}
