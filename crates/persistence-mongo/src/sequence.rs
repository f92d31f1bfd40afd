//! The order of commits of a world: numbers that events get before they are committed.
//!
//! A counter gives numbers out, each once; a commit takes its own when all its conditions hold. So what begins after
//! another was acknowledged has a greater number, on whatever server, and nobody waits for anybody to get one. But numbers
//! are committed out of order, and some never: their transaction was refused, or its server died.
//!
//! Who reads in order must not pass a number that may still come. Between two that are committed, a number that is missing
//! is waited for a little; then it is **filled**: a document without an event takes its place, and if its transaction is
//! alive after all, that one fails, and takes another number. The id of events is unique, so that of a fill and an event
//! one wins. Up to a number where all are taken, the history is **solid**.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::clients::Clients;
use crate::collections;
use crate::connect::unsafe_writes;
use crate::document::key;
use crate::error::is_duplicate;
use crate::together::Together;

/// How long a missing number is waited for: several times what a commit takes.
const MISSING: Duration = Duration::from_millis(250);

/// The pause between two looks for a missing number.
const LOOK: Duration = Duration::from_millis(5);

/// The numbers read at once to learn how far the history is solid.
const CHUNK: i64 = 1_000;

/// The counter, as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    /// The last number that was given out.
    pub(crate) last: i64,
    /// The latest instant of the events that numbers were given out for.
    #[serde(default)]
    pub(crate) reached: Option<DateTime>,
    /// Up to where the history was found solid.
    #[serde(default)]
    solid: i64,
}

/// The numbers of one world.
pub(crate) struct Sequence {
    world: ObjectId,
    clients: Arc<Clients>,
    /// Up to where the history is known to be solid.
    solid: AtomicI64,
    /// What the database knows of that.
    kept: AtomicI64,
    /// Whether missing numbers are being seen to.
    mending: AtomicBool,
    /// Those who take numbers.
    taking: Arc<Together<(i64, DateTime), Result<i64, Error>>>,
}

impl Sequence {
    pub(crate) fn new(clients: Arc<Clients>, world: ObjectId) -> Arc<Self> {
        Arc::new(Self {
            world,
            clients,
            solid: AtomicI64::new(0),
            kept: AtomicI64::new(0),
            mending: AtomicBool::new(false),
            taking: Together::new(),
        })
    }

    fn counters(&self) -> Collection<Counter> {
        self.clients.here().collection(collections::SEQUENCES)
    }

    fn events(&self) -> Collection<Document> {
        self.clients.here().collection(collections::EVENTS)
    }

    /// Takes so many numbers in a row, for events of which the last happens at `at`; gives the first.
    ///
    /// That one member has counted is enough: it is followed by the commit, and who acknowledges that has the count too. A
    /// count that is lost is one of a commit that is, or of one whose numbers are found taken when they are given out again.
    pub(crate) async fn take(self: &Arc<Self>, count: i64, at: DateTime) -> Result<i64, Error> {
        let sequence = self.clone();
        let answer = move |asked: Vec<(i64, DateTime)>| {
            let sequence = sequence.clone();
            async move { sequence.take_all(&asked).await }
        };
        let unended = || Error::custom("numbers that were asked for were not given out");
        self.taking.ask((count, at), answer).await.unwrap_or_else(|| Err(unended()))
    }

    /// The same for many.
    async fn take_all(&self, asked: &[(i64, DateTime)]) -> Vec<Result<i64, Error>> {
        let count = asked.iter().map(|(count, _)| count).sum::<i64>();
        let reached = asked.iter().map(|(_, at)| *at).max().unwrap_or(DateTime::MIN);
        let take = doc! { "$inc": { "last": count }, "$max": { "reached": reached } };
        let counters = self.counters();
        let counted = counters.find_one_and_update(doc! { "_id": self.world }, take).upsert(true);
        let counted = counted.return_document(ReturnDocument::After).write_concern(unsafe_writes()).await;
        let mut next = match counted {
            Ok(counted) => counted.unwrap_or_default().last - count + 1,
            Err(error) => return vec![Err(error); asked.len()],
        };
        let give = |(count, _): &(i64, DateTime)| {
            next += count;
            Ok(next - count)
        };
        asked.iter().map(give).collect()
    }

    /// The counter now. Every number that is committed was given out before.
    pub(crate) async fn counter(&self) -> Result<Counter, Error> {
        Ok(self.counters().find_one(doc! { "_id": self.world }).await?.unwrap_or_default())
    }

    /// The filter of numbers from one on, up to another.
    pub(crate) fn between(&self, from: i64, to: i64) -> Document {
        doc! { "w": self.world, "seq": { "$gte": from, "$lte": to } }
    }

