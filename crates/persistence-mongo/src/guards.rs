//! The guards of a cluster: what those touch who must not be in it at the same time.
//!
//! A transaction sees the world as it was when it began, so two that each check something the other is about to change would
//! both find it well. They are kept apart by a document that both write: the database lets one of them have it, and the
//! other begins again and sees what the first did.
//!
//! A cluster has 64 guards. Whoever gives a machine a name in it (a creation, a new name) touches the one that the name
//! falls to; so no two machines get the same name, and yet 64 can be made at a time. Whoever deletes the cluster deletes
//! all of them; so no machine is made in a cluster that goes, and where a guard is missing, the cluster is.

use std::collections::BTreeSet;

use cloudm_domain::{ClusterId, Name};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};

use crate::document::key;

const GUARDS: i32 = 64;

/// The guard that a name falls to, the same on every server.
fn number(name: &Name) -> i32 {
    i32::from(blake3::hash(name.as_str().as_bytes()).as_bytes()[0]) % GUARDS
}

fn id(world: ObjectId, cluster: ClusterId, number: i32) -> String {
    format!("{}/{number}", key(world, cluster))
}

/// Which turn those take in one process who would touch the same guard.
pub(crate) fn turn(cluster: ClusterId, name: &Name, turns: usize) -> usize {
    let bytes = cluster.as_bytes();
    let hash = usize::from(u16::from_be_bytes([bytes[10], bytes[11]]));
    (hash + usize::try_from(number(name)).unwrap_or_default()) % turns.max(1)
}

/// The guards of a cluster that is made.
pub(crate) fn of_new(world: ObjectId, cluster: ClusterId) -> Vec<Document> {
    (0..GUARDS).map(|number| doc! { "_id": id(world, cluster, number), "touched": 0_i64 }).collect()
}

/// Touches the guard of a name; says whether the cluster exists.
pub(crate) async fn touch(
    guards: &Collection<Document>,
    session: &mut ClientSession,
    (world, cluster, name): (ObjectId, ClusterId, &Name),
) -> Result<bool, Error> {
    let guard = doc! { "_id": id(world, cluster, number(name)) };
    let touched = guards.update_one(guard, doc! { "$inc": { "touched": 1_i64 } }).session(session).await?;
    Ok(touched.matched_count > 0)
}

/// Touches the guards of many names; says whether all of their clusters exist.
pub(crate) async fn touch_all(
    guards: &Collection<Document>,
    session: &mut ClientSession,
    (world, names): (ObjectId, &BTreeSet<(ClusterId, &Name)>),
) -> Result<bool, Error> {
    let ids: BTreeSet<_> = names.iter().map(|(cluster, name)| id(world, *cluster, number(name))).collect();
    let count = ids.len() as u64;
    let all = doc! { "_id": { "$in": ids.into_iter().collect::<Vec<_>>() } };
    let touched = guards.update_many(all, doc! { "$inc": { "touched": 1_i64 } }).session(session).await?;
    Ok(touched.matched_count == count)
}

/// Deletes the guards of a cluster that goes.
pub(crate) async fn delete(
    guards: &Collection<Document>,
    session: &mut ClientSession,
    (world, cluster): (ObjectId, ClusterId),
) -> Result<(), Error> {
    let all: Vec<_> = (0..GUARDS).map(|number| id(world, cluster, number)).collect();
    guards.delete_many(doc! { "_id": { "$in": all } }).session(session).await.map(drop)
}
