//! The kept answers of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{AnswerStore, KeptAnswer, StoreError};
use cloudm_domain::WallMillis;
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::{Deserialize, Serialize};

use crate::collections;
use crate::document::{damaged, key, limit, millis, number};
use crate::error::is_duplicate;
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;

/// An answer as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct AnswerDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    fingerprint: Binary,
    answer: Binary,
    expires_at: DateTime,
}

impl AnswerDoc {
    fn of(world: ObjectId, answer: &KeptAnswer) -> Self {
        let bytes = |bytes: &[u8]| Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() };
        Self {
            key: key(world, &answer.key),
            w: world,
            fingerprint: bytes(&answer.fingerprint),
            answer: bytes(&answer.answer),
            expires_at: millis(answer.expires_at),
        }
    }

    fn read(self, key: &str) -> Result<KeptAnswer, StoreError> {
        let fingerprint = self.fingerprint.bytes.as_slice().try_into();
        Ok(KeptAnswer {
            key: key.into(),
            fingerprint: fingerprint.map_err(|why| damaged("a fingerprint", why))?,
            answer: self.answer.bytes,
            expires_at: number("an expiry", self.expires_at.timestamp_millis())?,
        })
    }
}

fn kept(world: &OpenWorld) -> Collection<AnswerDoc> {
    world.collection(collections::ANSWERS)
}

/// The kept answers of one world.
pub(crate) struct Answers(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl AnswerStore for Answers {
    async fn get(&self, asked: &str, wall: WallMillis) -> Result<Option<KeptAnswer>, StoreError> {
        let kept = kept(&self.0);
        let filter = doc! { "_id": key(self.0.id(), asked), "expires_at": { "$gt": millis(wall) } };
        let found = self.0.base().ask(async { kept.find_one(filter).await }).await?;
        found.map(|answer| answer.read(asked)).transpose()
    }

    async fn keep(&self, answer: KeptAnswer, wall: WallMillis) -> Result<bool, StoreError> {
        let kept = kept(&self.0);
        // Where one is kept that has not expired, none matches and the id of a second one is taken.
        let expired = doc! { "_id": key(self.0.id(), &answer.key), "expires_at": { "$lte": millis(wall) } };
        let answer = AnswerDoc::of(self.0.id(), &answer);
        let replaced = async {
            match kept.replace_one(expired, &answer).upsert(true).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.0.base().ask(replaced).await
    }

    async fn purge(&self, wall: WallMillis, most: usize) -> Result<usize, StoreError> {
        let purging = Purging { world: self.0.clone(), until: millis(wall), most: limit(most) };
        Ok(usize::try_from(self.0.write(purging).await?).unwrap_or(usize::MAX))
    }
}

/// The dropping of answers that have expired. In a transaction, for a deletion of many is not repeated otherwise.
struct Purging {
    world: Arc<OpenWorld>,
    until: DateTime,
    most: i64,
}

#[async_trait]
impl Work for Purging {
    type Output = u64;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<u64, Stop<StoreError>> {
        let kept: Collection<Document> = self.world.collection(collections::ANSWERS);
        let expired = doc! { "w": self.world.id(), "expires_at": { "$lte": self.until } };
        let found = kept.find(expired).sort(doc! { "expires_at": 1 }).limit(self.most).projection(doc! { "_id": 1 });
        let mut found = found.session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        let ids: Vec<_> = found.iter().filter_map(|answer| answer.get_str("_id").ok()).collect();
        Ok(kept.delete_many(doc! { "_id": { "$in": ids } }).session(session).await?.deleted_count)
    }
}

/// Whether an answer is kept under the key that has not expired, in a transaction.
pub(crate) async fn is_kept(world: &OpenWorld, session: &mut ClientSession, asked: &str) -> Result<bool, Error> {
    let wall = millis(world.base().wall.now());
    let filter = doc! { "_id": key(world.id(), asked), "expires_at": { "$gt": wall } };
    Ok(kept(world).find_one(filter).session(session).await?.is_some())
}

/// Keeps it, in the place of one that has expired, in a transaction.
pub(crate) async fn put(world: &OpenWorld, session: &mut ClientSession, answer: &KeptAnswer) -> Result<(), Error> {
    let place = doc! { "_id": key(world.id(), &answer.key) };
    let answer = AnswerDoc::of(world.id(), answer);
    kept(world).replace_one(place, &answer).upsert(true).session(session).await.map(drop)
}
