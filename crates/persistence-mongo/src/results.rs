//! What came of fleet operations for each machine.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{FleetResult, StoreError};
use cloudm_domain::{FleetOutcome, OperationId, WallMillis};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::{Deserialize, Serialize};

use crate::collections;
use crate::document::{damaged, id_of, key, limit, millis};
use crate::list::any;
use crate::operation_doc::operations;
use crate::transaction::{Stop, Work};
use crate::world::{OpenWorld, PATIENCE};

/// A result as it is stored. The operation and the machine are its `_id`, so that there is one of both for ever.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResultDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    operation: ObjectId,
    refused: bool,
    outcome: String,
}

impl ResultDoc {
    pub(crate) fn of(world: ObjectId, operation: OperationId, result: FleetResult) -> Self {
        Self {
            key: place(world, operation, result),
            w: world,
            operation: ObjectId::from_bytes(*operation.as_bytes()),
            refused: result.outcome.is_refusal(),
            outcome: result.outcome.code().into(),
        }
    }

    fn read(&self) -> Result<FleetResult, StoreError> {
        let outcome: FleetOutcome = self.outcome.parse().map_err(|why| damaged("an outcome", why))?;
        Ok(FleetResult { machine: id_of(&self.key)?, outcome })
    }
}

pub(crate) fn place(world: ObjectId, operation: OperationId, result: FleetResult) -> String {
    format!("{}/{}", key(world, operation), result.machine)
}

pub(crate) fn results<T: Send + Sync>(world: &OpenWorld) -> Collection<T> {
    world.collection(collections::RESULTS)
}

/// The results of an operation after one, at most so many.
pub(crate) async fn page(
    world: &OpenWorld,
    id: OperationId,
    after: Option<FleetResult>,
    most: usize,
) -> Result<Vec<FleetResult>, StoreError> {
    let of = doc! { "w": world.id(), "operation": ObjectId::from_bytes(*id.as_bytes()) };
    // What follows the slash in ASCII.
    let (begin, end) = (format!("{}/", key(world.id(), id)), format!("{}0", key(world.id(), id)));
    let part = |refused: bool| {
        let after = after.filter(|after| after.outcome.is_refusal() == refused);
        let from = after.map_or_else(|| begin.clone(), |after| place(world.id(), id, after));
        let mut part = of.clone();
        part.extend(doc! { "refused": refused, "_id": { "$gt": from, "$lt": &end } });
        part
    };
    let first = after.is_none_or(|after| after.outcome.is_refusal());
    let mut page = Vec::new();
    // One range of the index after the other.
    for refused in [true, false].into_iter().filter(|refused| first || !refused) {
        let left = limit(most - page.len());
        if left > 0 {
            let results = results::<ResultDoc>(world);
            let found = results.find(part(refused)).sort(doc! { "_id": 1 });
            let found = async { found.limit(left).max_time(PATIENCE).await?.try_collect().await };
            let found: Vec<ResultDoc> = world.base().ask(found).await?;
            page.extend(found.iter().map(ResultDoc::read).collect::<Result<Vec<_>, _>>()?);
        }
    }
    Ok(page)
}

/// Drops what has expired; says how much.
pub(crate) async fn purge(world: &Arc<OpenWorld>, wall: WallMillis, most: usize) -> Result<usize, StoreError> {
    let (until, mut dropped) = (millis(wall), 0);
    while dropped < most {
        let purging = Purging { world: world.clone(), until, most: (most - dropped).min(Purging::AT_ONCE) };
        match world.write(purging).await? {
            0 => break,
            more => dropped += more,
        }
    }
    Ok(dropped)
}

/// The dropping of results of one operation that has expired, and of itself when none is left.
struct Purging {
    world: Arc<OpenWorld>,
    until: DateTime,
    most: usize,
}

impl Purging {
    /// The most results that one transaction drops.
    const AT_ONCE: usize = 1_000;
}

#[async_trait]
impl Work for Purging {
    type Output = usize;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<usize, Stop<StoreError>> {
        let world = &self.world;
        let expired = doc! { "w": world.id(), "expires_at": { "$lte": self.until } };
        let operations = operations(world).clone_with_type::<Document>();
        let expired = operations.find_one(expired).sort(doc! { "expires_at": 1 });
        let Some(expired) = expired.session(&mut *session).await? else { return Ok(0) };
        let operation = expired.get_str("_id").map_err(|why| damaged("a fleet operation", why))?;
        let ids = self.ids(session, operation).await?;
        let all = ids.len() < self.most;
        let dropped = ids.len() + usize::from(all);
        if !ids.is_empty() {
            let results = results::<Document>(world);
            results.delete_many(doc! { "_id": any(ids.into_iter()) }).session(&mut *session).await?;
        }
        if all {
            operations.delete_one(doc! { "_id": operation }).session(session).await?;
        }
        Ok(dropped)
    }
}

impl Purging {
    /// The `_id`s of some results of an operation.
    async fn ids(&self, session: &mut ClientSession, operation: &str) -> Result<Vec<String>, Error> {
        // What follows the slash in ASCII.
        let range = doc! { "_id": { "$gt": format!("{operation}/"), "$lt": format!("{operation}0") } };
        let results = results::<Document>(&self.world);
        let found = results.find(range).projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 });
        let found = found.limit(limit(self.most)).batch_size(Self::AT_ONCE as u32);
        let mut found = found.session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        Ok(found.iter().filter_map(|one| one.get_str("_id").ok()).map(str::to_owned).collect())
    }
}
