//! Waking those who wait for a machine to change: one look at the history for all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cloudm_domain::MachineId;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::error::Error;
use crate::ports::{EventQuery, EventStore, WorldStore};

/// How often the clock is looked at: it may have been set to another rate through another server.
const LOOK: Duration = Duration::from_secs(1);

/// Events that are read at once.
const PAGE: usize = 1_000;

/// Wakes who waits for a machine of one world. The history is followed while anybody does.
pub(crate) struct Bell {
    world: Arc<dyn WorldStore>,
    events: Arc<dyn EventStore>,
    waiting: Mutex<HashMap<MachineId, Arc<Notify>>>,
    /// Whether the history is followed, from before what a waiter looks at now.
    follows: watch::Sender<bool>,
}

/// A wait for one machine. Dropped, it leaves nothing behind.
pub(crate) struct Waiting {
    bell: Arc<Bell>,
    machine: MachineId,
    pub(crate) changed: Arc<Notify>,
}

impl Bell {
    pub(crate) fn new(world: Arc<dyn WorldStore>, events: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self { world, events, waiting: Mutex::default(), follows: watch::Sender::new(false) })
    }

    /// Begins to wait: whatever happens to the machine from now on wakes.
    pub(crate) async fn wait_for(self: &Arc<Self>, machine: MachineId) -> Result<Waiting, Error> {
        let changed = {
            let mut waiting = self.waiting.lock();
            if waiting.is_empty() {
                self.follows.send_replace(false);
                let bell = self.clone();
                tokio::spawn(async move { bell.follow().await });
            }
            waiting.entry(machine).or_default().clone()
        };
        let waiting = Waiting { bell: self.clone(), machine, changed };
        let mut follows = self.follows.subscribe();
        let started = timeout(LOOK * 4, follows.wait_for(|follows| *follows)).await;
        match started {
            Ok(_) => Ok(waiting),
            Err(_) => Err(crate::ports::StoreError::Unavailable("the history is not followed".into()).into()),
        }
    }

    /// Follows the history until nobody waits. A failure is waited out: those who wait look for themselves.
    async fn follow(&self) {
        while !self.waiting.lock().is_empty() {
            if let Err(error) = self.follow_on().await {
                tracing::debug!(%error, "the history is not followed; it is tried again");
                self.wake_all();
                sleep(LOOK).await;
            }
        }
    }

    async fn follow_on(&self) -> Result<(), Error> {
        let mut after = self.events.position().await?;
        let mut version = self.world.read().await?.world.version;
        self.follows.send_replace(true);
        // What happened between is not in what is followed.
        self.wake_all();
        loop {
            if self.waiting.lock().is_empty() {
                return Ok(());
            }
            match timeout(LOOK, self.events.wait(&after)).await {
                Ok(waited) => waited?,
                Err(_) => {
                    let now = self.world.read().await?.world.version;
                    if std::mem::replace(&mut version, now) != now {
                        self.wake_all();
                    }
                    continue;
                }
            }
            let page = self
                .events
                .page(&EventQuery { machine: None, until: None, after: Some(after.clone()), limit: PAGE })
                .await?;
            {
                let waiting = self.waiting.lock();
                let happened = page.events.iter().filter_map(|one| waiting.get(&one.event.machine));
                happened.for_each(|changed| changed.notify_waiters());
            }
            after = page.events.into_iter().next_back().map_or(after, |last| last.position);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    fn wake_all(&self) {
        self.waiting.lock().values().for_each(|changed| changed.notify_waiters());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.bell.waiting.lock();
        // The map's and this one: nobody else waits for the machine.
        if Arc::strong_count(&self.changed) == 2 {
            waiting.remove(&self.machine);
        }
    }
}
