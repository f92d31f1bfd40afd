//! The names of worlds, and what they point to.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{FoundWorld, MAX_WORLDS, StoreError, World, WorldsError};
use cloudm_domain::{Incarnation, WorldName};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Collection, Database};

use crate::counts::Tally;
use crate::document::{damaged, limit, parsed, world_id};
use crate::transaction::{Stop, Work};
use crate::world::{Base, Stored, records};
use crate::{collections, counting};

/// The setting that counts the worlds. Everything writes it that changes a name, so that no two of them are carried out side
/// by side.
const COUNT: &str = "worlds";

fn collection(database: &Database) -> Collection<Document> {
    database.collection(collections::WORLDS)
}

fn incarnation(world: &Document) -> Result<Incarnation, StoreError> {
    let id = world.get_object_id("incarnation").map_err(|why| damaged("the name of a world", why))?;
    Ok(Incarnation::from_bytes(id.bytes()))
}

/// What a name points to now.
pub(crate) async fn find(base: &Base, name: &WorldName) -> Result<Option<FoundWorld>, StoreError> {
    let names = collection(&base.database());
    let found = base.ask(async { names.find_one(doc! { "_id": name.as_str() }).await }).await?;
    let read = |world: &Document| {
        let request_faults = world.get_bool(REQUEST_FAULTS).unwrap_or_default();
        Ok(FoundWorld { incarnation: incarnation(world)?, request_faults })
    };
    found.as_ref().map(read).transpose()
}

/// Whether the world that a name points to has faults on requests: here, for every request looks here.
const REQUEST_FAULTS: &str = "request_faults";

/// Keeps beside its name whether a world has faults on requests, in the transaction of its record.
pub(crate) async fn mark(database: &Database, world: &World, session: &mut ClientSession) -> Result<(), Error> {
    let name = doc! { "_id": world.name.as_str(), "incarnation": world_id(world.incarnation) };
    let mark = doc! { "$set": { REQUEST_FAULTS: world.rules.faults.look_at_requests() } };
    collection(database).update_one(name, mark).session(session).await.map(drop)
}

/// The names after one, in the order of their bytes.
pub(crate) async fn names(base: &Base, after: Option<&WorldName>, most: usize) -> Result<Vec<WorldName>, StoreError> {
    let beyond = doc! { "_id": { "$gt": after.map_or("", WorldName::as_str) } };
    let names = collection(&base.database());
    let found = async { names.find(beyond).sort(doc! { "_id": 1 }).limit(limit(most)).await?.try_collect().await };
    let found: Vec<Document> = base.ask(found).await?;
    let name = |world: &Document| parsed("the name of a world", world.get_str("_id").unwrap_or_default());
    found.iter().map(name).collect()
}

/// A change of what a name points to: a world is made, replaced or deleted.
pub(crate) struct Naming {
    base: Arc<Base>,
    name: WorldName,
    /// What it has to point to; nothing where it has to be free.
    old: Option<ObjectId>,
    /// What it points to then; nothing where it is to be free.
    new: Option<Stored>,
    /// What tells this change from every other one.
    write: ObjectId,
}

impl Naming {
    pub(crate) fn new(base: &Arc<Base>, name: &WorldName, old: Option<Incarnation>, new: Option<Stored>) -> Self {
        let (base, name, old) = (base.clone(), name.clone(), old.map(world_id));
        Self { base, name, old, new, write: ObjectId::new() }
    }

    /// Whether the name points to what it has to.
    async fn check(&self, session: &mut ClientSession) -> Result<(), Stop<WorldsError>> {
        let names = collection(&self.base.database());
        let found = names.find_one(doc! { "_id": self.name.as_str() }).session(&mut *session).await?;
        let found = found.as_ref().map(incarnation).transpose()?.map(world_id);
        match self.old {
            Some(_) if found != self.old => Err(Stop::Refused(WorldsError::Conflict)),
            None if found.is_some() => Err(Stop::Refused(WorldsError::NameTaken)),
            _ => Ok(()),
        }
    }

    /// Counts the change, after which there may be so many worlds.
    async fn count(&self, session: &mut ClientSession) -> Result<(), Stop<WorldsError>> {
        let settings = self.base.database().collection::<Document>(collections::SETTINGS);
        let more = i64::from(self.new.is_some()) - i64::from(self.old.is_some());
        let count = settings.find_one_and_update(doc! { "_id": COUNT }, doc! { "$inc": { "count": more } });
        let counted = count.upsert(true).return_document(ReturnDocument::After).session(session).await?;
        let worlds = counted.and_then(|counted| counted.get_i64("count").ok()).unwrap_or(more);
        if more > 0 && worlds > limit(MAX_WORLDS) { Err(Stop::Refused(WorldsError::TooMany)) } else { Ok(()) }
    }

    async fn point(&self, session: &mut ClientSession) -> Result<(), Stop<WorldsError>> {
        let names = collection(&self.base.database());
        let name = doc! { "_id": self.name.as_str() };
        let Some(new) = &self.new else {
            names.delete_one(name).session(session).await?;
            return Ok(());
        };
        let record = mongodb::bson::serialize_to_document(new).map_err(Error::from)?;
        let incarnation = record.get_object_id("_id").unwrap_or_default();
        // In the place of what says that it was being copied, where it is a fork.
        let records = self.base.database().collection::<Document>(collections::INCARNATIONS);
        records.replace_one(doc! { "_id": incarnation }, record).upsert(true).session(&mut *session).await?;
        let request_faults = new.world()?.rules.faults.look_at_requests();
        let points = doc! { "_id": self.name.as_str(), "incarnation": incarnation, REQUEST_FAULTS: request_faults };
        names.replace_one(name, points).upsert(true).session(&mut *session).await?;
        self.begin_counting(session, incarnation).await
    }

    /// Lets a world in which nothing has happened yet be counted from its beginning.
    async fn begin_counting(
        &self,
        session: &mut ClientSession,
        incarnation: ObjectId,
    ) -> Result<(), Stop<WorldsError>> {
        let counters = self.base.database().collection::<Document>(collections::SEQUENCES);
        if counters.find_one(doc! { "_id": incarnation }).session(&mut *session).await?.is_none() {
            let counts = self.base.database().collection::<Document>(collections::COUNTS);
            let none = counting::whole(incarnation, 0, Tally::default())?;
            counts.replace_one(doc! { "_id": incarnation }, none).upsert(true).session(session).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Work for Naming {
    type Output = ();
    type Refusal = WorldsError;

    async fn run(&self, session: &mut ClientSession) -> Result<(), Stop<WorldsError>> {
        self.check(session).await?;
        self.count(session).await?;
        self.point(session).await?;
        if let Some(old) = self.old {
            let gone = doc! { "$set": { "gone": DateTime::now(), "gone_by": self.write } };
            records(&self.base.database()).update_one(doc! { "_id": old }, gone).session(session).await?;
        }
        Ok(())
    }

    async fn took_effect(&self) -> Result<Option<()>, Error> {
        let records = self.base.database().collection::<Document>(collections::INCARNATIONS);
        let done = match (&self.new, self.old) {
            (_, Some(old)) => doc! { "_id": old, "gone_by": self.write },
            (Some(new), None) => doc! { "_id": new.incarnation(), "record": { "$exists": true } },
            (None, None) => return Ok(None),
        };
        Ok(records.find_one(done).await?.map(drop))
    }
}
