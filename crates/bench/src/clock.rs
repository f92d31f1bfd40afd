//! The host's clocks: the one place that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, to measure from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Instant);

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures the host's time, which nothing here decides by"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.until(Self::now())
    }

    pub(crate) fn until(self, later: Self) -> Duration {
        later.0.saturating_duration_since(self.0)
    }

    pub(crate) fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// Milliseconds since 1970, for the date of a run.
#[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Waits. A benchmark does little else: there is no event for "the database has calmed down".
#[expect(clippy::disallowed_methods, reason = "a probe asks a thousand times a second, and not as often as it can")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}
