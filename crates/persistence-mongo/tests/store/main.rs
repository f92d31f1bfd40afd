//! The store over a MongoDB.

#![expect(
    clippy::expect_used,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

mod contract;
mod database;
