//! cloudm's MongoDB store: many servers over one database, none of them special.
//!
//! It is for where one machine is not enough. [`MongoStore`] implements [`cloudm_application::ports::Store`]; what that must
//! keep stands there. Everything is in one database, whose collections and indexes the files in `migrations/` make.
//!
//! # How it works
//! - **Writes** are transactions with majority concerns, conditioned on the version that was read. See `transaction` for
//!   how they are tried again, `guards` for how two of them keep out of each other's way, and `queue` for how many there are.
//! - **Many machines** are written in one transaction whose commands do not grow with them, and so is the work of fleet
//!   operations. See `batch`, `plan` and `work`.
//! - **How many machines there are** is said by each commit beside its events, and added up. See `counting`.
//! - **The order of commits** is numbers that are taken from a counter before a commit. See `sequence`.
//! - **Reads** of more than one document see one moment. The record of a world is read for each request and never kept, so
//!   that what was changed through one server is seen through all.
//! - **Worlds** are made, replaced and deleted by a change of what their name points to, in a transaction. See `worlds`,
//!   `fork`, and `sweep` for how what is left of one is dropped.
//! - **Each runtime** has a client of the driver for itself. See `clients`.
//! - **Crowds** share the commands that everyone needs: the record of the world, and the counter. See `together`.
//! - **Time** is the database's. See `clock`.
//! - **Outages** are waited for a few seconds, and then told. Nothing has to be restarted after one.
//!
//! # How to change a collection
//! Add a file to `migrations/`, which says how, and name it in `migrations::FILES`. What was released is never edited.

mod answers;
mod append;
mod batch;
mod bulk;
mod clients;
mod clock;
mod clusters;
mod collections;
mod commit;
mod connect;
mod counting;
mod counts;
mod document;
mod error;
mod events;
mod faults;
mod feed;
mod fork;
mod found;
mod guards;
mod list;
mod machine_doc;
mod machines;
mod migrations;
mod numbers;
mod operation_doc;
mod operations;
mod parts;
mod plan;
mod queue;
mod results;
mod room;
mod sequence;
mod store;
mod stream;
mod sweep;
#[cfg(test)]
mod testing;
mod together;
mod transaction;
mod walk;
mod work;
mod world;
mod worlds;

pub use error::OpenError;
pub use migrations::MigrationError;
pub use store::{MongoStore, Options, Time};
