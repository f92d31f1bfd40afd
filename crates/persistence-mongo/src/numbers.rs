//! The numbers that one write takes of the order of commits, and what they tell of it.
//!
//! A commit whose answer was lost may have happened. Its numbers say: they are in the history with what it wrote, or they are
//! filled, and then it can happen no more.

use std::ops::Range;
use std::sync::Arc;

use mongodb::bson::{DateTime, Document};
use mongodb::error::Error;
use parking_lot::Mutex;

use crate::document::limit;
use crate::sequence::Sequence;

/// The numbers of one write, which takes new ones each time it begins again.
pub(crate) struct Numbers {
    sequence: Arc<Sequence>,
    /// Those of each attempt.
    taken: Mutex<Vec<Range<i64>>>,
}

impl Numbers {
    /// Takes nothing yet.
    pub(crate) fn new(sequence: Arc<Sequence>) -> Self {
        Self { sequence, taken: Mutex::default() }
    }

    /// Takes so many numbers in a row for what happens at `at`, or before; gives the first.
    pub(crate) async fn take(&self, count: usize, at: DateTime) -> Result<i64, Error> {
        let count = limit(count);
        let first = self.sequence.take(count, at).await?;
        self.taken.lock().push(first..first + count);
        Ok(first)
    }

    /// Whether the last attempt was committed. If it was not, it never will be.
    pub(crate) async fn are_committed(&self) -> Result<bool, Error> {
        let Some(last) = self.taken.lock().last().cloned() else { return Ok(false) };
        self.sequence.fill(last.clone()).await?;
        let found = self.sequence.at(last.start).await?;
        Ok(found.as_ref().is_some_and(is_of_a_write))
    }

    /// Fills what was taken in vain, so that no reader has to wait for it; what is not filled here is filled by who comes.
    /// Gives the last number of what was committed.
    pub(crate) fn tidy(&self, committed: bool) -> Option<i64> {
        let mut taken = std::mem::take(&mut *self.taken.lock());
        let written = if committed { taken.pop() } else { None };
        let sequence = self.sequence.clone();
        if !taken.is_empty() {
            tokio::spawn(async move {
                for numbers in taken {
                    if let Err(error) = sequence.fill(numbers).await {
                        tracing::debug!(
                            error = crate::error::text(&error),
                            "numbers that were not used are not filled"
                        );
                    }
                }
            });
        }
        written.map(|numbers| numbers.end - 1)
    }
}

/// Whether a write has the number: a fill holds nothing else.
fn is_of_a_write(found: &Document) -> bool {
    found.keys().any(|key| !["_id", "w", "seq"].contains(&key.as_str()))
}
