//! The server as its users meet it: a process, its port, its data directory; raced, killed and stopped.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

mod bulk;
mod client;
mod crash;
mod drain;
mod fleets;
mod law_one;
mod lives;
mod mongo_outage;
mod mongo_start;
mod races;
mod start;
mod streams;
mod support;
mod wire;
