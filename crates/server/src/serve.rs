//! Puts the parts together, serves until asked to stop, and takes them apart in order.

use std::net::SocketAddr;
use std::path;

use actix_web::{App, HttpServer, rt};
use anyhow::{Context, Result, bail};

use crate::banner::{Banner, Data};
use crate::config::{Settings, Store, StoreKind};
use crate::print;
use crate::shutdown::StopSignals;

/// How long requests in flight may take to end, in seconds: with what comes after, the process ends within eight.
const DRAIN_SECONDS: u64 = 5;

/// Serves until SIGTERM or ctrl-c.
///
/// # Errors
/// When the store cannot be opened or the address cannot be listened on.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    rt::System::new().block_on(serve(settings))
}

async fn serve(settings: &Settings) -> Result<()> {
    let mut signals = StopSignals::listen().context("signals cannot be listened for")?;
    let data = data(&settings.store)?;
    let bind = settings.http.bind;
    let server = HttpServer::new(App::new)
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
        handle.stop(true).await;
    });
    announce(bound, data)?;
    server.await.context("the server failed")?;
    tracing::info!("stopped");
    Ok(())
}

/// Where the worlds will be.
fn data(store: &Store) -> Result<Data> {
    match store.kind {
        StoreKind::Embedded => {
            let path = path::absolute(&store.path).context("store.path has no absolute form")?;
            Ok(Data::Directory(path))
        }
        StoreKind::Memory => Ok(Data::Memory),
        StoreKind::Mongodb => {
            bail!("the mongodb store is not built into this version: store.kind can be embedded or memory")
        }
    }
}

fn announce(bound: SocketAddr, data: Data) -> Result<()> {
    tracing::info!(address = %bound, version = env!("CARGO_PKG_VERSION"), "ready");
    print(&Banner { bound, data }.to_string())
}
