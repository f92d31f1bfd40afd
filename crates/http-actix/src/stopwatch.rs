//! Elapsed time of the host, for the log and for connections that stand still. It decides nothing in a world.

use std::time::{Duration, Instant};

/// A moment of the host's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "elapsed time is logged, and bounds connections; no world sees it")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// The time from `earlier` to this moment; nothing where that is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// This moment and a time.
    #[cfg(test)]
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}
