//! Databases to test in.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use cloudm_testing_mongo::{drop_database, uri};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database that nobody else uses; it is dropped with this.
pub(crate) struct Database {
    /// Where it is.
    pub(crate) uri: String,
    /// Its name.
    pub(crate) name: String,
}

impl Database {
    /// A new one at `CLOUDM_TEST_MONGODB_URI`.
    pub(crate) fn fresh() -> Self {
        Self::at(uri().expect("a MongoDB"))
    }

    /// A new one there.
    pub(crate) fn at(uri: String) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self { uri, name: format!("cloudm-test-{}-{number}", process::id()) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop_database(&self.uri, &self.name);
    }
}
