//! The queue of writes: so many are under way at once, and the others wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloudm_application::ports::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{closed, overdue};

/// Writes that are under way at once. Fewer than there are connections, so that reads find one.
const AT_ONCE: usize = 48;

/// How long one waits while nothing gets on. As long as things do, a crowd waits its turn.
const STANDSTILL: Duration = Duration::from_secs(4);

pub(crate) struct Queue {
    places: Semaphore,
    /// How many the database answered.
    answered: AtomicU64,
}

/// A place among those that are under way.
pub(crate) struct Turn<'q> {
    queue: &'q Queue,
    _place: SemaphorePermit<'q>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self { places: Semaphore::new(AT_ONCE), answered: AtomicU64::new(0) }
    }

    /// Waits for a place, unless nothing gets on.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, StoreError> {
        loop {
            let before = self.answered.load(Ordering::Relaxed);
            match timeout(STANDSTILL, self.places.acquire()).await {
                Ok(Ok(place)) => return Ok(Turn { queue: self, _place: place }),
                Ok(Err(_)) => return Err(closed()),
                Err(_) if self.answered.load(Ordering::Relaxed) == before => return Err(overdue()),
                Err(_) => {}
            }
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.places.close();
    }

    /// Waits for those that are under way.
    pub(crate) async fn drained(&self, patience: Duration) {
        let all_free = async {
            while self.places.available_permits() < AT_ONCE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(patience, all_free).await.is_err() {
            tracing::warn!("the store was closed while writes were under way");
        }
    }
}

impl Turn<'_> {
    /// Gives the place to the next; says whether the database answered.
    pub(crate) fn end(self, answered: bool) {
        if answered {
            self.queue.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
