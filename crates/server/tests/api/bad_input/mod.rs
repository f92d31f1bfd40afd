//! Bad input: each line of it on every operation that it applies to, with its code; and nothing changes.
//!
//! Which operations those are is asked of the API's description, so that a new one is in without a word here.

mod bodies;
mod paths;
mod queries;
mod scene;
mod values;
