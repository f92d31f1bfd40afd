//! The store over a MongoDB.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

mod accidents;
mod contract;
mod counting;
mod database;
mod fleets;
mod places;
mod proxy;
mod writes;
