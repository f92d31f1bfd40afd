//! The store's directory: where its files are, and the lock that makes it one server's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use cloudm_domain::Incarnation;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::error::OpenError;

const WORLDS: &str = "worlds";

/// The directory, locked for this process until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: Mutex<Option<File>>,
    temporary: Mutex<Option<TempDir>>,
}

impl Directory {
    /// Makes it where there is none, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotAStore { path: path.to_owned(), why: "it is not a directory" });
        }
        let worlds = path.join(WORLDS);
        make(&worlds).map_err(|error| OpenError::io(path, &error))?;
        let lock = Mutex::new(Some(lock(path)?));
        Ok(Self { path: path.to_owned(), lock, temporary: Mutex::default() })
    }

    /// Makes one that is removed when it is released or dropped.
    pub(crate) fn temporary() -> Result<Self, OpenError> {
        let made = tempfile::Builder::new().prefix("cloudm-").tempdir();
        let made = made.map_err(|error| OpenError::io(&std::env::temp_dir(), &error))?;
        let directory = Self::open(made.path())?;
        *directory.temporary.lock() = Some(made);
        Ok(directory)
    }

    /// Lets go of it, for another server to have.
    pub(crate) fn release(&self) {
        if let Some(temporary) = self.temporary.lock().take()
            && let Err(error) = temporary.close()
        {
            tracing::warn!(%error, "a temporary directory was not removed");
        }
        self.lock.lock().take();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The catalogue's file.
    pub(crate) fn catalogue(&self) -> PathBuf {
        self.path.join("catalogue.db")
    }

    /// The file of a world.
    pub(crate) fn world(&self, incarnation: Incarnation) -> PathBuf {
        self.path.join(WORLDS).join(format!("{incarnation}.db"))
    }

    /// Brings the names of new files to the disk.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        [self.path.clone(), self.path.join(WORLDS)].iter().try_for_each(|path| {
            File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| OpenError::io(path, &error))
        })
    }

    /// Brings a new file, and the names of new files, to the disk.
    pub(crate) fn sync_file(&self, path: &Path) -> Result<(), OpenError> {
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| OpenError::io(path, &error))?;
        self.sync()
    }

    /// Removes the file of a world that nobody uses any more, with what SQLite keeps beside it.
    pub(crate) fn remove(&self, path: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %Path::new(&file).display(), "a file of a world was not removed");
                }
                _ => {}
            }
        }
    }

    /// Removes the files of worlds that the catalogue does not name: what a death left of a creation or a deletion.
    pub(crate) fn sweep(&self, known: &[Incarnation]) -> Result<(), OpenError> {
        let worlds = self.path.join(WORLDS);
        let failed = |error: std::io::Error| OpenError::io(&worlds, &error);
        for entry in fs::read_dir(&worlds).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let incarnation = name.to_str().and_then(|name| name.split_once(".db")?.0.parse().ok());
            if incarnation.is_some_and(|incarnation| !known.contains(&incarnation)) {
                tracing::info!(file = %entry.path().display(), "removing what is left of a world that is none");
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn make(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // It holds the key of page tokens.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join("lock");
    let failed = |error: std::io::Error| OpenError::io(&file, &error);
    let mut lock =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Only to say more in the message: what cannot be read is left out of it.
            let _ = lock.read_to_string(&mut pid);
            return Err(OpenError::InUse { path: path.to_owned(), pid: pid.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let pid = std::process::id().to_string();
    lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(pid.as_bytes())).map_err(failed)?;
    Ok(lock)
}
