//! The laws of the architecture that are the domain's to keep, over random lives of machines. A file a law.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod draws;
mod events;
mod known;
mod life;
mod observation;
mod timelines;
mod totality;
mod versions;

use proptest::test_runner::Config;

/// How each law is tried: a failure prints its case, and no file is kept of it.
fn config() -> Config {
    Config { cases: 256, failure_persistence: None, ..Config::default() }
}
