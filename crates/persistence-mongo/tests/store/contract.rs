//! The contract suite, each scenario in a database of its own.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{Entropy, Store, WallClock};
use cloudm_persistence_contract::Fixture;
use cloudm_persistence_mongo::{MongoStore, Options, Time};

use crate::database::Database;

#[async_trait]
impl Fixture for Database {
    async fn open(&self, wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let options = Options { uri: self.uri.clone(), database: self.name.clone(), time: Time::Shared(wall), entropy };
        MongoStore::open(options).await.expect("a store")
    }
}

cloudm_persistence_contract::contract_suite!(Database::fresh());
