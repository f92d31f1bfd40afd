//! Forks: a copy of a world under another incarnation.
//!
//! What the world holds is read in one transaction, so all of it is as it was at one moment, and written outside of it, batch
//! by batch. Until the copy has a name its record says that it is gone, some time ahead, so that what a death leaves is swept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudm_application::ports::{ForkedWorld, StoreError, World};
use cloudm_domain::Incarnation;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use mongodb::{ClientSession, Collection};
use tokio::time::timeout;

use crate::document::{key, world_id};
use crate::error::overdue;
use crate::sequence::Counter;
use crate::transaction::{Stop, Work, transact};
use crate::world::{Base, Stored, living, records};
use crate::{collections, sweep};

/// How long a copy may take: less than the time after which MongoDB ends a transaction, unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(55);

/// How long a copy is let be before it is swept, in milliseconds.
const SWEPT_AFTER: i64 = 600_000;

/// The documents that are written at once.
const BATCH: usize = 1_000;

/// An incarnation that is being written and has no name yet.
pub(crate) struct Draft {
    base: Arc<Base>,
    id: ObjectId,
}

impl Draft {
    /// Begins it. It is swept when it gets no name for long.
    pub(crate) async fn begin(base: &Arc<Base>, incarnation: Incarnation) -> Result<Self, StoreError> {
        let draft = Self { base: base.clone(), id: world_id(incarnation) };
        let record = doc! { "_id": draft.id, "gone": Self::later() };
        base.ask(async { draft.records().insert_one(record).await }).await?;
        Ok(draft)
    }

    /// Lets it be for as long again.
    pub(crate) async fn keep(&self) -> Result<(), StoreError> {
        let later = doc! { "$set": { "gone": Self::later() } };
        self.base.ask(async { self.records().update_one(doc! { "_id": self.id }, later).await }).await.map(drop)
    }

    /// Drops what was written.
    pub(crate) fn drop(&self) {
        sweep::soon(&self.base, self.id);
    }

    fn records(&self) -> Collection<Document> {
        self.base.database().collection(collections::INCARNATIONS)
    }

    fn later() -> DateTime {
        DateTime::from_millis(DateTime::now().timestamp_millis() + SWEPT_AFTER)
    }
}

/// A copy of a world that has no name yet.
pub(crate) struct Copying {
    base: Arc<Base>,
    source: ObjectId,
    fork: ForkedWorld,
    to: ObjectId,
}

type Copied = Option<(World, Stored)>;

impl Copying {
    pub(crate) fn new(base: &Arc<Base>, source: Incarnation, fork: ForkedWorld) -> Self {
        Self { base: base.clone(), source: world_id(source), to: world_id(fork.incarnation), fork }
    }

    /// Copies the world; gives its record for whoever names it, or nothing where the source is no more.
    pub(crate) async fn run(&self) -> Result<Copied, StoreError> {
        let draft = Draft::begin(&self.base, self.fork.incarnation).await?;
        let copied = timeout(PATIENCE, transact(&self.base.database(), self)).await.unwrap_or_else(|_| Err(overdue()));
        if !matches!(copied, Ok(Some(_))) {
            draft.drop();
        }
        copied
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.base.database().collection(name)
    }

    /// Copies what a filter finds.
    async fn copy(
        &self,
        session: &mut ClientSession,
        name: &str,
        what: Document,
        hint: Option<&str>,
    ) -> Result<(), Error> {
        let collection = self.collection(name);
        let found = collection.find(what).batch_size(BATCH as u32);
        let found = match hint {
            Some(index) => found.hint(Hint::Name(index.into())),
            None => found,
        };
        let mut found = found.session(&mut *session).await?;
        let mut batch = Vec::new();
        while found.advance(session).await? {
            batch.push(self.moved(found.deserialize_current()?));
            if batch.len() == BATCH {
                collection.insert_many(std::mem::take(&mut batch)).ordered(false).await?;
            }
        }
        if batch.is_empty() { Ok(()) } else { collection.insert_many(batch).ordered(false).await.map(drop) }
    }

    /// The document in the other world.
    fn moved(&self, mut document: Document) -> Document {
        let (from, to) = (key(self.source, ""), key(self.to, ""));
        // The world leads keys, stands in `w`, and is the `_id` of its counter; nowhere else.
        for (_, value) in document.iter_mut() {
            match value {
                Bson::ObjectId(world) if *world == self.source => *world = self.to,
                Bson::String(text) if text.starts_with(&from) => text.replace_range(..from.len(), &to),
                _ => {}
            }
        }
        document
    }
}

#[async_trait]
impl Work for Copying {
    type Output = Copied;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Copied, Stop<StoreError>> {
        let Some(source) = records(&self.base.database()).find_one(living(self.source)).session(&mut *session).await?
        else {
            return Ok(None);
        };
        // What an attempt before this one wrote.
        sweep::contents(&self.base.database(), self.to).await?;
        let counters: Collection<Counter> = self.base.database().collection(collections::SEQUENCES);
        let counter = counters.find_one(doc! { "_id": self.source }).session(&mut *session).await?;
        for (name, index) in sweep::COPIED {
            self.copy(session, name, doc! { "w": self.source }, Some(index)).await?;
        }
        for name in sweep::BY_ID {
            self.copy(session, name, sweep::ids(self.source), None).await?;
        }
        for name in sweep::ONE_EACH {
            self.copy(session, name, doc! { "_id": self.source }, None).await?;
        }
        let (before, wall) = (source.world()?, self.base.wall.now());
        let now = before.clock.now(wall).max(source.reached(&counter.unwrap_or_default())?);
        let world = before.forked(self.fork.clone(), now, wall);
        let mut stored = Stored::of(&world)?;
        stored.clusters = source.clusters;
        Ok(Some((world, stored)))
    }
}
