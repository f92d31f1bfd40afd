//! An open world: its record and clock, and what all its parts share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cloudm_application::ports::{
    StoreError, WallClock, World, WorldCommit, WorldCommitError, WorldPorts, WorldStore, WorldView,
};
use cloudm_domain::{Incarnation, Instant};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection, Database};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answers::{self, Answers};
use crate::clients::Clients;
use crate::clusters::Clusters;
use crate::collections;
use crate::counting::{self, Counting};
use crate::document::{damaged, date, instant, long, world_id};
use crate::error::{closed, overdue, store_error};
use crate::events::Events;
use crate::faults::Faults;
use crate::feed::Feed;
use crate::machines::Machines;
use crate::operations::Operations;
use crate::queue::Queue;
use crate::sequence::{Counter, Sequence};
use crate::together::Together;
use crate::transaction::{Stop, Work, transact};

/// How long a read, or a transaction with all its repetitions, may take. A request makes a few of them one after another,
/// of which the first that meets an outage ends it; so that its client knows within five seconds. What may have much to read
/// tells the database too, or that would go on with what nobody waits for any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// What all worlds of a store share.
pub(crate) struct Base {
    pub(crate) clients: Arc<Clients>,
    pub(crate) wall: Arc<dyn WallClock>,
    pub(crate) queue: Queue,
    /// Changes of what names point to take turns: they all count the worlds.
    pub(crate) naming: tokio::sync::Mutex<()>,
    pub(crate) feed: Feed,
    /// The worlds that are swept right now.
    pub(crate) sweeps: Mutex<JoinSet<()>>,
    pub(crate) closed: AtomicBool,
}

impl Base {
    /// The database, by the client of the runtime that asks.
    pub(crate) fn database(&self) -> Database {
        self.clients.here()
    }

    /// Fails where the store is closed.
    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Does what the database answers at once, or not at all.
    pub(crate) async fn ask<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        self.check_open()?;
        let answered = timeout(PATIENCE, asked).await.map_err(|_| overdue())?;
        answered.map_err(|error| store_error(&error))
    }

    /// Writes in a transaction, when its turn in the queue has come. It is carried to its end also where nobody waits
    /// for it any more.
    pub(crate) async fn write<W: Work + 'static>(self: &Arc<Self>, work: W) -> Result<W::Output, W::Refusal>
    where
        W::Output: 'static,
        W::Refusal: 'static,
    {
        self.check_open()?;
        let base = self.clone();
        let writing = tokio::spawn(async move {
            let turn = base.queue.turn().await?;
            let written = timeout(PATIENCE, transact(&base.database(), &work)).await;
            turn.end(written.is_ok());
            work.end(matches!(written, Ok(Ok(_))));
            written.unwrap_or_else(|_| Err(overdue().into()))
        });
        writing.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a write did not end".into()).into()))
    }
}

/// The record of a world, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(rename = "_id")]
    incarnation: ObjectId,
    record: Document,
    /// The latest instant that a server showed before it stopped. What is committed tells its own, in the sequence.
    high_water: DateTime,
    /// How many clusters there are.
    pub(crate) clusters: i64,
    /// How often a cluster was made, changed or deleted. What all of them write keeps two of them apart, so that a name is
    /// taken once.
    cluster_writes: i64,
}

/// The record of a world with its counter, where anything has happened in it.
#[derive(Deserialize)]
struct Now {
    #[serde(flatten)]
    stored: Stored,
    counter: Vec<Counter>,
}

impl Stored {
    /// The record of a new world.
    pub(crate) fn of(world: &World) -> Result<Self, StoreError> {
        Ok(Self {
            incarnation: world_id(world.incarnation),
            record: document_of(world)?,
            high_water: date(world.clock.now(0)),
            clusters: 0,
            cluster_writes: 0,
        })
    }

    pub(crate) fn incarnation(&self) -> ObjectId {
        self.incarnation
    }

    /// The world, understood.
    pub(crate) fn world(&self) -> Result<World, StoreError> {
        mongodb::bson::deserialize_from_document(self.record.clone())
            .map_err(|why| damaged("the record of a world", why))
    }

