//! Answers that are kept under idempotency keys.

use async_trait::async_trait;
use cloudm_domain::WallMillis;

use super::StoreError;

/// An answer that is kept under an idempotency key, for whoever repeats the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The key, as the client sent it.
    pub key: String,
    /// What the request was: a hash. The same key with another one is refused.
    pub fingerprint: [u8; 32],
    /// The answer, in the form of whoever made it.
    pub answer: Vec<u8>,
    /// From when on it is as if it were not there, in wall time.
    pub expires_at: WallMillis,
}

/// The kept answers of a world.
///
/// An answer is kept in the commit of its effect ([`super::Commit::keep`], [`super::ClusterCommit::keep`]); where there is
/// no effect to commit, by [`AnswerStore::keep`].
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// The answer that is kept under this key. MUST be `None` once `wall` has reached its expiry.
    async fn get(&self, key: &str, wall: WallMillis) -> Result<Option<KeptAnswer>, StoreError>;

    /// Keeps an answer that has no effect to commit with it.
    ///
    /// MUST answer `false`, and change nothing, where one is kept under the key that has not expired at `wall`. Of callers
    /// that race, one MUST win.
    async fn keep(&self, answer: KeptAnswer, wall: WallMillis) -> Result<bool, StoreError>;

    /// Drops at most `limit` answers that have expired at `wall`; says how many. MUST be found by an index.
    async fn purge(&self, wall: WallMillis, limit: usize) -> Result<usize, StoreError>;
}
