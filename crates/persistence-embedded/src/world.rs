//! An open world: its record and clock, its readers and its writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use cloudm_application::ports::{
    ForkedWorld, Parts, StoreError, WallClock, World, WorldCommit, WorldCommitError, WorldPorts, WorldStore, WorldView,
};
use cloudm_domain::{Cluster, Incarnation, Instant};
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

use crate::answers::{self, Answers};
use crate::clusters::Clusters;
use crate::columns::Columns;
use crate::directory::Directory;
use crate::error::{DbError, closed};
use crate::events::Events;
use crate::faults::Faults;
use crate::file::{self, Durability};
use crate::group::Group;
use crate::known::{self, Known};
use crate::leases::Leases;
use crate::machines::Machines;
use crate::operations::Operations;
use crate::pool::Pool;
use crate::readers::Readers;
use crate::writer::{Progress, Undo, Writer, millis};
use crate::{parts, sql};

/// What all worlds of a store share.
pub(crate) struct Base {
    pub(crate) directory: Directory,
    pub(crate) durability: Durability,
    pub(crate) wall: Arc<dyn WallClock>,
    /// Threads that write. Apart from those that read, so that a crowd of lists holds up no commit.
    pub(crate) writers: Pool,
    /// A thread that moves logs into files.
    pub(crate) movers: Pool,
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
    incarnation: Incarnation,
    record: RwLock<Arc<World>>,
    high_water: HighWater,
    known: Arc<Known>,
    readers: Readers,
    writer: Writer,
    leases: Leases,
    used: AtomicBool,
    /// Whether no name points to it any more.
    gone: AtomicBool,
    /// Told of each group of writes, and of the end.
    commits: watch::Sender<()>,
}

