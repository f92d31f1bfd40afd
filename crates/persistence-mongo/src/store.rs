//! The store: its connection, its worlds and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cloudm_application::ports::{
    Entropy, ForkedWorld, FoundWorld, NewWorld, Parts, PartsToLoad, Store, StoreError, WallClock, World, WorldPorts,
    WorldsError,
};
use cloudm_domain::{Incarnation, WorldName};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::error::Error;
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::DatabaseClock;
use crate::connect::connect;
use crate::document::world_id;
use crate::error::{OpenError, upserted};
use crate::feed::Feed;
use crate::fork::Copying;
use crate::parts::{self, Reading};
use crate::queue::Queue;
use crate::world::{Base, OpenWorld, Stored};
use crate::worlds::{self, Naming};
use crate::{collections, migrations, sweep};

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
    worlds: Mutex<BTreeMap<WorldName, Arc<OpenWorld>>>,
    page_token_key: [u8; 32],
    /// What runs beside the calls.
    beside: Vec<JoinHandle<()>>,
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
        let clients = connect(&uri, &database).await?;
        let database = clients.here();
        migrations::apply(&database, entropy.as_ref()).await?;
        let page_token_key = page_token_key(&database, entropy.as_ref()).await?;
        let (wall, clock) = wall(time, &database).await?;
        let base = Arc::new(Base {
            clients: Arc::new(clients),
            wall,
            queue: Queue::new(),
            naming: tokio::sync::Mutex::default(),
            feed: Feed::new(),
            sweeps: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let swept = base.clone();
        let sweeper = tokio::spawn(async move { sweep::run(&swept).await });
        Ok(Arc::new(Self {
            base,
            worlds: Mutex::default(),
            page_token_key,
            beside: clock.into_iter().chain([sweeper]).collect(),
            ended: OnceCell::new(),
        }))
    }

    /// The handles of what a name points to now. All that are handed out share what they know, its clock above all.
    fn ports(&self, name: &WorldName, incarnation: Incarnation) -> WorldPorts {
        let mut worlds = self.worlds.lock();
        let known = worlds.get(name).filter(|world| world.incarnation() == incarnation).cloned();
        let world = known.unwrap_or_else(|| {
            let world = OpenWorld::new(self.base.clone(), incarnation);
            worlds.insert(name.clone(), world.clone());
            world
        });
        world.ports()
    }

    /// Makes a world that a name has to point to, and opens it.
    async fn name(&self, world: &World, old: Option<Incarnation>, stored: Stored) -> Result<WorldPorts, WorldsError> {
        let _turn = self.base.naming.lock().await;
        self.base.write(Naming::new(&self.base, &world.name, old, Some(stored))).await?;
        Ok(self.ports(&world.name, world.incarnation))
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
    let by_name = || doc! { "_id": PAGE_TOKEN_KEY };
    upserted(|| {
        let keep = doc! { "$setOnInsert": { "value": made.clone() } };
        settings.update_one(by_name(), keep).upsert(true)
    })
    .await?;
    let kept = settings.find_one(by_name()).await?;
    let kept = kept.and_then(|kept| kept.get_binary_generic("value").ok()?.as_slice().try_into().ok());
    kept.ok_or_else(|| OpenError::Failed("the key of page tokens in `settings` cannot be read".into()))
}

#[async_trait]
impl Store for MongoStore {
    async fn ensure_world(&self, new: NewWorld) -> Result<WorldPorts, StoreError> {
        loop {
            if let Some(ports) = self.open_world(&new.name).await? {
                return Ok(ports);
            }
            match self.create_world(new.clone()).await {
                // Another one made it meanwhile.
                Err(WorldsError::NameTaken) => {}
                Err(WorldsError::Store(error)) => return Err(error),
                Err(error) => return Err(StoreError::Failed(error.to_string())),
                Ok(ports) => return Ok(ports),
            }
        }
    }

    async fn open_world(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError> {
        Ok(self.find_world(name).await?.map(|found| self.ports(name, found.incarnation)))
    }

    async fn find_world(&self, name: &WorldName) -> Result<Option<FoundWorld>, StoreError> {
        let found = worlds::find(&self.base, name).await?;
        if found.is_none() {
            self.worlds.lock().remove(name);
        }
        Ok(found)
    }

    async fn worlds(&self, after: Option<WorldName>, limit: usize) -> Result<Vec<WorldName>, StoreError> {
        worlds::names(&self.base, after.as_ref(), limit).await
    }

    async fn create_world(&self, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        let world = World::create(new, self.base.wall.now());
        self.name(&world, None, Stored::of(&world)?).await
    }

    async fn fork_world(&self, source: Incarnation, fork: ForkedWorld) -> Result<WorldPorts, WorldsError> {
        if worlds::find(&self.base, &fork.name).await?.is_some() {
            return Err(WorldsError::NameTaken);
        }
        let copied = Copying::new(&self.base, source, fork).run().await;
        let (world, stored) = copied?.ok_or(WorldsError::Conflict)?;
        self.name(&world, None, stored).await
    }

    async fn replace_world(&self, old: Incarnation, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        let world = World::create(new, self.base.wall.now());
        let ports = self.name(&world, Some(old), Stored::of(&world)?).await?;
        sweep::soon(&self.base, world_id(old));
        Ok(ports)
    }

    async fn delete_world(&self, name: &WorldName, old: Incarnation) -> Result<(), WorldsError> {
        let _turn = self.base.naming.lock().await;
        self.base.write(Naming::new(&self.base, name, Some(old), None)).await?;
        self.worlds.lock().remove(name);
        sweep::soon(&self.base, world_id(old));
        Ok(())
    }

    async fn read_world(&self, incarnation: Incarnation, to: Parts) -> Result<(), WorldsError> {
        self.base.check_open()?;
        let was_there = Reading::new(&self.base, incarnation, to).run().await?;
        if was_there { Ok(()) } else { Err(WorldsError::Conflict) }
    }

    async fn load_world(
        &self,
        old: Option<Incarnation>,
        world: World,
        from: PartsToLoad,
    ) -> Result<WorldPorts, WorldsError> {
        if worlds::find(&self.base, &world.name).await?.map(|found| found.incarnation) != old {
            return Err(if old.is_some() { WorldsError::Conflict } else { WorldsError::NameTaken });
        }
        let stored = parts::load(&self.base, &world, from).await?;
        let named = self.name(&world, old, stored).await;
        let ports = named.inspect_err(|_| sweep::soon(&self.base, world_id(world.incarnation)))?;
        if let Some(old) = old {
            sweep::soon(&self.base, world_id(old));
        }
        Ok(ports)
    }

    async fn page_token_key(&self) -> Result<[u8; 32], StoreError> {
        self.base.check_open()?;
        Ok(self.page_token_key)
    }

    async fn check(&self) -> Result<(), StoreError> {
        worlds::find(&self.base, &WorldName::default_world()).await.map(drop)
    }

    async fn close(&self) {
        self.ended
            .get_or_init(|| async {
                self.base.closed.store(true, Ordering::Release);
                self.base.queue.close();
                self.beside.iter().for_each(JoinHandle::abort);
                self.base.queue.drained(LAST_WRITES).await;
                sweep::ended(&self.base, LAST_WRITES).await;
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
        self.beside.iter().for_each(JoinHandle::abort);
    }
}
