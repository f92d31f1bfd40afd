//! The store: its directory, its worlds and their rest.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread::available_parallelism;
use std::time::Duration;

use async_trait::async_trait;
use cloudm_application::ports::{
    Entropy, ForkedWorld, FoundWorld, NewWorld, Parts, PartsToLoad, Store, StoreError, WallClock, World, WorldPorts,
    WorldsError,
};
use cloudm_domain::{Incarnation, WorldName};
use tokio::sync::OnceCell;

use crate::catalogue::Catalogue;
use crate::directory::Directory;
use crate::error::OpenError;
use crate::file::Durability;
use crate::pool::Pool;
use crate::world::Base;
use crate::worlds::Worlds;

/// What a store is opened with.
pub struct Options {
    /// Its directory; made where there is none.
    pub path: PathBuf,
    /// The host's time.
    pub wall: Arc<dyn WallClock>,
    /// Where its page token key comes from when it is first opened.
    pub entropy: Arc<dyn Entropy>,
}

/// The embedded store. See the [crate] for what it is and where its files are.
///
/// Dropped without [`Store::close`], it still writes what waits, and all that was acknowledged is kept; the next server
/// then has a log to read again first.
pub struct EmbeddedStore {
    base: Arc<Base>,
    worlds: Arc<Worlds>,
    page_token_key: [u8; 32],
    ended: OnceCell<()>,
    /// Dropped with the store, which ends the thread that lets worlds rest.
    _alive: mpsc::Sender<()>,
}

/// How often worlds are looked at that nobody uses. One that was not used from one look to the next is let rest.
const LOOK: Duration = Duration::from_secs(30);
/// Threads that write, for all worlds. They wait for the disk more than they work.
const WRITERS: usize = 4;

impl EmbeddedStore {
    /// Opens the store in a directory, which it then has for itself.
    ///
    /// # Errors
    /// When another server has the directory, when a newer one wrote it, when it is not a store, or when the host does not
    /// give access. Each says what to do.
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let directory = Directory::open(&options.path)?;
        Self::start(directory, Durability::Disk, options)
    }

    /// Opens a new store in a directory of its own, which ends with it. Nothing waits for the disk.
    ///
    /// # Errors
    /// When the host has no place for temporary files.
    pub fn memory(wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Result<Arc<Self>, OpenError> {
        let directory = Directory::temporary()?;
        let path = directory.path().to_owned();
        Self::start(directory, Durability::None, Options { path, wall, entropy })
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.base.directory.path()
    }

    fn start(directory: Directory, durability: Durability, options: Options) -> Result<Arc<Self>, OpenError> {
        let Options { wall, entropy, .. } = options;
        let catalogue = Catalogue::open(&directory, durability)?;
        let path = directory.catalogue();
        let page_token_key = catalogue.page_token_key(entropy.as_ref()).map_err(|error| error.at(&path))?;
        directory.sweep(&catalogue.incarnations().map_err(|error| error.at(&path))?)?;
        directory.sync()?;
        let threads = |name, count| Pool::start(name, count).map_err(|error| OpenError::io(&path, &error));
        let cores = available_parallelism().map_or(2, usize::from);
        let base = Arc::new(Base {
            durability,
            wall,
            writers: threads("store-write", WRITERS)?,
            movers: threads("store-move", 1)?,
            readers: threads("store-read", cores.clamp(2, 8))?,
            closed: AtomicBool::new(false),
            directory,
        });
        let worlds = Arc::new(Worlds::new(base.clone(), catalogue));
        let alive = watch(&worlds).map_err(|error| OpenError::io(&base.directory.catalogue(), &error))?;
        Ok(Arc::new(Self { base, worlds, page_token_key, ended: OnceCell::new(), _alive: alive }))
    }
}