/// What stays behind in a fork.
const CLEARED: [&str; 5] =
    [sql::ANSWERS_CLEAR, sql::OPERATIONS_CLEAR, sql::RESULTS_CLEAR, sql::REFUSALS_CLEAR, sql::REQUESTS_CLEAR];

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
    let world = stored_record(db)?.ok_or_else(|| DbError::damaged(&path.display().to_string(), "it has no world"))?;
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
        let known: Arc<Known> = Arc::default();
        Ok(Arc::new(Self {
            incarnation,
            record: RwLock::new(Arc::new(record)),
            high_water: HighWater(AtomicU64::new(high_water.millis())),
            readers: Readers::new(path.clone()),
            writer: Writer::new(path, base.durability, (high_water, known.clone())),
            known,
            leases: Leases::default(),
            used: AtomicBool::new(true),
            gone: AtomicBool::new(false),
            commits: watch::Sender::new(()),
            base,
        }))
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

    pub(crate) fn base(&self) -> Arc<Base> {
        self.base.clone()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What is known of it without reading it.
    pub(crate) fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// Who works on its fleet operations.
    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    fn record(&self) -> Arc<World> {
        self.record.read().clone()
    }

    /// Whether there are faults on requests.
    pub(crate) fn has_request_faults(&self) -> bool {
        self.record.read().rules.faults.look_at_requests()
    }

    /// Takes a record that was written, unless a later one was taken already.
    fn take(&self, written: World) {
        let mut record = self.record.write();
        if written.version > record.version {
            *record = Arc::new(written);
        }
    }

    fn touch(&self) -> Result<(), StoreError> {
        self.base.check_open()?;
        if self.gone.load(Ordering::Acquire) {
            return Err(StoreError::WorldGone);
        }
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What an error is to whoever meets it: where the world has gone meanwhile, that.
    fn told(&self, error: StoreError) -> StoreError {
        if self.gone.load(Ordering::Acquire) { StoreError::WorldGone } else { error }
    }

    /// What `recall` knows without reading.
    pub(crate) fn recall<T>(&self, recall: impl FnOnce(&Known) -> Option<T>) -> Result<Option<T>, StoreError> {
        self.touch()?;
        Ok(recall(&self.known))
    }

    /// Reads here and now, by one statement that finds a row or a few: that is over sooner than a thread is woken.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, StoreError> {
        self.touch()?;
        self.readers.read(read).map_err(|error| self.told(error.into()))
    }

    /// Looks for a cluster among those that are known, or else reads it here and now.
    pub(crate) fn look(
        &self,
        look: impl FnOnce(&known::Clusters) -> Option<Arc<Cluster>>,
        read: impl FnOnce(&Connection) -> Result<Option<Arc<Cluster>>, DbError>,
    ) -> Result<Option<Arc<Cluster>>, StoreError> {
        self.touch()?;
        self.known.look_or_read(look, || self.read(read))
    }

    /// Reads on a thread that may be held up.
    pub(crate) async fn read_on_thread<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Readers) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.touch()?;
        let world = self.clone();
        self.base.readers.run(move || read(&world.readers).map_err(|error| world.told(error.into()))).await
    }

    /// Writes, together with whatever else waits to be written; the world has reached `instant` with it.
    pub(crate) async fn write<T, E, F>(self: &Arc<Self>, instant: Option<Instant>, undo: Undo, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Group<'_>) -> Result<T, E> + Send + 'static,
    {
        self.touch()?;
        let (answer, to_hand) = self.writer.submit(instant, undo, work).await.map_err(|error| self.told(error))?;
        if to_hand {
            self.hand_over();
        }
        let lost = || StoreError::Unavailable("a write did not end".into());
        answer.await.unwrap_or_else(|_| Err(self.told(lost()).into()))
    }

    /// Lets a thread write what waits; where more came meanwhile, other worlds have their turn first.
    fn hand_over(self: &Arc<Self>) {
        let world = self.clone();
        self.base.writers.push(move || {
            let reached = |instant| {
                world.high_water.raise(instant);
            };
            let progress = world.writer.write_group(reached);
            world.readers.written();
            world.commits.send_replace(());
            if world.writer.bound_log() {
                let moved = world.clone();
                world.base.movers.push(move || moved.writer.move_log());
            }
            if let Progress::More = progress {
                world.hand_over();
            }
        });
    }

    /// Whether it was used since this was asked last.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Closes its connections, and lets go of what it knows of its machines; they are opened again when they are needed.
    pub(crate) fn rest(&self) {
        self.readers.close();
        self.known.clear_machines();
        let latest = self.high_water.raise(Instant::MIN);
        if let Err(error) = self.writer.rest(latest) {
            tracing::warn!(%error, world = %self.record().name, "a world was not closed well");
        }
    }

    /// Takes no more writes, and lets nobody wait for one.
    pub(crate) fn close(&self) {
        self.writer.close();
        self.commits.send_replace(());
    }

    /// Lets nobody find anything in it any more, and removes its file once what is under way has ended.
    pub(crate) fn end(self: &Arc<Self>) {
        self.gone.store(true, Ordering::Release);
        self.close();
        self.remove_later();
    }

    fn remove_later(self: &Arc<Self>) {
        let world = self.clone();
        self.base.writers.push(move || {
            if world.writer.is_busy() {
                // Behind what it waits for.
                return world.remove_later();
            }
            world.rest();
            world.base.directory.remove(&world.base.directory.world(world.incarnation));
        });
    }

    /// Copies the world to a new file, as it is at one moment, and makes a fork of the copy.
    pub(crate) fn copy_to(&self, path: &Path, fork: ForkedWorld) -> Result<World, StoreError> {
        self.touch()?;
        let to = path.to_str().ok_or_else(|| StoreError::Failed("the path of the store is no text".into()))?;
        // What only reads writes no copy either.
        let source = file::open(&self.base.directory.world(self.incarnation), file::WORLD, self.base.durability)?;
        source.execute(sql::COPY, [to]).map_err(DbError::from)?;
        drop(source);
        // What it writes is brought to the disk with the rest of the file.
        let db = file::open(path, file::WORLD, Durability::None)?;
        let (record, high_water) = load(&db, path)?;
        let wall = self.base.wall.now();
        let world = record.forked(fork, record.clock.now(wall).max(high_water), wall);
        let text = serde_json::to_string(&world).map_err(|error| StoreError::Failed(error.to_string()))?;
        let fill = || {
            let write = db.unchecked_transaction()?;
            write.execute(sql::WORLD_SET, [text])?;
            write.execute(sql::HIGH_WATER_SET, [millis(world.clock.now(0))])?;
            for clear in CLEARED {
                write.execute(clear, [])?;
            }
            write.commit()?;
            db.close().map_err(|(_, error)| error)
        };
        fill().map_err(|error| StoreError::from(DbError::from(error)))?;
        Ok(world)
    }

    /// Gives all that the world holds to whoever takes it, as it is at one moment.
    pub(crate) fn read_parts(&self, to: &Parts) -> Result<(), StoreError> {
        self.touch()?;
        let now = |record: &World| self.high_water.raise(record.clock.now(self.base.wall.now()));
        Ok(self.readers.read_moment(|db| parts::read(db, now, to))?)
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
        let (world, wall) = (self.0.record(), self.0.base.wall.now());
        let now = self.0.high_water.raise(world.clock.now(wall));
        Ok(WorldView { world, now, wall })
    }

    async fn commit(&self, commit: WorldCommit) -> Result<(), WorldCommitError> {
        let (open, written) = (self.0.clone(), commit.world.clone());
        let shown = move || open.high_water.raise(Instant::MIN);
        let (reached, wall) = (commit.world.clock.now(0), self.0.base.wall.now());
        self.0.write(Some(reached), Undo::Savepoint, move |db| write_record(db, &commit, wall, shown)).await?;
        self.0.take(written);
        Ok(())
    }
}

fn write_record(
    db: &Connection,
    commit: &WorldCommit,
    wall: u64,
    shown: impl FnOnce() -> Instant,
) -> Result<(), WorldCommitError> {
    if let Some(answer) = &commit.keep {
        if answers::is_kept(db, &answer.key, wall)? {
            return Err(WorldCommitError::KeyTaken);
        }
        answers::put(db, answer)?;
    }
    let before = stored_record(db)?.ok_or_else(|| StoreError::Damaged("the file has no world".into()))?;
    if before.version != commit.expected || commit.unseen.is_some_and(|unseen| shown() >= unseen) {
        return Err(WorldCommitError::Conflict);
    }
    Ok(set(db, &commit.world)?)
}

/// Replaces the record.
pub(crate) fn set(db: &Connection, world: &World) -> Result<(), StoreError> {
    let record = serde_json::to_string(world).map_err(|error| StoreError::Failed(error.to_string()))?;
    db.prepare_cached(sql::WORLD_SET).and_then(|mut set| set.execute([record])).map_err(DbError::from)?;
    Ok(())
}

pub(crate) fn stored_record(db: &Connection) -> Result<Option<World>, DbError> {
    let record: Option<String> = db.prepare_cached(sql::WORLD_GET)?.query_row([], |row| row.get(0)).optional()?;
    let read = |record: String| serde_json::from_str(&record);
    record.map(read).transpose().map_err(|why| DbError::damaged("the record of a world", why))
}
