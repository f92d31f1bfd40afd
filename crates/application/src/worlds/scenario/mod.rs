//! Scenarios: a whole world in one request, and a world as one.

mod build;
mod get;
mod put;

pub use get::GetScenario;
pub use put::PutScenario;

pub(super) use put::{Anew, Stopped, load};
