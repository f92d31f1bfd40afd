//! Brings a database to this version's form: the files of `migrations/`, each applied once.
//!
//! What was applied is recorded in the collection `migrations`. Several servers may start together: a lease lets one of them
//! apply, and the others wait. One that dies in the middle leaves a lease that runs out and a file that is not recorded,
//! whose commands are run again: they must be repeatable. `migrations/README.md` is for whoever writes the next one.

mod file;
mod lease;

use std::collections::BTreeMap;

use cloudm_application::ports::Entropy;
use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;

use self::file::File;
use self::lease::Lease;
use crate::error::{code, text};

/// Every file there is, in order: its number is its place.
const FILES: &[File] = &[
    File { name: "0001_worlds", text: include_str!("../../../migrations/0001_worlds.json") },
    File { name: "0002_gone", text: include_str!("../../../migrations/0002_gone.json") },
    File { name: "0003_past", text: include_str!("../../../migrations/0003_past.json") },
    File { name: "0004_fleets", text: include_str!("../../../migrations/0004_fleets.json") },
];

const APPLIED: &str = "migrations";

/// `NamespaceExists`: a collection that is to be made is there already.
const EXISTS: i32 = 48;

/// Why a database was not brought to this version's form. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A file was applied whose text was another one.
    #[error(
        "migration {number} ({name}) was applied to the database with another text than this version has: start the version \
         that applied it, or restore the file"
    )]
    Changed {
        /// Its number.
        number: u32,
        /// Its name here.
        name: String,
    },
    /// A file is not recorded though a later one is.
    #[error(
        "migration {number} ({name}) is not recorded in the database, but a later one is: restore the collection \
         `migrations`, or the database, from a copy"
    )]
    Missing {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// A file was applied that this version does not have.
    #[error(
        "the database was migrated by a newer version (to {number}, {name}; this version knows up to {known}): start that \
         version or a later one"
    )]
    Newer {
        /// The newest that is applied.
        number: u32,
        /// Its name there.
        name: String,
        /// The newest that this version has.
        known: u32,
    },
    /// The database refuses a command of a file.
    #[error("migration {number} ({name}): the database refuses command {command}: {why}")]
    Refused {
        /// The file's number.
        number: u32,
        /// Its name.
        name: String,
        /// The place of the command in it, from 1.
        command: usize,
        /// What the database says.
        why: String,
    },
    /// A file cannot be read.
    #[error("migration {name} cannot be read: {why}")]
    BadFile {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The record of what was applied cannot be read.
    #[error("the collection `migrations` holds what no version wrote: {0}")]
    BadRecord(String),
    /// The database failed.
    #[error("MongoDB failed: {}", text(.0))]
    Database(#[from] Error),
}

/// Applies what is not applied yet; waits for another server that does.
pub(crate) async fn apply(database: &Database, entropy: &dyn Entropy) -> Result<(), MigrationError> {
    run(database, FILES, entropy).await
}

async fn run(database: &Database, files: &[File], entropy: &dyn Entropy) -> Result<(), MigrationError> {
    if pending(database, files).await?.is_empty() {
        return Ok(());
    }
    let lease = Lease::take(database, entropy).await?;
    let applied = apply_pending(database, files, &lease).await;
    lease.release().await?;
    applied
}

async fn apply_pending(database: &Database, files: &[File], lease: &Lease) -> Result<(), MigrationError> {
    // Another server may have applied them while this one waited.
    for (number, file) in pending(database, files).await? {
        tracing::info!(number, name = file.name, "the database is migrated");
        for (place, command) in file.commands()?.into_iter().enumerate() {
            lease.renew().await?;
            match database.run_command(command).await {
                Err(error) if code(&error) == Some(EXISTS) => {}
                Err(error) if code(&error).is_some() => {
                    let (name, why) = (file.name.into(), text(&error));
                    return Err(MigrationError::Refused { number, name, command: place + 1, why });
                }
                answer => drop(answer?),
            }
        }
        record(database, number, file).await?;
    }
    Ok(())
}

/// The files that are not applied yet, with their numbers, where those that are fit.
async fn pending<'f>(database: &Database, files: &'f [File]) -> Result<Vec<(u32, &'f File)>, MigrationError> {
    let mut applied = applied(database).await?;
    let last = applied.keys().next_back().copied().unwrap_or_default();
    let mut pending = Vec::new();
    for (number, file) in (1..).zip(files) {
        let name = || file.name.to_owned();
        match applied.remove(&number) {
            Some(record) if record.get_str("checksum").ok() == Some(&file.checksum()) => {}
            Some(_) => return Err(MigrationError::Changed { number, name: name() }),
            None if number < last => return Err(MigrationError::Missing { number, name: name() }),
            None => pending.push((number, file)),
        }
    }
    match applied.pop_last() {
        Some((number, record)) => {
            let name = record.get_str("name").unwrap_or_default().into();
            Err(MigrationError::Newer { number, name, known: u32::try_from(files.len()).unwrap_or(u32::MAX) })
        }
        None => Ok(pending),
    }
}

async fn applied(database: &Database) -> Result<BTreeMap<u32, Document>, MigrationError> {
    let records: Vec<Document> = database.collection(APPLIED).find(doc! {}).await?.try_collect().await?;
    let numbered = records.into_iter().map(|record| {
        let number = record.get_i64("_id").ok().or_else(|| record.get_i32("_id").ok().map(i64::from));
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.map(|number| (number, record)).ok_or_else(|| MigrationError::BadRecord("an _id is no number".into()))
    });
    numbered.collect()
}

async fn record(database: &Database, number: u32, file: &File) -> Result<(), Error> {
    // By the database's clock, as everything that servers compare.
    let record = doc! { "name": file.name, "checksum": file.checksum(), "applied_at": "$$NOW" };
    let records = database.collection::<Document>(APPLIED);
    let stored = records.update_one(doc! { "_id": i64::from(number) }, vec![doc! { "$set": record }]);
    stored.upsert(true).await.map(drop)
}

#[cfg(test)]
mod tests;