    /// The latest instant that the world is known to have reached, with what its counter says.
    pub(crate) fn reached(&self, counter: &Counter) -> Result<Instant, StoreError> {
        let reached = [Some(self.high_water), counter.reached].into_iter().flatten().map(instant);
        reached.into_iter().try_fold(Instant::MIN, |latest, reached| reached.map(|reached| latest.max(reached)))
    }
}

fn document_of(world: &World) -> Result<Document, StoreError> {
    mongodb::bson::serialize_to_document(world).map_err(|why| StoreError::Failed(why.to_string()))
}

/// The records of all incarnations.
pub(crate) fn records(database: &Database) -> Collection<Stored> {
    database.collection(collections::INCARNATIONS)
}

/// The record of an incarnation that has a name.
pub(crate) fn living(incarnation: ObjectId) -> Document {
    doc! { "_id": incarnation, "gone": { "$exists": false } }
}

/// One incarnation of a world.
pub(crate) struct OpenWorld {
    base: Arc<Base>,
    incarnation: Incarnation,
    id: ObjectId,
    high_water: AtomicU64,
    /// The record as it was last read, so that it is not understood anew each time.
    known: Mutex<Option<(Document, Arc<World>)>>,
    pub(crate) sequence: Arc<Sequence>,
    pub(crate) counting: Counting,
    /// Those who read the record.
    reading: Arc<Together<(), Result<WorldView, StoreError>>>,
    /// Those of one process that would be in each other's way take turns.
    pub(crate) cluster_turn: tokio::sync::Mutex<()>,
    pub(crate) acceptance_turn: tokio::sync::Mutex<()>,
    pub(crate) place_turn: tokio::sync::Mutex<()>,
    pub(crate) guard_turns: Vec<tokio::sync::Mutex<()>>,
}

impl OpenWorld {
    const GUARD_TURNS: usize = 512;

    pub(crate) fn new(base: Arc<Base>, incarnation: Incarnation) -> Arc<Self> {
        let id = world_id(incarnation);
        Arc::new(Self {
            sequence: Sequence::new(base.clients.clone(), id),
            base,
            incarnation,
            id,
            high_water: AtomicU64::new(0),
            counting: Counting::default(),
            reading: Together::new(),
            known: Mutex::default(),
            cluster_turn: tokio::sync::Mutex::default(),
            acceptance_turn: tokio::sync::Mutex::default(),
            place_turn: tokio::sync::Mutex::default(),
            guard_turns: (0..Self::GUARD_TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
        })
    }

    /// The handles of this world.
    pub(crate) fn ports(self: &Arc<Self>) -> WorldPorts {
        WorldPorts {
            incarnation: self.incarnation(),
            world: Arc::new(WorldClock(self.clone())),
            clusters: Arc::new(Clusters(self.clone())),
            machines: Arc::new(Machines(self.clone())),
            events: Arc::new(Events(self.clone())),
            answers: Arc::new(Answers(self.clone())),
            operations: Arc::new(Operations(self.clone())),
            faults: Arc::new(Faults(self.clone())),
        }
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// What leads every key.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.base.database().collection(name)
    }

    /// Reads in a transaction, so that all is as it was at one moment.
    pub(crate) async fn read_moment<W: Work<Refusal = StoreError>>(&self, work: W) -> Result<W::Output, StoreError> {
        self.base.check_open()?;
        timeout(PATIENCE, transact(&self.base.database(), &work)).await.map_err(|_| overdue())?
    }

    /// Writes in a transaction. See [`Base::write`].
    pub(crate) async fn write<W: Work + 'static>(&self, work: W) -> Result<W::Output, W::Refusal>
    where
        W::Output: 'static,
        W::Refusal: 'static,
    {
        self.base.write(work).await
    }

    /// Keeps what this server has shown of the clock, for whoever opens the world next.
    pub(crate) async fn rest(&self) -> Result<(), Error> {
        let shown = self.high_water.load(Ordering::Acquire);
        let raise = doc! { "$max": { "high_water": crate::document::millis(shown) } };
        records(&self.base.database()).update_one(doc! { "_id": self.id }, raise).await?;
        self.sequence.rest().await
    }

    /// The latest instant of what is committed.
    async fn committed(&self) -> Result<Instant, Stop<WorldCommitError>> {
        let reached = self.sequence.counter().await?.reached;
        Ok(reached.map_or(Ok(Instant::MIN), instant)?)
    }

    /// The record with its counter. Every request waits for these, so they are one command.
    async fn now(&self) -> Result<Option<Now>, Error> {
        let counter =
            doc! { "from": collections::SEQUENCES, "localField": "_id", "foreignField": "_id", "as": "counter" };
        let pipeline = [doc! { "$match": living(self.id) }, doc! { "$lookup": counter }];
        records(&self.base.database()).aggregate(pipeline).with_type::<Now>().await?.try_next().await
    }

    /// The world now.
    async fn view(&self) -> Result<WorldView, StoreError> {
        let Now { stored, counter } = self.base.ask(self.now()).await?.ok_or(StoreError::WorldGone)?;
        let counter = counter.into_iter().next().unwrap_or_default();
        let record = self.understood(&stored)?;
        let wall = self.base.wall.now();
        let now = record.clock.now(wall).max(stored.reached(&counter)?);
        Ok(WorldView { world: record, now: self.raise(now), wall })
    }

    /// The record, understood.
    fn understood(&self, stored: &Stored) -> Result<Arc<World>, StoreError> {
        let mut known = self.known.lock();
        if let Some((before, world)) = known.as_ref()
            && *before == stored.record
        {
            return Ok(world.clone());
        }
        let world = Arc::new(stored.world()?);
        *known = Some((stored.record.clone(), world.clone()));
        Ok(world)
    }

    /// Raises what was shown of the clock to `instant`; gives the later of both.
    fn raise(&self, instant: Instant) -> Instant {
        let before = self.high_water.fetch_max(instant.millis(), Ordering::AcqRel);
        // It only ever held the milliseconds of instants, or nothing.
        Instant::from_millis(before).map_or(instant, |before| before.max(instant))
    }
}

/// The record and the clock of one world.
struct WorldClock(Arc<OpenWorld>);

#[async_trait]
impl WorldStore for WorldClock {
    async fn read(&self) -> Result<WorldView, StoreError> {
        self.0.base.check_open()?;
        let world = self.0.clone();
        let answer = move |asked: Vec<()>| {
            let world = world.clone();
            async move { vec![world.view().await; asked.len()] }
        };
        let unended = || StoreError::Unavailable("a read did not end".into());
        self.0.reading.ask((), answer).await.unwrap_or_else(|| Err(unended()))
    }

