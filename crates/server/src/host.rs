//! The host's time and randomness, behind the application's ports: the only place that asks for either.

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

/// The host's random bytes.
pub(crate) struct HostEntropy(());

impl HostEntropy {
    /// Makes sure that the host has random bytes to give.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn new() -> Result<Self> {
        random().context("the host gives no random bytes")?;
        Ok(Self(()))
    }
}

impl Entropy for HostEntropy {
    #[expect(clippy::expect_used, reason = "a host that gave random bytes once goes on giving them")]
    fn bytes(&self) -> [u8; 16] {
        random().expect("random bytes, as when the server started")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the entropy port over the host")]
fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
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
        assert_ne!(entropy.bytes(), entropy.bytes());
    }
}
