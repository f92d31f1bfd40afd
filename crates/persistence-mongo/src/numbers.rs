//! The numbers that one write takes of the order of commits, and what they tell of it.
//!
//! A commit whose answer was lost may have happened. Its numbers say: they are in the history with what it wrote, or they are
//! filled, and then it can happen no more.

use std::sync::Arc;

use mongodb::bson::{DateTime, Document};
use mongodb::error::Error;
use parking_lot::Mutex;

use crate::sequence::Sequence;

/// The numbers of one write, which takes new ones each time it begins again.
pub(crate) struct Numbers {
    sequence: Arc<Sequence>,
    count: i64,
    /// The first ones of each attempt.
    taken: Mutex<Vec<i64>>,
}

impl Numbers {
    /// Takes nothing yet; later so many at a time.
    pub(crate) fn new(sequence: Arc<Sequence>, count: usize) -> Self {
        Self { sequence, count: count as i64, taken: Mutex::default() }
    }

    /// Takes numbers for what happens at `at`, or before; gives the first.
    pub(crate) async fn take(&self, at: DateTime) -> Result<i64, Error> {
        let first = self.sequence.take(self.count, at).await?;
        self.taken.lock().push(first);
        Ok(first)
    }

    /// Whether the last attempt was committed. If it was not, it never will be.
    pub(crate) async fn are_committed(&self) -> Result<bool, Error> {
        let Some(first) = self.taken.lock().last().copied() else { return Ok(false) };
        self.sequence.fill(first..first + self.count).await?;
        let found = self.sequence.at(first).await?;
        Ok(found.as_ref().is_some_and(is_of_a_write))
    }

    /// Fills what was taken in vain, so that no reader has to wait for it; what is not filled here is filled by who comes.
    pub(crate) fn tidy(&self, committed: bool) {
        let mut taken = std::mem::take(&mut *self.taken.lock());
        if committed {
            taken.pop();
        }
        let (sequence, count) = (self.sequence.clone(), self.count);
        if taken.is_empty() {
            return;
        }
        tokio::spawn(async move {
            for first in taken {
                if let Err(error) = sequence.fill(first..first + count).await {
                    tracing::debug!(error = crate::error::text(&error), "numbers that were not used are not filled");
                }
            }
        });
    }
}

/// Whether a write has the number, and not a fill.
fn is_of_a_write(found: &Document) -> bool {
    found.contains_key("event") || found.contains_key("cluster")
}
