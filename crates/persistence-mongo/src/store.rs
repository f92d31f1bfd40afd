//! The store: its connection, its worlds and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cloudm_application::ports::{Entropy, NewWorld, Store, StoreError, WallClock, World, WorldPorts};
use cloudm_domain::{Incarnation, WorldName};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::error::Error;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::DatabaseClock;
use crate::connect::connect;
use crate::document::{damaged, world_id};
use crate::error::{OpenError, is_duplicate};
use crate::feed::Feed;
use crate::queue::Queue;
use crate::world::{self, Base, OpenWorld};
use crate::{collections, migrations};

/// What a store is opened with.
pub struct Options {
    /// Where MongoDB is: a connection string, with credentials and TLS in it as MongoDB's documentation has them.
    pub uri: String,
    /// The database in it.
    pub database: String,
    /// Where wall time comes from.
    pub time: Time,
    /// Where the key of page tokens comes from when the store is first opened.
    pub entropy: Arc<dyn Entropy>,
}

/// Where wall time comes from. All servers of a store must agree on it.
pub enum Time {
    /// From the database's clock, which this clock of the host's carries on from one look to the next.
    Database(Arc<dyn WallClock>),
    /// From this clock, which whoever opens the store shares with all its servers.
    Shared(Arc<dyn WallClock>),
}

/// The MongoDB store. See the [crate] for what it is and how it works.
pub struct MongoStore {
    base: Arc<Base>,
    worlds: Mutex<BTreeMap<Incarnation, Arc<OpenWorld>>>,
    page_token_key: [u8; 32],
    clock: Option<JoinHandle<()>>,
    ended: OnceCell<()>,
}

const PAGE_TOKEN_KEY: &str = "page_token_key";

/// How long the store waits for writes that are under way when it is closed.
const LAST_WRITES: Duration = Duration::from_secs(2);

impl MongoStore {
    /// Connects to the database, brings it to this version's form where it is not, and opens the store in it.
    ///
    /// # Errors
    /// When the database is not there, is none that has transactions, does not let the user in or do what is needed, or
    /// was written by a newer version. Each says what to do, and none holds any part of the URI.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let Options { uri, database, time, entropy } = options;
        let database = connect(&uri, &database).await?;
        migrations::apply(&database, entropy.as_ref()).await?;
        let page_token_key = page_token_key(&database, entropy.as_ref()).await?;
        let (wall, clock) = wall(time, &database).await?;
        let base = Base { database, wall, queue: Queue::new(), feed: Feed::new(), closed: AtomicBool::new(false) };
        Ok(Arc::new(Self {
            base: Arc::new(base),
            worlds: Mutex::default(),
            page_token_key,
            clock,
            ended: OnceCell::new(),
        }))
    }

    /// The handles of an incarnation. All that are handed out share what they know, its clock above all.
    fn ports(&self, incarnation: Incarnation) -> WorldPorts {
        let mut worlds = self.worlds.lock();
        let world = worlds.entry(incarnation).or_insert_with(|| OpenWorld::new(self.base.clone(), incarnation));
        world.ports()
    }

    fn names(&self) -> Collection<Document> {
        self.base.database.collection(collections::WORLDS)
    }

    async fn incarnation(&self, name: &WorldName) -> Result<Option<Incarnation>, StoreError> {
        let names = self.names();
        let found = self.base.ask(async { names.find_one(doc! { "_id": name.as_str() }).await }).await?;
        let id = found.map(|world| world.get_object_id("incarnation")).transpose();
        let id: Option<ObjectId> = id.map_err(|why| damaged("the name of a world", why))?;
        Ok(id.map(|id| Incarnation::from_bytes(id.bytes())))
    }

    /// Lets a name point to a world that was just made, unless it points to one already.
    async fn name(&self, world: &World) -> Result<(), StoreError> {
        let names = self.names();
        let entry = doc! { "_id": world.name.as_str(), "incarnation": world_id(world.incarnation) };
        let named = async {
            match names.insert_one(entry).await {
                Err(error) if is_duplicate(&error) => world::discard(&self.base.database, world.incarnation).await,
                inserted => inserted.map(drop),
            }
        };
        self.base.ask(named).await
    }
}

/// The wall, and what follows it.
async fn wall(time: Time, database: &Database) -> Result<(Arc<dyn WallClock>, Option<JoinHandle<()>>), Error> {
    match time {
        Time::Shared(wall) => Ok((wall, None)),
        Time::Database(host) => {
            let clock = DatabaseClock::start(host, database).await?;
            let (followed, database) = (clock.clone(), database.clone());
            let follow = tokio::spawn(async move { followed.follow(&database).await });
            Ok((clock, Some(follow)))
        }
    }
}

/// The key of page tokens, made of `entropy` the first time.
async fn page_token_key(database: &Database, entropy: &dyn Entropy) -> Result<[u8; 32], OpenError> {
    let settings: Collection<Document> = database.collection(collections::SETTINGS);
    let made = Binary { subtype: BinarySubtype::Generic, bytes: [entropy.bytes(), entropy.bytes()].concat() };
    let ensure = || {
        let keep = doc! { "$setOnInsert": { "value": made.clone() } };
        let ensure = settings.find_one_and_update(doc! { "_id": PAGE_TOKEN_KEY }, keep);
        ensure.upsert(true).return_document(ReturnDocument::After)
    };
    let kept = match ensure().await {
        // Another server made it at the same moment.
        Err(error) if is_duplicate(&error) => ensure().await,
        kept => kept,
    }?;
    let kept = kept.and_then(|kept| kept.get_binary_generic("value").ok()?.as_slice().try_into().ok());
    kept.ok_or_else(|| OpenError::Failed("the key of page tokens in `settings` cannot be read".into()))
}

#[async_trait]
impl Store for MongoStore {
    async fn ensure_world(&self, new: NewWorld) -> Result<WorldPorts, StoreError> {
        if let Some(ports) = self.open_world(&new.name).await? {
            return Ok(ports);
        }
        let world = World::create(new, self.base.wall.now());
        match self.base.ask(world::create(&self.base.database, &world)).await {
            Ok(()) => self.name(&world).await?,
            Err(error) => return Err(error),
        }
        let opened = self.open_world(&world.name).await?;
        opened.ok_or_else(|| StoreError::Damaged("a world was lost".into()))
    }

    async fn open_world(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError> {
        Ok(self.incarnation(name).await?.map(|incarnation| self.ports(incarnation)))
    }

    async fn page_token_key(&self) -> Result<[u8; 32], StoreError> {
        self.base.check_open()?;
        Ok(self.page_token_key)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let names = self.names();
        self.base.ask(async { names.find_one(doc! { "_id": "" }).await.map(drop) }).await
    }

    async fn close(&self) {
        self.ended
            .get_or_init(|| async {
                self.base.closed.store(true, Ordering::Release);
                self.base.queue.close();
                if let Some(clock) = &self.clock {
                    clock.abort();
                }
                self.base.queue.drained(LAST_WRITES).await;
                let worlds = std::mem::take(&mut *self.worlds.lock());
                for world in worlds.values() {
                    if !matches!(timeout(LAST_WRITES, world.rest()).await, Ok(Ok(()))) {
                        tracing::warn!("what the clock of a world has shown was not kept");
                    }
                }
            })
            .await;
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        if let Some(clock) = &self.clock {
            clock.abort();
        }
    }
}
