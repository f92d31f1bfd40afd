//! The whole application within the test, over a real port, with time that is moved by hand.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::{HttpServer, rt};
use cloudm_application::Cloud;
use cloudm_application::ports::{NewWorld, Store};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Catalogue, Incarnation, Preset, Rate, Seed, Span, WorldName};
use cloudm_http_actix::HttpApi;
use cloudm_persistence_embedded::{EmbeddedStore, Options};

use crate::client::Client;

/// When the world begins, in wall and virtual time: 2030-01-01.
const START: u64 = 1_893_456_000_000;

/// An application and its time.
pub(crate) struct Inside {
    pub(crate) client: Client,
    pub(crate) api: HttpApi,
    pub(crate) base: String,
    wall: Arc<ManualWall>,
    cloud: Arc<Cloud>,
    store: Arc<dyn Store>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// One in memory, whose world has this preset.
    pub(crate) fn new(preset: Preset) -> Self {
        let wall = Arc::new(ManualWall::new(START));
        let store = EmbeddedStore::memory(wall.clone(), Arc::new(CountingEntropy::default())).unwrap();
        Self::over(store, wall, preset)
    }

    /// One with its data in a directory.
    pub(crate) fn on(directory: &Path, preset: Preset) -> Self {
        let wall = Arc::new(ManualWall::new(START));
        let entropy = Arc::new(CountingEntropy::default());
        let store = EmbeddedStore::open(Options { path: directory.to_owned(), wall: wall.clone(), entropy }).unwrap();
        Self::over(store, wall, preset)
    }

    fn over(store: Arc<dyn Store>, wall: Arc<ManualWall>, preset: Preset) -> Self {
        let cloud = Arc::new(block_on(open(&*store, preset)));
        let api = HttpApi::new(cloud.clone(), store.clone(), Arc::new(CountingEntropy::default()));
        let (base, handle, thread) = serve(api.clone());
        Self { client: Client::new(&base), api, base, wall, cloud, store, handle, thread: Some(thread) }
    }

    /// Lets wall time, and so the world's, pass.
    pub(crate) fn pass(&self, span: &str) {
        self.wall.advance(span.parse::<Span>().unwrap().millis());
    }

    /// Runs the settler once.
    pub(crate) fn settle(&self) {
        assert!(block_on(self.cloud.settler.run_once()).unwrap());
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        block_on(self.handle.stop(false));
        let ended = self.thread.take().map(JoinHandle::join);
        block_on(self.store.close());
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

async fn open(store: &dyn Store, preset: Preset) -> Cloud {
    let new = NewWorld {
        name: WorldName::default_world(),
        incarnation: Incarnation::from_bytes([7; 12]),
        seed: Seed::new(42).unwrap(),
        start: None,
        rate: Rate::REAL,
        preset,
    };
    let ports = store.ensure_world(new).await.unwrap();
    Cloud::new(ports, Arc::new(Catalogue::default()), store.page_token_key().await.unwrap())
}

fn serve(api: HttpApi) -> (String, ServerHandle, JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        rt::System::new().block_on(async move {
            let server = HttpServer::new(move || api.app()).workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
            let base = format!("http://{}", server.addrs()[0]);
            let server = server.run();
            tell.send((base, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (base, handle) = told.recv().unwrap();
    (base, handle, thread)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
