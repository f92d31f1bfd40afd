//! A MongoDB for tests and for developers: found on the machine or built, started, killed and started again.
//!
//! | which | when |
//! | --- | --- |
//! | what `CLOUDM_TEST_MONGODB_URI` names | it is set: for tests that only need a database |
//! | `mongod` on the PATH, as a replica set of one | there is one |
//! | `secantusd-rs`, a server of the same protocol over the same storage engine | else; built once under `target/tools` |
//!
//! `cargo xtask test` sets [`URI`] and [`PROGRAM`] for the tests. Without them a test fails and says so; none is skipped.
//! The second server is a program of its own, under a licence of its own: it is run, never linked.

mod program;
mod running;
mod set;

pub use program::{PROGRAM, Program, secantus};
pub use running::{Options, PASSWORD, ROOT, Running};
pub use set::{drop_database, prepare};

/// The variable with the URI of a replica set to test against.
pub const URI: &str = "CLOUDM_TEST_MONGODB_URI";

/// Why there is no MongoDB. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable that `cargo xtask test` sets is not set.
    #[error("{0} is not set: run the tests with `cargo xtask test`")]
    NotSet(&'static str),
    /// The program cannot be started.
    #[error("{program} cannot be started: {why}")]
    NotStarted {
        /// The program.
        program: String,
        /// What the host says.
        why: std::io::Error,
    },
    /// It ended, or did not answer.
    #[error("MongoDB did not get ready: {why}; the end of its output:\n{output}")]
    NotReady {
        /// What is known.
        why: String,
        /// The last lines that it wrote.
        output: String,
    },
}

/// The URI of a replica set to test against.
///
/// # Errors
/// [`Error::NotSet`].
pub fn uri() -> Result<String, Error> {
    std::env::var(URI).map_err(|_| Error::NotSet(URI))
}