/// Starts the thread that lets worlds rest.
fn watch(worlds: &Arc<Worlds>) -> std::io::Result<mpsc::Sender<()>> {
    let (alive, ended) = mpsc::channel();
    let worlds = Arc::downgrade(worlds);
    let look = move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
            let Some(worlds) = worlds.upgrade() else { return };
            worlds.rest_unused();
        }
    };
    std::thread::Builder::new().name("store-rest".into()).spawn(look)?;
    Ok(alive)
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn ensure_world(&self, new: NewWorld) -> Result<WorldPorts, StoreError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || worlds.ensure(&new)).await
    }

    async fn open_world(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError> {
        self.base.check_open()?;
        if let Some(world) = self.worlds.opened(name) {
            return Ok(Some(world.ports()));
        }
        let (worlds, name) = (self.worlds.clone(), name.clone());
        self.base.readers.run(move || worlds.open(&name)).await
    }

    async fn find_world(&self, name: &WorldName) -> Result<Option<FoundWorld>, StoreError> {
        self.base.check_open()?;
        if let Some(world) = self.worlds.opened(name) {
            let request_faults = world.has_request_faults();
            return Ok(Some(FoundWorld { incarnation: world.incarnation(), request_faults }));
        }
        let (worlds, name) = (self.worlds.clone(), name.clone());
        let found = self.base.readers.run(move || worlds.find(&name)).await?;
        // Of one that is not open it is not known.
        Ok(found.map(|incarnation| FoundWorld { incarnation, request_faults: true }))
    }

    async fn worlds(&self, after: Option<WorldName>, limit: usize) -> Result<Vec<WorldName>, StoreError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || worlds.names(after.as_ref(), limit)).await
    }

    async fn create_world(&self, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || Ok(worlds.create(new))).await?
    }

    async fn fork_world(&self, source: Incarnation, fork: ForkedWorld) -> Result<WorldPorts, WorldsError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || Ok(worlds.fork(source, fork))).await?
    }

    async fn replace_world(&self, old: Incarnation, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || Ok(worlds.replace(old, new))).await?
    }

    async fn delete_world(&self, name: &WorldName, old: Incarnation) -> Result<(), WorldsError> {
        let (worlds, name) = (self.worlds.clone(), name.clone());
        self.base.readers.run(move || Ok(worlds.delete(&name, old))).await?
    }

    async fn read_world(&self, incarnation: Incarnation, to: Parts) -> Result<(), WorldsError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || Ok(worlds.read(incarnation, &to))).await?
    }

    async fn load_world(
        &self,
        old: Option<Incarnation>,
        world: World,
        from: PartsToLoad,
    ) -> Result<WorldPorts, WorldsError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || Ok(worlds.load(old, &world, from))).await?
    }

    async fn page_token_key(&self) -> Result<[u8; 32], StoreError> {
        self.base.check_open()?;
        Ok(self.page_token_key)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let worlds = self.worlds.clone();
        self.base.readers.run(move || worlds.check()).await
    }

    async fn close(&self) {
        self.ended
            .get_or_init(|| async {
                let (worlds, base) = (self.worlds.clone(), self.base.clone());
                worlds.refuse();
                let (done, ended) = tokio::sync::oneshot::channel::<()>();
                // What is under way may take its time, and the caller's thread has other things to do.
                let end = move || {
                    worlds.end();
                    base.directory.release();
                    drop(done);
                };
                match std::thread::Builder::new().name("store-close".into()).spawn(end) {
                    Ok(_) => drop(ended.await),
                    Err(error) => tracing::error!(%error, "the store was not closed well"),
                }
            })
            .await;
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.worlds.refuse();
        self.base.writers.finish();
        self.base.movers.finish();
        self.base.readers.finish();
    }
}

#[cfg(test)]
mod tests {
    use cloudm_application::testing::{CountingEntropy, ManualWall};
    use cloudm_domain::{Instant, Preset, Rate, Rules, Seed, Span};

    use super::*;

    fn open(directory: &tempfile::TempDir, wall: u64) -> Arc<EmbeddedStore> {
        let path = directory.path().to_owned();
        let wall = Arc::new(ManualWall::new(wall));
        EmbeddedStore::open(Options { path, wall, entropy: Arc::new(CountingEntropy::default()) }).unwrap()
    }

    fn new_world() -> NewWorld {
        NewWorld {
            name: WorldName::default_world(),
            incarnation: Incarnation::from_bytes([1; 12]),
            seed: Seed::new(1).unwrap(),
            start: Some(Instant::DEFAULT_START),
            rate: Rate::REAL,
            preset: Preset::Instant,
            retention: Rules::DEFAULT_RETENTION,
            asked: None,
        }
    }

    #[tokio::test]
    async fn a_world_that_nobody_uses_lets_go_of_its_files_and_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory, 0);
        let ports = store.ensure_world(new_world()).await.unwrap();
        let log = directory.path().join("worlds").join(format!("{}.db-wal", new_world().incarnation));
        ports.answers.purge(0, 1).await.unwrap();
        let world = store.worlds.opened(&WorldName::default_world()).unwrap();
        assert!(world.was_used() && !world.was_used(), "from one look to the next, it was not");
        assert!(log.exists());
        world.rest();
        assert!(!log.exists());
        ports.answers.purge(0, 1).await.unwrap();
        assert_eq!(ports.answers.get("a", 0).await.unwrap(), None);
        assert!(log.exists() && world.was_used());
    }

    #[tokio::test]
    async fn what_a_clock_has_shown_is_kept_when_the_store_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory, 1_000);
        let ports = store.ensure_world(new_world()).await.unwrap();
        store.close().await;
        drop(ports);
        // An hour later.
        let store = open(&directory, 3_601_000);
        let hour = Instant::DEFAULT_START.plus(Span::from_secs(3_600));
        let ports = store.open_world(&WorldName::default_world()).await.unwrap().unwrap();
        assert_eq!(ports.world.read().await.unwrap().now, hour);
        store.close().await;
        // And then the host's clock is set back.
        let store = open(&directory, 1_000);
        let ports = store.open_world(&WorldName::default_world()).await.unwrap().unwrap();
        assert_eq!(ports.world.read().await.unwrap().now, hour);
    }
}
