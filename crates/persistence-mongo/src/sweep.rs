//! Sweeping: dropping what worlds held that no name points to any more.
//!
//! A world that is reset or deleted loses its name, and its record says since when it is gone. So does that of a fork while
//! it is being copied, some time ahead. What they hold is dropped by whichever server comes to it; the record goes last, and
//! only when nothing can be written to the world any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use tokio::time::{sleep, timeout};

use crate::collections;
use crate::document::key;
use crate::world::Base;

/// The pause between two looks for what was left.
const LOOK: Duration = Duration::from_secs(60);

/// How long after a world is gone a write to it may still be under way, in milliseconds: longer than any transaction is let
/// live.
const LATE: i64 = 120_000;

/// Collections whose documents have the world in `w`, with an index that begins with it; those that a fork copies.
pub(crate) const COPIED: [(&str, &str); 3] =
    [(collections::CLUSTERS, "name"), (collections::MACHINES, "state_created"), (collections::EVENTS, "seq")];

/// And those that it leaves behind.
const LEFT_BEHIND: [(&str, &str); 3] =
    [(collections::ANSWERS, "expiry"), (collections::OPERATIONS, "number"), (collections::RESULTS, "refused")];

/// Collections whose documents have the world in their `_id` alone; those that a fork copies.
pub(crate) const BY_ID: [&str; 2] = [collections::CLUSTER_IDS, collections::GUARDS];

/// And the one that it leaves behind.
const BY_ID_LEFT_BEHIND: &str = collections::FAULT_REQUESTS;

/// Collections with one document of a world, whose `_id` it is; a fork copies them too.
pub(crate) const ONE_EACH: [&str; 2] = [collections::SEQUENCES, collections::COUNTS];

/// Sweeps what is left, also by servers that died, until it is dropped.
pub(crate) async fn run(base: &Base) {
    loop {
        sleep(LOOK).await;
        if let Err(error) = look(&base.database()).await {
            tracing::debug!(error = crate::error::text(&error), "nothing is swept now");
        }
    }
}

async fn look(database: &Database) -> Result<(), Error> {
    let records = database.collection::<Document>(collections::INCARNATIONS);
    let late = DateTime::from_millis(DateTime::now().timestamp_millis() - LATE);
    let gone: Vec<Document> = records.find(doc! { "gone": { "$lt": late } }).await?.try_collect().await?;
    for world in gone.iter().filter_map(|record| record.get_object_id("_id").ok()) {
        contents(database, world).await?;
        records.delete_one(doc! { "_id": world, "gone": { "$lt": late } }).await?;
        tracing::info!(world = %world, "swept what was left of a world that is gone");
    }
    Ok(())
}

/// Sweeps a world that has just lost its name, beside everything else.
pub(crate) fn soon(base: &Arc<Base>, world: ObjectId) {
    let database = base.database();
    let mut sweeps = base.sweeps.lock();
    while sweeps.try_join_next().is_some() {}
    sweeps.spawn(async move {
        if let Err(error) = contents(&database, world).await {
            tracing::debug!(error = crate::error::text(&error), "a world is swept later");
        }
    });
}

/// Waits for the sweeps that are under way. What is left is swept by the next server that looks.
pub(crate) async fn ended(base: &Base, patience: Duration) {
    let mut sweeps = std::mem::take(&mut *base.sweeps.lock());
    let all = async { while sweeps.join_next().await.is_some() {} };
    if timeout(patience, all).await.is_err() {
        tracing::debug!("the store was closed while a world was swept");
    }
}

/// Drops all that a world holds but its record.
pub(crate) async fn contents(database: &Database, world: ObjectId) -> Result<(), Error> {
    for (name, index) in COPIED.into_iter().chain(LEFT_BEHIND) {
        let hint = Hint::Name(index.into());
        database.collection::<Document>(name).delete_many(doc! { "w": world }).hint(hint).await?;
    }
    for name in BY_ID.into_iter().chain([BY_ID_LEFT_BEHIND]) {
        database.collection::<Document>(name).delete_many(ids(world)).await?;
    }
    for name in ONE_EACH {
        database.collection::<Document>(name).delete_one(doc! { "_id": world }).await?;
    }
    Ok(())
}

/// The filter of the ids that a world leads.
pub(crate) fn ids(world: ObjectId) -> Document {
    // What follows the slash in ASCII.
    doc! { "_id": { "$gt": key(world, ""), "$lt": format!("{world}0") } }
}
