//! The host's time and randomness, behind the application's ports: the only place that asks for either.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use cloudm_application::ports::{Entropy, WallClock};
use cloudm_domain::WallMillis;

/// The host's clock.
pub(crate) struct HostClock;

impl WallClock for HostClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock port over the host")]
    fn now(&self) -> WallMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallMillis::try_from(since.as_millis()).unwrap_or(WallMillis::MAX)
    }
}

/// The host's random bytes, asked for many at a time: each request takes some for its id.
pub(crate) struct HostEntropy(Mutex<Drawn>);

/// Random bytes, of which the first ones are given away.
struct Drawn {
    bytes: [u8; 4096],
    given: usize,
}

impl HostEntropy {
    /// Makes sure that the host has random bytes to give.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Drawn::new().context("the host gives no random bytes")?)))
    }
}

impl Entropy for HostEntropy {
    #[expect(clippy::expect_used, reason = "a host that gave random bytes once goes on giving them")]
    fn bytes(&self) -> [u8; 16] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next().expect("random bytes, as when the server started")
    }
}

impl Drawn {
    #[expect(clippy::disallowed_methods, reason = "this is the entropy port over the host")]
    fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 4096];
        getrandom::fill(&mut bytes)?;
        Ok(Self { bytes, given: 0 })
    }

    fn next(&mut self) -> Result<[u8; 16], getrandom::Error> {
        if self.given == self.bytes.len() {
            *self = Self::new()?;
        }
        let mut next = [0; 16];
        next.copy_from_slice(&self.bytes[self.given..self.given + 16]);
        self.given += 16;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(HostClock.now() > 1_790_000_000_000);
    }

    #[test]
    fn random_bytes_differ() {
        let entropy = HostEntropy::new().unwrap();
        // More than are drawn at a time.
        let drawn: std::collections::BTreeSet<_> = (0..1_000).map(|_| entropy.bytes()).collect();
        assert_eq!(drawn.len(), 1_000);
    }
}
