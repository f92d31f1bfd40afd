//! Databases to test in.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process, thread};

use mongodb::Client;

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
        let uri = env::var("CLOUDM_TEST_MONGODB_URI").expect("run the tests with `cargo xtask test`");
        Self::at(uri)
    }

    /// A new one there.
    pub(crate) fn at(uri: String) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self { uri, name: format!("cloudm-test-{}-{number}", process::id()) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (uri, name) = (self.uri.clone(), self.name.clone());
        // The test's own runtime cannot be waited for here.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if let Ok(client) = Client::with_uri_str(&uri).await {
                    // Where the server was stopped by the test, there is nothing to drop.
                    let _ = client.database(&name).drop().await;
                }
            });
        });
        let _ = dropping.join();
    }
}
