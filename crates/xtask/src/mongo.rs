//! A MongoDB for the tests, and for a person.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use cloudm_testing_mongo::{self as testing, PROGRAM, Program, Running, URI, secantus};
use tempfile::TempDir;

use crate::command::{self, root, say};

/// Where what is built for development is kept.
fn tools() -> PathBuf {
    root().join("target/tools")
}

/// A MongoDB for as long as this lives.
pub(crate) struct Mongo {
    uri: String,
    program: Program,
    _running: Option<(Running, TempDir)>,
}

impl Mongo {
    /// The one that the environment names, or one of its own.
    pub(crate) fn provide(durable: bool) -> Result<Self> {
        let program = program()?;
        if let Ok(uri) = testing::uri() {
            return Ok(Self { uri, program, _running: None });
        }
        let directory = tempfile::tempdir()?;
        let running = program.start(directory.path(), testing::Options { durable, ..testing::Options::default() })?;
        Ok(Self { uri: running.uri(), program, _running: Some((running, directory)) })
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// What tests find it by.
    pub(crate) fn environment(&self) -> [String; 2] {
        [format!("{URI}={}", self.uri), format!("{PROGRAM}={}", self.program.path().display())]
    }
}

/// The program, built where there is none.
fn program() -> Result<Program> {
    if let Some(program) = Program::find(&tools()) {
        return Ok(program);
    }
    install()?;
    Program::find(&tools()).context("the server that was just built is not there")
}

fn install() -> Result<()> {
    let cmake = command::answers("cmake", &["--version"]);
    ensure!(
        cmake,
        "there is no mongod on the PATH, and to build a server in its place cmake is missing: install one of them, for \
         example by `apt-get install cmake` or `pip install cmake`"
    );
    say("no mongod on the PATH: a server in its place is built once, in about four minutes");
    let tools = tools();
    let build = format!("CARGO_TARGET_DIR={}", tools.join("build").display());
    let install = ["cargo", "install", "--quiet", "--ignore-rust-version", secantus::PACKAGE];
    let tools = tools.display().to_string();
    let how = ["--version", secantus::VERSION, "--root", &tools];
    // It is fast enough without what takes most of the time to build.
    let quick = ["CARGO_PROFILE_RELEASE_LTO=off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16"];
    command::run("env", &[&[build.as_str()], &quick[..], &install[..], &how[..]].concat())
}

/// How a person wants it.
#[derive(Args)]
pub(crate) struct Options {
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 27017)]
    port: u16,
    /// Where its data stays.
    #[arg(long, default_value = "target/mongo")]
    path: PathBuf,
}

/// Starts a MongoDB for a person, until ctrl-c.
pub(crate) fn run(options: &Options) -> Result<()> {
    let port = Some(options.port);
    let path: &Path = &root().join(&options.path);
    let settings = testing::Options { port, durable: true, ..testing::Options::default() };
    let mut running = program()?.start(path, settings)?;
    say(&format!("a MongoDB with its data in {}; ctrl-c ends it. A server uses it with", path.display()));
    say("  export CLOUDM__STORE__KIND=mongodb");
    say(&format!("  export CLOUDM__STORE__URI={}", running.uri()));
    running.wait().context("the server cannot be waited for")
}
