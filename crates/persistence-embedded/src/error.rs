//! What can go wrong: opening the store, and talking to SQLite.

use std::io;
use std::path::{Path, PathBuf};

use cloudm_application::ports::{
    AcceptError, ClusterCommitError, CommitError, StoreError, WorkError, WorldCommitError,
};
use rusqlite::ErrorCode;

/// Why the store, or a file of it, was not opened. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has the directory.
    #[error("{} is in use by another server{}: stop it, or choose another directory", path.display(), process(.pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that has it, where it could be read.
        pid: Option<u32>,
    },
    /// A newer server wrote the file.
    #[error(
        "{} was written by a newer version (its format is {found}, this server knows up to {known}): \
         start that version or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: i64,
        /// The newest format that this server knows.
        known: usize,
    },
    /// The file, or the directory, is not a store of cloudm.
    #[error("{} is not a store of cloudm ({why}): choose another directory", path.display())]
    NotAStore {
        /// The file or directory.
        path: PathBuf,
        /// How it is seen.
        why: &'static str,
    },
    /// The host does not allow it.
    #[error("no permission to read and write {}: change its owner or mode, or choose another directory", path.display())]
    NoPermission {
        /// The file or directory.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged: {why}; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The host failed.
    #[error("{} could not be opened: {why}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the host says.
        why: String,
    },
}

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NoPermission { path },
            _ => Self::Io { path, why: error.to_string() },
        }
    }

    pub(crate) fn sql(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAStore { path, why: "it is not a SQLite file" },
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => {
                Self::NoPermission { path }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, why: error.to_string() },
            _ => Self::Io { path, why: error.to_string() },
        }
    }
}

impl From<OpenError> for StoreError {
    /// For a world's file, which is opened when it is first asked for.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged { .. } | OpenError::NotAStore { .. } => Self::Damaged(error.to_string()),
            OpenError::Io { .. } => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// What went wrong in a statement.
#[derive(Debug)]
pub(crate) enum DbError {
    /// SQLite says so.
    Sql(rusqlite::Error),
    /// A row holds what cannot have been written.
    Damaged(String),
    /// What was asked does not fit together, and nobody but this program can have made it so.
    Misused(&'static str),
    /// A position that was not made here.
    UnknownPosition,
    /// A position of another history.
    PositionGone,
}

impl DbError {
    /// The same for whoever opens the file.
    pub(crate) fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Sql(error) => OpenError::sql(path, &error),
            error => OpenError::Damaged { path: path.to_owned(), why: StoreError::from(error).to_string() },
        }
    }

    /// A value of `what` that cannot be read.
    pub(crate) fn damaged(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Damaged(format!("{what}: {why}"))
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Sql(error) => sql(&error),
            DbError::Damaged(why) => Self::Damaged(why),
            DbError::Misused(why) => Self::Failed(why.into()),
            DbError::UnknownPosition => Self::UnknownPosition,
            DbError::PositionGone => Self::PositionGone,
        }
    }
}

impl From<DbError> for CommitError {
    fn from(error: DbError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DbError> for AcceptError {
    fn from(error: DbError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DbError> for WorkError {
    fn from(error: DbError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DbError> for ClusterCommitError {
    fn from(error: DbError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DbError> for WorldCommitError {
    fn from(error: DbError) -> Self {
        StoreError::from(error).into()
    }
}

fn sql(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text),
        Some(_) => StoreError::Failed(text),
        None => StoreError::Damaged(text),
    }
}

/// The same again, for each of those who shared what failed.
pub(crate) fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
        StoreError::WorldGone => StoreError::WorldGone,
        StoreError::UnknownPosition => StoreError::UnknownPosition,
        StoreError::PositionGone => StoreError::PositionGone,
        StoreError::Damaged(why) => StoreError::Damaged(why.clone()),
        StoreError::Failed(why) => StoreError::Failed(why.clone()),
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
