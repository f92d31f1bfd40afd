//! Puts the parts together, serves until asked to stop, and takes them apart in order.

use std::net::SocketAddr;
use std::path;
use std::sync::Arc;

use actix_web::{HttpServer, rt};
use anyhow::{Context, Result};
use cloudm_application::Worlds;
use cloudm_application::ports::{Entropy, NewWorld, Store, World};
use cloudm_domain::{Incarnation, Rate, Rules, Seed, WorldName};
use cloudm_http_actix::HttpApi;
use cloudm_persistence_embedded::{EmbeddedStore, Options};
use cloudm_persistence_mongo::{self as persistence_mongo, MongoStore, Time};
use tokio::runtime::{Builder, Handle};

use crate::banner::{Banner, Data};
use crate::config::{self, Settings, Simulation, StoreKind};
use crate::host::{HostClock, HostEntropy};
use crate::print;
use crate::shutdown::StopSignals;

/// How long requests in flight may take to end, in seconds: with what comes after, the process ends within eight.
const DRAIN_SECONDS: u64 = 5;

/// Serves until SIGTERM or ctrl-c.
///
/// # Errors
/// When the store cannot be opened or the address cannot be listened on.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    // Threads for what no request waits for. It decides and writes many machines at once, which must not hold up the thread
    // that the store is opened on: a driver gives out its connections there. Two, for what is read for a request and for this
    // may be one reading, which goes on while the other thread decides.
    let aside = Builder::new_multi_thread().worker_threads(2).thread_name("background").enable_all().build();
    let aside = aside.context("a thread cannot be started")?;
    rt::System::new().block_on(serve(settings, aside.handle()))
}

async fn serve(settings: &Settings, aside: &Handle) -> Result<()> {
    let mut signals = StopSignals::listen().context("signals cannot be listened for")?;
    let entropy = Arc::new(HostEntropy::new()?);
    let opening = open(&settings.store, entropy.clone());
    let (store, data) = tokio::select! {
        opened = opening => opened?,
        // A database may be waited for.
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the store was open");
            return Ok(());
        }
    };
    let worlds = Arc::new(worlds(&store, settings, entropy.clone()).await?);
    let api = HttpApi::new(worlds.clone(), store.clone(), entropy);

    let bind = settings.http.bind;
    let (app, watched) = (api.clone(), api.clone());
    let server = HttpServer::new(move || app.app())
        .on_connect(api.on_connect())
        .workers(settings.http.workers.get())
        .disable_signals()
        .shutdown_timeout(DRAIN_SECONDS)
        .bind(bind)
        .with_context(|| format!("{bind} cannot be listened on (http.bind, CLOUDM__HTTP__BIND)"))?;
    let bound = server.addrs().first().copied().unwrap_or(bind);
    let server = server.run();
    let handle = server.handle();
    rt::spawn(async move {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping: requests in flight end first");
        api.drain();
        handle.stop(true).await;
    });
    let background = aside.spawn(async move { tokio::join!(worlds.run(), watched.watch_connections()) });
    announce(bound, data)?;
    server.await.context("the server failed")?;
    background.abort();
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Opens the configured store; says where its worlds are.
async fn open(store: &config::Store, entropy: Arc<dyn Entropy>) -> Result<(Arc<dyn Store>, Data)> {
    let wall = Arc::new(HostClock);
    match store.kind {
        StoreKind::Embedded => {
            let path = path::absolute(&store.path).context("store.path has no absolute form")?;
            let opened = EmbeddedStore::open(Options { path: path.clone(), wall, entropy })?;
            Ok((opened, Data::Directory(path)))
        }
        StoreKind::Memory => Ok((EmbeddedStore::memory(wall, entropy)?, Data::Memory)),
        StoreKind::Mongodb => {
            let uri = store.uri.as_ref().context("store.uri is missing")?.reveal().to_owned();
            let database = store.database.clone();
            let options = persistence_mongo::Options { uri, database, time: Time::Database(wall), entropy };
            let opened = MongoStore::open(options).await?;
            Ok((opened, Data::Database(store.database.clone())))
        }
    }
}

/// The worlds of the store, of which `default` is made where it is not there yet.
async fn worlds(store: &Arc<dyn Store>, settings: &Settings, entropy: Arc<dyn Entropy>) -> Result<Worlds> {
    let (new, catalogue) = (new_world(&settings.simulation, &*entropy), Arc::new(settings.catalogue.clone()));
    let worlds = Worlds::open(store.clone(), entropy, catalogue, new).await?;
    let default = worlds.cloud(&WorldName::default_world()).await?;
    tell_what_stays(&default.view().await?.world, &settings.simulation);
    Ok(worlds)
}

fn new_world(simulation: &Simulation, entropy: &dyn Entropy) -> NewWorld {
    let random = |length| entropy.bytes().into_iter().take(length);
    let mut incarnation = [0; 12];
    incarnation.iter_mut().zip(random(12)).for_each(|(byte, random)| *byte = random);
    let bits = random(8).fold(0, |bits, byte| bits << 8 | u64::from(byte));
    NewWorld {
        name: WorldName::default_world(),
        incarnation: Incarnation::from_bytes(incarnation),
        seed: simulation.seed.unwrap_or_else(|| Seed::from_random(bits)),
        start: None,
        rate: Rate::REAL,
        preset: simulation.preset,
        retention: Rules::DEFAULT_RETENTION,
        asked: None,
    }
}

/// A world that was made before keeps its seed and preset; whoever configured others is told.
fn tell_what_stays(world: &World, simulation: &Simulation) {
    let (seed, preset) = (world.seed.number(), world.preset.name());
    tracing::info!(seed, preset, "the world default");
    if simulation.seed.is_some_and(|seed| seed != world.seed) || simulation.preset != world.preset {
        tracing::warn!(seed, preset, "the world default was made before and keeps its seed and preset");
    }
}

fn announce(bound: SocketAddr, data: Data) -> Result<()> {
    tracing::info!(address = %bound, version = env!("CARGO_PKG_VERSION"), "ready");
    print(&Banner { bound, data }.to_string())
}
