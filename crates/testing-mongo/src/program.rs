//! Which program it is.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// The variable with the path of the program, for tests that start a server of their own.
pub const PROGRAM: &str = "CLOUDM_TEST_MONGODB_SERVER";

/// How the second server is built, once.
pub mod secantus {
    /// The package that has it.
    pub const PACKAGE: &str = "secantus-mdb";
    /// The version, so that nothing changes by itself.
    pub const VERSION: &str = "0.5.3-beta.196";
    /// The program.
    pub const NAME: &str = "secantusd-rs";
}

/// A program that is a MongoDB server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub(crate) path: PathBuf,
}

impl Program {
    /// The one at this path.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The one that `cargo xtask test` found.
    ///
    /// # Errors
    /// [`Error::NotSet`].
    pub fn from_env() -> Result<Self, Error> {
        env::var_os(PROGRAM).map(|path| Self::at(path.into())).ok_or(Error::NotSet(PROGRAM))
    }

    /// One that is on this machine: `mongod` on the PATH, or the second server, on the PATH or under `tools`.
    pub fn find(tools: &Path) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = |name: &str| env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
        let built = || Some(tools.join("bin").join(secantus::NAME)).filter(|path| path.is_file());
        on_path("mongod").or_else(|| on_path(secantus::NAME)).or_else(built).map(Self::at)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_mongod(&self) -> bool {
        self.path.file_stem().is_some_and(|name| name == "mongod")
    }
}
