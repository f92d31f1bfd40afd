//! What a client may say about a write: on which condition, only to try, only once.

use std::sync::Arc;

use cloudm_domain::WallMillis;

use crate::error::Error;
use crate::ports::KeptAnswer;

/// How long an answer is kept under its idempotency key: 24 hours of wall time, in milliseconds.
pub(crate) const KEPT_FOR: WallMillis = 24 * 60 * 60 * 1000;

/// What a client says about a write whose answer is a `T`.
pub struct Writing<T> {
    /// The versions on one of which it depends.
    pub if_match: Option<VersionMatch>,
    /// Whether it only wants the answer, without an effect.
    pub dry_run: bool,
    /// The key under which it may be repeated.
    pub key: Option<Idempotency<T>>,
}

impl<T> Default for Writing<T> {
    fn default() -> Self {
        Self { if_match: None, dry_run: false, key: None }
    }
}

/// The versions on one of which a write depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionMatch {
    /// Any.
    Any,
    /// One of these.
    Versions(Vec<u64>),
}

/// Makes the form in which an answer is kept.
pub type Encode<T> = Arc<dyn Fn(&T) -> Vec<u8> + Send + Sync>;

/// The key under which a request may be repeated: the same request gets the same answer and has one effect.
pub struct Idempotency<T> {
    /// The key, as the client sent it.
    pub key: String,
    /// What the request is: a hash of it.
    pub fingerprint: [u8; 32],
    /// Makes the form in which the answer is kept.
    pub encode: Encode<T>,
}

/// The key under which a request may be repeated whose answer is made anew from what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, as the client sent it.
    pub key: String,
    /// What the request is: a hash of it.
    pub fingerprint: [u8; 32],
}

/// An answer: made now, or kept from when the request was first carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply<T> {
    /// Made now.
    Fresh(T),
    /// Kept: what [`Idempotency::encode`] made.
    Kept(Vec<u8>),
}

impl<T> Writing<T> {
    /// Refuses the write where it depends on another version.
    pub(crate) fn check_version(&self, current: u64) -> Result<(), Error> {
        match &self.if_match {
            Some(VersionMatch::Versions(versions)) if !versions.contains(&current) => {
                Err(Error::VersionMismatch { current })
            }
            _ => Ok(()),
        }
    }

    /// The answer to keep, where the client gave a key.
    pub(crate) fn keep(&self, answer: &T, wall: WallMillis) -> Option<KeptAnswer> {
        self.key.as_ref().map(|idempotency| KeptAnswer {
            key: idempotency.key.clone(),
            fingerprint: idempotency.fingerprint,
            answer: (idempotency.encode)(answer),
            expires_at: wall.saturating_add(KEPT_FOR),
        })
    }
}