    async fn commit(&self, commit: WorldCommit) -> Result<(), WorldCommitError> {
        if !commit.world.rules.faults.is_empty() {
            // What they match is counted from then on.
            counting::begin(&self.0).await?;
        }
        let (world, record) = (self.0.clone(), document_of(&commit.world)?);
        self.0.write(Recording { world, commit, record, write: ObjectId::new() }).await
    }
}

/// A write of the record of a world.
struct Recording {
    world: Arc<OpenWorld>,
    commit: WorldCommit,
    record: Document,
    /// What tells this write from every other one.
    write: ObjectId,
}

#[async_trait]
impl Work for Recording {
    type Output = ();
    type Refusal = WorldCommitError;

    async fn run(&self, session: &mut ClientSession) -> Result<(), Stop<WorldCommitError>> {
        let Self { world, commit, record, write } = self;
        if let Some(answer) = &commit.keep {
            if answers::is_kept(world, session, &answer.key).await? {
                return Err(Stop::Refused(WorldCommitError::KeyTaken));
            }
            answers::put(world, session, answer).await?;
        }
        if let Some(unseen) = commit.unseen
            && (world.raise(Instant::MIN) >= unseen || world.committed().await? >= unseen)
        {
            return Err(Stop::Refused(WorldCommitError::Conflict));
        }
        let mut before = living(world.id);
        before.insert("record.version", long(commit.expected)?);
        let after = doc! { "$set": { "record": record, "write": write } };
        let written = records(&world.base.database()).update_one(before, after).session(&mut *session).await?;
        if written.matched_count == 0 {
            return Err(Stop::Refused(WorldCommitError::Conflict));
        }
        if !commit.world.rules.faults.is_empty() {
            crate::worlds::mark(&world.base.database(), &commit.world, session).await?;
        }
        Ok(())
    }

    async fn took_effect(&self) -> Result<Option<()>, Error> {
        let written = doc! { "_id": self.world.id, "write": self.write };
        let records = self.world.collection::<Document>(collections::INCARNATIONS);
        Ok(records.find_one(written).await?.map(drop))
    }
}
