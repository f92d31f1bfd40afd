//! Time and entropy for tests: moved by hand, the same each time.

use std::sync::atomic::{AtomicU64, Ordering};

use cloudm_domain::WallMillis;

use crate::ports::{Entropy, WallClock};

/// A wall clock that is moved by hand.
#[derive(Debug)]
pub struct ManualWall(AtomicU64);

impl ManualWall {
    /// A clock that says `wall` until it is moved.
    pub fn new(wall: WallMillis) -> Self {
        Self(AtomicU64::new(wall))
    }

    /// Sets it, forwards or back.
    pub fn set(&self, wall: WallMillis) {
        self.0.store(wall, Ordering::SeqCst);
    }

    /// Moves it forward by so many milliseconds.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl WallClock for ManualWall {
    fn now(&self) -> WallMillis {
        self.0.load(Ordering::SeqCst)
    }
}

/// Entropy that counts: every call gives other bytes, and the same in each run.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&count.to_be_bytes());
        bytes[8..].copy_from_slice(&count.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        bytes
    }
}
