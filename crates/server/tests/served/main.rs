//! The server as its users meet it: as a process that is raced, killed and stopped ([`support`]), and as the same
//! application within the test, whose time the test moves by hand ([`inside`]).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

mod bad_input;
mod client;
mod clusters;
mod conditions;
mod crash;
mod drain;
mod events;
mod every_route;
mod idempotency;
mod inside;
mod lists;
mod machines;
mod races;
mod start;
mod support;
mod surroundings;
mod watched;
