//! Events: the history of a world and of a machine.

mod follow;
mod list;

pub use follow::FollowEvents;
pub use list::{EventList, EventListQuery, ListEvents};
