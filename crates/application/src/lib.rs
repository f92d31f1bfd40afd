//! cloudm's use cases and the ports they stand on.

pub mod ports;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
