//! One effect for each idempotency key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::error::Error;
use crate::ports::{AnswerStore, CommitError, KeptAnswer, StoreError, WorldStore};
use crate::writing::{Idempotency, Reply, Writing};

/// How long a repeated request waits for the first one before it is told that that is under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an attempt at a write stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Its key was used meanwhile, by a request through another server.
    KeyTaken,
    /// It was not carried out.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The kept answers, and the keys of the requests under way in this process.
pub(crate) struct Answers {
    world: Arc<dyn WorldStore>,
    store: Arc<dyn AnswerStore>,
    under_way: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
}

impl Answers {
    pub(crate) fn new(world: Arc<dyn WorldStore>, store: Arc<dyn AnswerStore>) -> Self {
        Self { world, store, under_way: Mutex::default() }
    }

    /// Carries out `attempt` unless an answer is kept for this request.
    ///
    /// Those who repeat a request that is under way wait for its answer, for a while. That saves the store a race; that
    /// the effect is one is the commit's doing.
    pub(crate) async fn once<T>(
        &self,
        writing: &Writing<T>,
        attempt: BoxFuture<'_, Result<T, Stop>>,
    ) -> Result<Reply<T>, Error> {
        let key = match &writing.key {
            Some(key) if !writing.dry_run => key,
            _ => return attempt.await.map(Reply::Fresh).map_err(|stop| stop.into_error()),
        };
        let _turn = self.turn(&key.key).await?;
        if let Some(answer) = self.kept(key).await? {
            return Ok(Reply::Kept(answer));
        }
        match attempt.await {
            Ok(answer) => Ok(Reply::Fresh(answer)),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::KeyTaken) => self.kept(key).await?.map(Reply::Kept).ok_or(Error::IdempotencyInFlight),
        }
    }

    /// Keeps an answer that has no effect to be committed with.
    pub(crate) async fn keep(&self, answer: Option<KeptAnswer>) -> Result<(), Stop> {
        let Some(answer) = answer else { return Ok(()) };
        let wall = self.world.read().await?.wall;
        if self.store.keep(answer, wall).await? { Ok(()) } else { Err(Stop::KeyTaken) }
    }

    async fn kept<T>(&self, idempotency: &Idempotency<T>) -> Result<Option<Vec<u8>>, Error> {
        let wall = self.world.read().await?.wall;
        match self.store.get(&idempotency.key, wall).await? {
            None => Ok(None),
            Some(kept) if kept.fingerprint == idempotency.fingerprint => Ok(Some(kept.answer)),
            Some(_) => Err(Error::IdempotencyMismatch),
        }
    }

    async fn turn(&self, key: &str) -> Result<Turn<'_>, Error> {
        let mutex = self.under_way.lock().entry(key.to_owned()).or_default().clone();
        // Made before the wait, so that a client that goes away while waiting leaves nothing behind.
        let mut turn = Turn { answers: self, key: key.to_owned(), mutex: mutex.clone(), held: None };
        let held = tokio::time::timeout(PATIENCE, mutex.lock_owned()).await;
        turn.held = Some(held.map_err(|_| Error::IdempotencyInFlight)?);
        Ok(turn)
    }
}

/// The right to carry out the request with a key, as long as it lives.
struct Turn<'a> {
    answers: &'a Answers,
    key: String,
    mutex: Arc<AsyncMutex<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut under_way = self.answers.under_way.lock();
        // The map's and this one: nobody else waits for the key.
        if Arc::strong_count(&self.mutex) == 2 {
            under_way.remove(&self.key);
        }
    }
}

impl Stop {
    /// The error that a request without a key stopped with: only one with a key can find it taken.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Error(error) => error,
            Self::KeyTaken => Error::Store(StoreError::Damaged("a key was taken that was not given".into())),
        }
    }
}

impl Stop {
    /// What a failed commit means where trying again does not help.
    pub(crate) fn from_commit(error: CommitError) -> Self {
        match error {
            CommitError::KeyTaken => Self::KeyTaken,
            CommitError::Store(error) => error.into(),
            CommitError::NameTaken => Error::NameTaken.into(),
            CommitError::Conflict
            | CommitError::IdUsed
            | CommitError::NoCluster
            | CommitError::NoPlace
            | CommitError::Miscounted => Error::Contention.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockAnswerStore, MockWorldStore};

    fn answers(store: MockAnswerStore) -> Answers {
        Answers::new(Arc::new(fixtures::world()), Arc::new(store))
    }

    fn writing() -> Writing<u8> {
        let key = Idempotency { key: "k".into(), fingerprint: [1; 32], encode: Arc::new(|n| vec![*n]) };
        Writing { key: Some(key), ..Writing::default() }
    }

    fn kept(fingerprint: u8) -> Option<KeptAnswer> {
        Some(KeptAnswer { key: "k".into(), fingerprint: [fingerprint; 32], answer: vec![7], expires_at: u64::MAX })
    }

    #[tokio::test]
    async fn a_kept_answer_is_given_again_without_an_attempt() {
        let mut store = MockAnswerStore::new();
        store.expect_get().returning(|_, _| Ok(kept(1)));
        let reply = answers(store).once(&writing(), Box::pin(async { panic!("carried out again") })).await;
        assert_eq!(reply.unwrap(), Reply::Kept(vec![7]));
    }

    #[tokio::test]
    async fn another_request_with_the_key_is_refused() {
        let mut store = MockAnswerStore::new();
        store.expect_get().returning(|_, _| Ok(kept(2)));
        let reply = answers(store).once(&writing(), Box::pin(async { Ok(1) })).await;
        assert!(matches!(reply, Err(Error::IdempotencyMismatch)));
    }

    #[tokio::test]
    async fn who_loses_the_race_for_a_key_gets_the_winners_answer() {
        let mut store = MockAnswerStore::new();
        let mut seen = [None, kept(1)].into_iter();
        store.expect_get().times(2).returning(move |_, _| Ok(seen.next().flatten()));
        let reply = answers(store).once(&writing(), Box::pin(async { Err(Stop::KeyTaken) })).await;
        assert_eq!(reply.unwrap(), Reply::Kept(vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_repetition_waits_and_then_is_told_that_the_first_is_under_way() {
        let mut store = MockAnswerStore::new();
        store.expect_get().returning(|_, _| Ok(None));
        let answers = answers(store);
        let (first, second) = (writing(), writing());
        let endless = answers.once(&first, Box::pin(std::future::pending()));
        let repeated = answers.once(&second, Box::pin(async { Ok(1) }));
        tokio::select! {
            biased;
            _ = endless => unreachable!("it has no end"),
            reply = repeated => assert!(matches!(reply, Err(Error::IdempotencyInFlight))),
        }
        assert!(answers.under_way.lock().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_refusal_frees_the_key() {
        let mut store = MockAnswerStore::new();
        store.expect_get().returning(|_, _| Ok(None));
        let answers = answers(store);
        let refused = answers.once(&writing(), Box::pin(async { Err(Error::NameTaken.into()) })).await;
        assert!(matches!(refused, Err(Error::NameTaken)));
        assert_eq!(answers.once(&writing(), Box::pin(async { Ok(3) })).await.unwrap(), Reply::Fresh(3));
    }

    #[tokio::test]
    async fn without_a_key_nothing_is_asked_of_the_store() {
        let answers = Answers::new(Arc::new(MockWorldStore::new()), Arc::new(MockAnswerStore::new()));
        assert_eq!(answers.once(&Writing::default(), Box::pin(async { Ok(3) })).await.unwrap(), Reply::Fresh(3));
    }
}
