//! cloudm's embedded store: SQLite, one file a world.
//!
//! It needs nothing installed and no configuration but a directory, and it is what a server uses unless it is told
//! otherwise. [`EmbeddedStore`] implements [`cloudm_application::ports::Store`]; what that must keep stands there.
//!
//! # The directory
//! | file | what it holds |
//! | --- | --- |
//! | `catalogue.db` | which incarnation each world's name points to; the key of page tokens |
//! | `worlds/<incarnation>.db` | one world, whole |
//! | `lock` | the process that has the directory; a second one is refused |
//!
//! A world is written to its file first and named in the catalogue then; a fork's file is a copy that SQLite makes. A world
//! that is reset or deleted loses its name first and its file then. Files that the catalogue does not name are what a death
//! left, and are removed when the store is opened.
//!
//! # How it works
//! - **Reads** of a row or a few run on the caller's thread, on one of the world's read-only connections; pages go to a
//!   few threads of the store. See `readers`, and `list` for how a page of machines is found.
//! - **Writes** of a world queue for its one writer, which commits what waits as one group. See `writer`, and `bulk` for why a
//!   write of machines needs no savepoint in it. What they append to the log is moved into the file beside them. See `log`.
//! - **Machines** are a record each, beside the columns by which they are searched. See `record`, `cache` for those that are in memory, and
//!   `known` for their clusters.
//! - **Counts** of machines are kept beside them, in the same transaction. See `counts`.
//! - **Fleet operations** are records with a result for each machine, which commits with it. Who works on one is known in memory
//!   alone. See `operations` and `leases`.
//! - **Formats** are numbered (`PRAGMA user_version`). A newer server upgrades a file in one transaction when it opens it; an
//!   older one refuses it. See `file`, and `schema/` for the tables.
//!
//! # How to change a table
//! Add a file `schema/world_N.sql` with what turns the last format into the next, and name it in `file::WORLD`; what it needs beside
//! SQL stands in `upgrade`. What was released is never edited.

mod answers;
mod bulk;
mod cache;
mod catalogue;
mod chain;
mod clusters;
mod columns;
mod counts;
mod directory;
mod error;
mod events;
mod faults;
mod file;
mod group;
mod held;
mod known;
mod leases;
mod list;
mod log;
mod machines;
mod numbers;
mod operations;
mod parts;
mod places;
mod pool;
mod readers;
mod record;
mod results;
mod rows;
mod runs;
mod sql;
mod statements;
mod store;
mod stream;
mod upgrade;
mod world;
mod worlds;
mod writer;

pub use error::OpenError;
pub use store::{EmbeddedStore, Options};
