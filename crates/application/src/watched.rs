//! A clock whose readings are remembered, so that an answer can say the time without another look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cloudm_domain::Instant;

use crate::ports::{StoreError, WorldCommit, WorldCommitError, WorldStore, WorldView};

pub(crate) struct Watched {
    world: Arc<dyn WorldStore>,
    reads: AtomicU64,
    /// The latest instant that was read, in milliseconds.
    latest: AtomicU64,
}

impl Watched {
    pub(crate) fn new(world: Arc<dyn WorldStore>) -> Self {
        Self { world, reads: AtomicU64::new(0), latest: AtomicU64::new(0) }
    }

    /// How often it was read.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Acquire)
    }

    /// The latest instant that was read.
    pub(crate) fn latest(&self) -> Option<Instant> {
        Instant::from_millis(self.latest.load(Ordering::Acquire)).ok()
    }
}

#[async_trait]
impl WorldStore for Watched {
    async fn read(&self) -> Result<WorldView, StoreError> {
        let view = self.world.read().await?;
        self.latest.fetch_max(view.now.millis(), Ordering::AcqRel);
        self.reads.fetch_add(1, Ordering::AcqRel);
        Ok(view)
    }

    async fn commit(&self, commit: WorldCommit) -> Result<(), WorldCommitError> {
        self.world.commit(commit).await
    }
}
