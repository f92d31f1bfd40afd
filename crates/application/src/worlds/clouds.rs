//! The worlds that are in use.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cloudm_domain::{Incarnation, WorldName};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::background;
use crate::cloud::{Cloud, Common};
use crate::error::Error;
use crate::operations;
use crate::ports::Store;

/// How often worlds are looked at that nobody asks anything of. One that was not asked from one look to the next is let go.
const LOOK: Duration = Duration::from_secs(120);

/// The clouds of the worlds in use, each opened when it is first asked for.
pub(crate) struct Clouds {
    store: Arc<dyn Store>,
    common: Common,
    open: Mutex<HashMap<WorldName, Arc<Cloud>>>,
    opened: UnboundedSender<Arc<Cloud>>,
    to_run: tokio::sync::Mutex<UnboundedReceiver<Arc<Cloud>>>,
}

impl Clouds {
    pub(crate) fn new(store: Arc<dyn Store>, common: Common) -> Self {
        let (opened, to_run) = unbounded_channel();
        Self { store, common, open: Mutex::default(), opened, to_run: tokio::sync::Mutex::new(to_run) }
    }

    /// The cloud of the world that the name points to now.
    pub(crate) async fn open(&self, name: &WorldName) -> Result<Arc<Cloud>, Error> {
        Ok(self.open_for_request(name).await?.0)
    }

    /// The same, and whether the world may have faults on requests.
    pub(crate) async fn open_for_request(&self, name: &WorldName) -> Result<(Arc<Cloud>, bool), Error> {
        let Some(found) = self.store.find_world(name).await? else {
            self.open.lock().remove(name);
            return Err(Error::NoSuchWorld);
        };
        Ok((self.open_found(name, found.incarnation).await?, found.request_faults))
    }

    async fn open_found(&self, name: &WorldName, incarnation: Incarnation) -> Result<Arc<Cloud>, Error> {
        let known = self.open.lock().get(name).filter(|cloud| cloud.incarnation() == incarnation).cloned();
        if let Some(cloud) = known {
            cloud.use_it();
            return Ok(cloud);
        }
        let ports = self.store.open_world(name).await?.ok_or(Error::NoSuchWorld)?;
        let mut open = self.open.lock();
        // Another request may have been faster, and what all share is in one of them.
        if let Some(cloud) = open.get(name).filter(|cloud| cloud.incarnation() == ports.incarnation) {
            return Ok(cloud.clone());
        }
        let cloud = Arc::new(Cloud::new(ports, &self.common));
        open.insert(name.clone(), cloud.clone());
        // Whoever runs nothing in the background does not listen.
        let _ = self.opened.send(cloud.clone());
        Ok(cloud)
    }

    /// Runs what worlds in use do by themselves, and lets go of those that nobody uses.
    pub(crate) async fn run(&self) {
        let mut opened = self.to_run.lock().await;
        let mut running = FuturesUnordered::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(cloud) = opened.recv() => running.push(work(Arc::downgrade(&cloud))),
                Some(()) = running.next() => {}
                _ = look.tick() => self.let_go(),
            }
        }
    }

    fn let_go(&self) {
        let default = WorldName::default_world();
        // Someone has a hold on it who follows it or waits for something in it.
        let in_use = |cloud: &Arc<Cloud>| Arc::strong_count(cloud) > 1 || cloud.was_used();
        self.open.lock().retain(|name, cloud| in_use(cloud) || *name == default);
    }
}

/// All that a world in use does by itself.
async fn work(cloud: Weak<Cloud>) {
    tokio::join!(background::run(cloud.clone()), operations::run(cloud));
}
