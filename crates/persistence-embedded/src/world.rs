//! An open world: its record and clock, its readers and its writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use cloudm_application::ports::{StoreError, WallClock, World, WorldPorts, WorldStore, WorldView};
use cloudm_domain::{Incarnation, Instant};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

use crate::answers::Answers;
use crate::clusters::Clusters;
use crate::directory::Directory;
use crate::error::{DbError, closed};
use crate::events::Events;
use crate::file::{self, Durability};
use crate::machine_row::Columns;
use crate::machines::Machines;
use crate::pool::Pool;
use crate::readers::Readers;
use crate::sql;
use crate::writer::{Progress, Writer, millis};

/// What all worlds of a store share.
pub(crate) struct Base {
    pub(crate) directory: Directory,
    pub(crate) durability: Durability,
    pub(crate) wall: Arc<dyn WallClock>,
    /// Threads that write. Apart from those that read, so that a crowd of lists holds up no commit.
    pub(crate) writers: Pool,
    /// Threads that read what may take long.
    pub(crate) readers: Pool,
    pub(crate) closed: AtomicBool,
}

impl Base {
    /// Fails where the store is closed.
    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }
}

/// One incarnation of a world, with its file.
pub(crate) struct OpenWorld {
    base: Arc<Base>,
    record: Arc<World>,
    high_water: HighWater,
    readers: Readers,
    writer: Writer,
    used: AtomicBool,
    /// Told of each group of writes, and of the end.
    commits: watch::Sender<()>,
}

/// The latest instant that the world is known to have reached, in milliseconds.
struct HighWater(AtomicU64);

impl HighWater {
    /// Raises it to `instant`; gives the later of both.
    fn raise(&self, instant: Instant) -> Instant {
        let before = self.0.fetch_max(instant.millis(), Ordering::AcqRel);
        // It only ever held the milliseconds of instants.
        Instant::from_millis(before).map_or(instant, |before| before.max(instant))
    }
}

/// Writes the file of a new world.
pub(crate) fn create(path: &Path, world: &World, durability: Durability) -> Result<(), StoreError> {
    let db = file::create(path, file::WORLD, durability)?;
    let record = serde_json::to_string(world).map_err(|error| StoreError::Failed(error.to_string()))?;
    let fill = || {
        let write = db.unchecked_transaction()?;
        write.execute(sql::WORLD_SET, [record])?;
        write.execute(sql::HIGH_WATER_FIRST, [millis(world.clock.now(0))])?;
        write.commit()
    };
    fill().map_err(|error| DbError::from(error).into())
}

fn load(db: &Connection, path: &Path) -> Result<(World, Instant), DbError> {
    let record: Option<String> = db.query_row(sql::WORLD_GET, [], |row| row.get(0)).optional()?;
    let record = record.ok_or_else(|| DbError::damaged(&path.display().to_string(), "it has no world"))?;
    let world = serde_json::from_str(&record).map_err(|why| DbError::damaged("the record of a world", why))?;
    let high_water = db.query_row(sql::HIGH_WATER_GET, [], |row| Ok(Columns(row).instant(0)))??;
    Ok((world, high_water))
}

impl OpenWorld {
    /// Opens a world's file.
    pub(crate) fn open(base: Arc<Base>, incarnation: Incarnation) -> Result<Arc<Self>, StoreError> {
        let path = base.directory.world(incarnation);
        let (record, high_water) = {
            let db = file::open(&path, file::WORLD, base.durability)?;
            load(&db, &path)?
        };
        Ok(Arc::new(Self {
            record: Arc::new(record),
            high_water: HighWater(AtomicU64::new(high_water.millis())),
            readers: Readers::new(path.clone()),
            writer: Writer::new(path, base.durability, high_water),
            used: AtomicBool::new(true),
            commits: watch::Sender::new(()),
            base,
        }))
    }

    /// The handles of this world.
    pub(crate) fn ports(self: &Arc<Self>) -> WorldPorts {
        WorldPorts {
            world: Arc::new(WorldClock(self.clone())),
            clusters: Arc::new(Clusters(self.clone())),
            machines: Arc::new(Machines(self.clone())),
            events: Arc::new(Events(self.clone())),
            answers: Arc::new(Answers(self.clone())),
        }
    }

    pub(crate) fn base(&self) -> Arc<Base> {
        self.base.clone()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.record.incarnation
    }

    fn touch(&self) -> Result<(), StoreError> {
        self.base.check_open()?;
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads here and now, by one statement that finds a row or a few: that is over sooner than a thread is woken.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, StoreError> {
        self.touch()?;
        Ok(self.readers.read(read)?)
    }

    /// Reads on a thread that may be held up.
    pub(crate) async fn read_on_thread<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Readers) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.touch()?;
        let world = self.clone();
        self.base.readers.run(move || Ok(read(&world.readers)?)).await
    }

    /// Writes, together with whatever else waits to be written; the world has reached `instant` with it.
    pub(crate) async fn write<T, E, F>(self: &Arc<Self>, instant: Option<Instant>, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.touch()?;
        let (answer, to_hand) = self.writer.submit(instant, work).await?;
        if to_hand {
            self.hand_over();
        }
        let lost = || StoreError::Unavailable("a write did not end".into());
        answer.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Lets a thread write what waits; where more came meanwhile, other worlds have their turn first.
    fn hand_over(self: &Arc<Self>) {
        let world = self.clone();
        self.base.writers.push(move || {
            let reached = |instant| {
                world.high_water.raise(instant);
            };
            let progress = world.writer.write_group(reached);
            world.commits.send_replace(());
            if let Progress::More = progress {
                world.hand_over();
            }
        });
    }

    /// Whether it was used since this was asked last.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Closes its connections; they are opened again when they are needed.
    pub(crate) fn rest(&self) {
        self.readers.close();
        let latest = self.high_water.raise(Instant::MIN);
        if let Err(error) = self.writer.rest(latest) {
            tracing::warn!(%error, world = %self.record.name, "a world was not closed well");
        }
    }

    /// Takes no more writes, and lets nobody wait for one.
    pub(crate) fn close(&self) {
        self.writer.close();
        self.commits.send_replace(());
    }

    /// Is told of all writes from now on.
    pub(crate) fn commits(&self) -> watch::Receiver<()> {
        self.commits.subscribe()
    }
}

/// The record and the clock of one world.
struct WorldClock(Arc<OpenWorld>);

#[async_trait]
impl WorldStore for WorldClock {
    async fn read(&self) -> Result<WorldView, StoreError> {
        self.0.touch()?;
        let wall = self.0.base.wall.now();
        let now = self.0.high_water.raise(self.0.record.clock.now(wall));
        Ok(WorldView { world: self.0.record.clone(), now, wall })
    }
}
