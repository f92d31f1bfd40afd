//! The log of a world, and how it comes into the world's file.
//!
//! A commit appends pages to the log. A thread beside the writer moves them into the file, for that takes as long as many commits
//! do, and none has to wait for it. But a log begins anew only once all of it was moved, and while commits come there is always
//! something left: when that is little, the writer moves it itself, after a commit.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use crate::file::{self, Durability};
use crate::sql;

/// Pages (of 4 KiB) of a log that is to begin anew.
pub(crate) const LONG: i64 = 8_000;
/// Pages that the writer moves itself.
const FEW: i64 = 1_000;
/// Pages of a log at which a commit waits for readers to leave it, for a crowd of them can put off for ever that all is moved.
const TOO_LONG: i64 = 32_000;
/// How often in a row it is tried to leave few pages.
const ROUNDS: usize = 8;

/// The log of one world.
pub(crate) struct Log {
    world: PathBuf,
    durability: Durability,
    /// Whether it is being moved, or is going to be.
    moving: AtomicBool,
}

/// Pages of a log.
struct Pages {
    all: i64,
    left: i64,
}

impl Log {
    pub(crate) fn new(world: PathBuf, durability: Durability) -> Self {
        Self { world, durability, moving: AtomicBool::new(false) }
    }

    /// Looks at the log after a commit, and bounds it. Says whether somebody has to [move](Self::move_beside) it.
    pub(crate) fn bound(&self, writer: &Connection) -> rusqlite::Result<bool> {
        let Pages { all, left } = pages(writer, sql::LOG)?;
        if all >= TOO_LONG {
            pages(writer, sql::CHECKPOINT_ALL)?;
        } else if all >= LONG && left > FEW {
            return Ok(!self.moving.swap(true, Ordering::AcqRel));
        } else if all >= LONG && !self.moving.load(Ordering::Acquire) {
            pages(writer, sql::CHECKPOINT)?;
        }
        Ok(false)
    }

    /// Moves most of the log into the file, beside the writer.
    pub(crate) fn move_beside(&self) {
        if let Err(error) = self.try_to_move() {
            tracing::warn!(%error, path = %self.world.display(), "the log of a world was not moved into its file");
        }
        self.moving.store(false, Ordering::Release);
    }

    fn try_to_move(&self) -> rusqlite::Result<()> {
        let db = file::open_mover(&self.world, self.durability)?;
        for _ in 0..ROUNDS {
            if pages(&db, sql::CHECKPOINT)?.left <= FEW / 2 {
                break;
            }
        }
        Ok(())
    }
}

/// What a statement that looks at the log, or moves it, says of its pages.
fn pages(db: &Connection, sql: &str) -> rusqlite::Result<Pages> {
    db.prepare_cached(sql)?.query_row([], |row| {
        let (all, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(Pages { all, left: all - moved })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world's file with its writer, and its log.
    fn world() -> (tempfile::TempDir, Connection, Log) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        drop(file::create(&path, file::WORLD, Durability::None).unwrap());
        let writer = file::open_writer(&path, Durability::None).unwrap();
        (directory, writer, Log::new(path, Durability::None))
    }

    /// Commits so many new pages and a few more.
    fn write(writer: &Connection, pages: i64) {
        let sql = "INSERT OR REPLACE INTO answers VALUES (random(), x'00', zeroblob(?), 0)";
        writer.execute(sql, [pages * 4_096]).unwrap();
    }

    fn all(writer: &Connection) -> i64 {
        pages(writer, sql::LOG).unwrap().all
    }

    #[test]
    fn a_long_log_is_moved_beside_and_begins_anew() {
        let (_directory, writer, log) = world();
        write(&writer, LONG / 2);
        assert!(!log.bound(&writer).unwrap() && all(&writer) < LONG, "it is short");
        write(&writer, LONG / 2);
        assert!(log.bound(&writer).unwrap(), "somebody has to move it");
        write(&writer, FEW);
        assert!(!log.bound(&writer).unwrap(), "somebody does");
        log.move_beside();
        assert!(all(&writer) > LONG, "it is not anew by that alone");
        write(&writer, FEW / 2);
        assert!(!log.bound(&writer).unwrap(), "the writer moves the rest itself");
        write(&writer, 1);
        assert!(all(&writer) < FEW);
    }

    #[test]
    fn a_log_that_readers_do_not_leave_is_waited_for_in_the_end() {
        let (directory, writer, log) = world();
        let reader = file::open_reader(&directory.path().join("a.db")).unwrap();
        let moment = reader.unchecked_transaction().unwrap();
        let held: i64 = moment.query_row("SELECT COUNT(*) FROM answers", [], |row| row.get(0)).unwrap();
        write(&writer, LONG);
        assert!(log.bound(&writer).unwrap());
        log.move_beside();
        assert!(pages(&writer, sql::LOG).unwrap().left > FEW, "a reader needs it");
        write(&writer, TOO_LONG);
        writer.busy_timeout(std::time::Duration::ZERO).unwrap();
        assert!(!log.bound(&writer).unwrap() && all(&writer) > TOO_LONG);
        moment.commit().unwrap();
        assert!(!log.bound(&writer).unwrap());
        assert_eq!((all(&writer), held), (0, 0));
    }
}
