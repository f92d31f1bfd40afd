//! Databases for this crate's own tests.

use std::sync::atomic::{AtomicU32, Ordering};

use mongodb::Database;

use crate::clients::Clients;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database that nobody else uses, at `CLOUDM_TEST_MONGODB_URI`.
pub(crate) async fn fresh_database() -> Database {
    fresh_clients().await.here()
}

/// The way to one.
pub(crate) async fn fresh_clients() -> Clients {
    let uri = cloudm_testing_mongo::uri().expect("a MongoDB");
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let name = format!("cloudm-test-unit-{}-{number}", std::process::id());
    crate::connect::connect(&uri, &name).await.expect("a MongoDB to test against")
}
