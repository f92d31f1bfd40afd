//! The API by requests against the real application, in this process: the routes over a real store, with the time moved
//! by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

mod answer;
mod bad_input;
mod bounds;
mod bulk;
mod capacity;
mod cascades;
mod clock;
mod clusters;
mod conditions;
mod coverage;
mod digests;
mod dry_runs;
mod endings;
mod events;
mod faults;
mod fleets;
mod idempotency;
mod law_one;
mod lists;
mod machines;
mod operations;
mod past;
mod prefer;
mod scenarios;
mod schedule;
mod scorecard;
mod shared;
mod site;
mod site_constants;
mod snapshots;
mod spec;
mod stats;
mod strikes;
mod surroundings;
mod waits;
mod worlds;
