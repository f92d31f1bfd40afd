//! The contract suite, on a directory and in memory.

#![expect(clippy::expect_used, reason = "without a store there is nothing to test")]

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{Entropy, Store, WallClock};
use cloudm_persistence_contract::Fixture;
use cloudm_persistence_embedded::{EmbeddedStore, Options};

struct Directory(tempfile::TempDir);

impl Directory {
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }
}

#[async_trait]
impl Fixture for Directory {
    async fn open(&self, wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        EmbeddedStore::open(Options { path: self.0.path().to_owned(), wall, entropy }).expect("a store")
    }
}

struct Memory;

#[async_trait]
impl Fixture for Memory {
    async fn open(&self, wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        EmbeddedStore::memory(wall, entropy).expect("a store")
    }
}

mod directory {
    use super::*;

    cloudm_persistence_contract::contract_suite!(Directory::fresh());
}

mod memory {
    use super::*;

    cloudm_persistence_contract::contract_suite!(Memory, keeps nothing);
}
