//! Striped locks: commands on one resource queue in this process, so that a crowd does not burn its retries. All worlds share
//! them.

use cloudm_domain::IdBytes;
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 4096;

pub(crate) struct Stripes(Vec<Mutex<()>>);

impl Stripes {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    /// Waits for the turn of this id. Others that share its stripe wait too; the order is that of asking.
    pub(crate) async fn turn(&self, id: &IdBytes) -> MutexGuard<'_, ()> {
        // The bytes after the second are a hash already.
        let hash = usize::from(u16::from_be_bytes([id[10], id[11]]));
        self.0[hash % STRIPES].lock().await
    }
}