    /// Fills numbers that were not used. Where an event has taken one, or takes it right now, nothing is changed.
    pub(crate) async fn fill(&self, numbers: Range<i64>) -> Result<(), Error> {
        for chunk in numbers.clone().step_by(CHUNK as usize).map(|from| from..numbers.end.min(from + CHUNK)) {
            let fills = chunk.map(|seq| doc! { "_id": key(self.world, seq), "w": self.world, "seq": seq });
            match self.events().insert_many(fills).ordered(false).await {
                Err(error) if !all_taken(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sees to it that numbers which are missing before one that is committed are filled when they have been missing for
    /// long. The caller reads again.
    pub(crate) fn mend(self: &Arc<Self>, numbers: Range<i64>) {
        if self.mending.swap(true, Ordering::AcqRel) {
            return;
        }
        let sequence = self.clone();
        tokio::spawn(async move {
            sleep(MISSING).await;
            tracing::debug!(from = numbers.start, to = numbers.end, "numbers that nobody used are filled");
            if let Err(error) = sequence.fill(numbers).await {
                tracing::debug!(error = crate::error::text(&error), "they are not filled");
            }
            sequence.mending.store(false, Ordering::Release);
        });
    }

    /// Lets a moment pass in which a number that is missing may come.
    pub(crate) async fn pause(&self) {
        sleep(LOOK).await;
    }

    /// Learns that from one number, up to which all are taken, to another one they are too.
    pub(crate) fn learn(&self, from: i64, to: i64) {
        if from <= self.solid.load(Ordering::Acquire) {
            self.solid.fetch_max(to, Ordering::AcqRel);
        }
    }

    /// Up to where the history is solid now: where nothing is under way, its end. What is committed later comes after it.
    pub(crate) async fn solid(self: &Arc<Self>) -> Result<i64, Error> {
        let counter = self.counter().await?;
        self.kept.fetch_max(counter.solid, Ordering::AcqRel);
        self.solid.fetch_max(counter.solid, Ordering::AcqRel);
        loop {
            let from = self.solid.load(Ordering::Acquire);
            let numbers = self.numbers(from + 1, counter.last.min(from + CHUNK)).await?;
            let to = numbers.iter().zip(from + 1..).take_while(|(found, next)| **found == *next).count() as i64 + from;
            self.learn(from, to);
            self.keep(to, CHUNK).await?;
            if let Some(next) = numbers.iter().find(|number| **number > to) {
                // Something is under way, or will never come.
                self.mend(to + 1..*next);
            } else if to == from + CHUNK {
                continue;
            }
            return Ok(to);
        }
    }

    /// The numbers that are taken from one on, up to another, in order.
    async fn numbers(&self, from: i64, to: i64) -> Result<Vec<i64>, Error> {
        let events = self.events();
        let found = events.find(self.between(from, to)).projection(doc! { "_id": 0, "seq": 1 });
        let mut found = found.sort(doc! { "seq": 1 }).batch_size(CHUNK as u32).await?;
        let mut numbers = Vec::new();
        while found.advance().await? {
            numbers.extend(found.current().get_i64("seq").ok());
        }
        Ok(numbers)
    }

    /// What has a number.
    pub(crate) async fn at(&self, number: i64) -> Result<Option<Document>, Error> {
        self.events().find_one(doc! { "_id": key(self.world, number) }).await
    }

    /// Whether a number from one on, up to another, is taken.
    pub(crate) async fn any_between(&self, from: i64, to: i64) -> Result<bool, Error> {
        let events = self.events();
        let found = events.find_one(self.between(from, to)).projection(doc! { "_id": 0, "seq": 1 });
        Ok(from <= to && found.await?.is_some())
    }

    /// Tells the database, for servers that start, where it is so far ahead.
    async fn keep(&self, solid: i64, ahead: i64) -> Result<(), Error> {
        if self.kept.load(Ordering::Acquire) + ahead <= solid && self.kept.fetch_max(solid, Ordering::AcqRel) < solid {
            self.counters().update_one(doc! { "_id": self.world }, doc! { "$max": { "solid": solid } }).await?;
        }
        Ok(())
    }

    pub(crate) async fn rest(&self) -> Result<(), Error> {
        self.keep(self.solid.load(Ordering::Acquire), 1).await
    }
}

/// Whether every document that was not inserted has an id that is taken.
fn all_taken(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::InsertMany(failed) => {
            failed.write_concern_error.is_none()
                && failed.write_errors.iter().flatten().all(|error| matches!(error.code, 11000 | 112))
        }
        _ => is_duplicate(error),
    }
}
