//! Transactions: tried again while that may help, and once in effect.
//!
//! A transaction that the database gives up for others', or loses with a member, did not happen and begins again. A commit
//! whose answer was lost is asked for again by the driver, and the database answers the same for the same transaction. Where
//! that does not help, the work itself finds out whether it took effect. All of it ends with the caller's patience.

use async_trait::async_trait;
use cloudm_application::ports::StoreError;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::{ReadConcern, TransactionOptions, WriteConcern};
use mongodb::{ClientSession, Database};
use std::time::Duration;
use tokio::time::sleep;

use crate::collections;
use crate::error::{is_answer, is_transient, is_unknown, passes, store_error};

/// What is done in one transaction.
#[async_trait]
pub(crate) trait Work: Send + Sync {
    /// What it comes to.
    type Output: Send;
    /// Why it may be refused.
    type Refusal: From<StoreError> + Send;

    /// Reads, checks and writes. It may be called again from the beginning, after what it did was undone.
    async fn run(&self, session: &mut ClientSession) -> Result<Self::Output, Stop<Self::Refusal>>;

    /// What it came to, where its last attempt was committed although the answer to that was an error. Where it was not, it
    /// MUST be certain that it never will be.
    async fn took_effect(&self) -> Result<Option<Self::Output>, Error> {
        Ok(None)
    }

    /// Told in the end: whether it was committed, as far as is known.
    fn end(&self, _committed: bool) {}
}

/// Why work ended early.
pub(crate) enum Stop<R> {
    /// A condition does not hold: what was done is undone, and this is the answer.
    Refused(R),
    /// The database failed.
    Failed(Error),
    /// The database failed at the commit, and what was done is not in effect and never will be.
    Undone(Error),
    /// What was taken for granted does not hold: it begins again.
    Again,
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
    let mut attempt = 0;
    loop {
        let error = match try_once(database, &mut session, work).await {
            Ok(output) => return Ok(output),
            Err(Stop::Refused(refusal)) => return Err(refusal),
            // A commit of which nothing was known did not happen, once it is here.
            Err(Stop::Failed(error)) if is_transient(&error) || is_unknown(&error) => error,
            Err(Stop::Undone(error)) if passes(&error) => error,
            Err(Stop::Failed(error) | Stop::Undone(error)) => return Err(fail(error)),
            Err(Stop::Again) => continue,
        };
        tracing::debug!(attempt, error = crate::error::text(&error), "a transaction begins again");
        sleep(pause(attempt)).await;
        attempt += 1;
    }
}

async fn try_once<W: Work>(
    database: &Database,
    session: &mut ClientSession,
    work: &W,
) -> Result<W::Output, Stop<W::Refusal>> {
    session.start_transaction().with_options(options()).await?;
    let output = match work.run(session).await {
        Ok(output) => output,
        Err(stop) => {
            abort(session).await;
            return Err(stop);
        }
    };
    match session.commit_transaction().await {
        Ok(()) => Ok(output),
        // It may have happened, also where the error says otherwise: the driver asked for it twice, and that is the second
        // answer.
        Err(error) => {
            if is_answer(&error) {
                end_open(database, session).await;
            }
            work.took_effect().await?.ok_or(Stop::Undone(error))
        }
    }
}

/// Ends the transaction of a commit that was answered with an error, which may be open still, with all that it locked. The driver takes
/// it for ended; the database ends it where another one begins in its session.
async fn end_open(database: &Database, session: &mut ClientSession) {
    let another = async {
        session.start_transaction().await?;
        let records = database.collection::<Document>(collections::INCARNATIONS);
        records.find_one(doc! { "_id": 0 }).session(&mut *session).await.map(drop)
    };
    if let Err(error) = another.await {
        tracing::debug!(error = crate::error::text(&error), "a transaction is left to end by itself");
    }
    abort(session).await;
}

fn options() -> TransactionOptions {
    TransactionOptions::builder().read_concern(ReadConcern::snapshot()).write_concern(WriteConcern::majority()).build()
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
