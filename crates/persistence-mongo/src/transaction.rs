//! Transactions: tried again while that may help, and once in effect.
//!
//! A transaction that the database gives up for others', or loses with a member, did not happen and begins again. A commit
//! whose answer was lost is asked for again: the database answers the same for the same transaction. Both end with the
//! caller's patience.

use async_trait::async_trait;
use cloudm_application::ports::StoreError;
use mongodb::error::Error;
use mongodb::options::{ReadConcern, TransactionOptions, WriteConcern};
use mongodb::{ClientSession, Database};
use std::time::Duration;
use tokio::time::sleep;

use crate::error::{is_transient, is_unknown, store_error};

/// What is done in one transaction.
#[async_trait]
pub(crate) trait Work: Send + Sync {
    /// What it comes to.
    type Output: Send;
    /// Why it may be refused.
    type Refusal: From<StoreError> + Send;

    /// Reads, checks and writes. It may be called again from the beginning, after what it did was undone.
    async fn run(&self, session: &mut ClientSession) -> Result<Self::Output, Stop<Self::Refusal>>;
}

/// Why work ended early.
pub(crate) enum Stop<R> {
    /// A condition does not hold: what was done is undone, and this is the answer.
    Refused(R),
    /// The database failed.
    Failed(Error),
}

impl<R> From<Error> for Stop<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<R: From<StoreError>> From<StoreError> for Stop<R> {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// Runs work in a transaction until it is committed or refused. Whoever calls bounds the time.
pub(crate) async fn transact<W: Work>(database: &Database, work: &W) -> Result<W::Output, W::Refusal> {
    let fail = |error: Error| W::Refusal::from(store_error(&error));
    let mut session = database.client().start_session().await.map_err(fail)?;
    for attempt in 0_u32.. {
        session.start_transaction().with_options(options()).await.map_err(fail)?;
        let error = match work.run(&mut session).await {
            Ok(output) => match commit(&mut session).await {
                Ok(()) => return Ok(output),
                Err(error) => error,
            },
            Err(Stop::Refused(refusal)) => {
                abort(&mut session).await;
                return Err(refusal);
            }
            Err(Stop::Failed(error)) => {
                abort(&mut session).await;
                error
            }
        };
        if !is_transient(&error) {
            return Err(fail(error));
        }
        tracing::debug!(attempt, error = crate::error::text(&error), "a transaction begins again");
        sleep(pause(attempt)).await;
    }
    Err(StoreError::Unavailable("a transaction did not end".into()).into())
}

fn options() -> TransactionOptions {
    TransactionOptions::builder().read_concern(ReadConcern::snapshot()).write_concern(WriteConcern::majority()).build()
}

async fn commit(session: &mut ClientSession) -> Result<(), Error> {
    for attempt in 0_u32.. {
        match session.commit_transaction().await {
            Err(error) if is_unknown(&error) && !is_transient(&error) => {
                tracing::debug!(attempt, error = crate::error::text(&error), "a commit is asked for again");
                sleep(pause(attempt)).await;
            }
            ended => return ended,
        }
    }
    Ok(())
}

/// A transaction that cannot be ended ends by itself, on the database, when its time is over.
async fn abort(session: &mut ClientSession) {
    if let Err(error) = session.abort_transaction().await {
        tracing::debug!(error = crate::error::text(&error), "a transaction was not ended");
    }
}

/// Longer each time, so that those in conflict come apart.
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(1 << attempt.min(6))
}
