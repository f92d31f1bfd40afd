//! The database's clock, which is every server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cloudm_application::ports::WallClock;
use cloudm_domain::WallMillis;
use mongodb::Database;
use mongodb::bson::doc;
use mongodb::error::Error;
use tokio::time::{sleep, timeout};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// The most that a look may take to be believed: the clock was read somewhere within it.
const BELIEVED: Duration = Duration::from_secs(1);

/// Wall time as the database has it: the host's clock and how far it is from that.
///
/// Hosts' clocks differ, and servers of one fleet must agree: the database is what they share. Between two looks the
/// host's clock carries it on; what remains between servers is half of what an answer of the database takes.
pub(crate) struct DatabaseClock {
    host: Arc<dyn WallClock>,
    /// The database's clock minus the host's, in milliseconds.
    ahead: AtomicI64,
}

impl DatabaseClock {
    /// Looks at the database's clock once.
    pub(crate) async fn start(host: Arc<dyn WallClock>, database: &Database) -> Result<Arc<Self>, Error> {
        let clock = Arc::new(Self { host, ahead: AtomicI64::new(0) });
        clock.look(database).await?;
        Ok(clock)
    }

    /// Goes on looking until it is dropped.
    pub(crate) async fn follow(&self, database: &Database) {
        loop {
            sleep(EVERY).await;
            match timeout(BELIEVED, self.look(database)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(error = crate::error::text(&error), "the database's clock is not seen");
                }
                Err(_) => tracing::debug!("the database's clock is seen too late"),
            }
        }
    }

    async fn look(&self, database: &Database) -> Result<(), Error> {
        let before = self.host.now();
        let hello = database.run_command(doc! { "hello": 1 }).await?;
        let after = self.host.now();
        if let Ok(there) = hello.get_datetime("localTime") {
            let here = before.midpoint(after);
            let here = i64::try_from(here).unwrap_or(i64::MAX);
            self.ahead.store(there.timestamp_millis().saturating_sub(here), Ordering::Release);
        }
        Ok(())
    }
}

impl WallClock for DatabaseClock {
    fn now(&self) -> WallMillis {
        self.host.now().saturating_add_signed(self.ahead.load(Ordering::Acquire))
    }
}
