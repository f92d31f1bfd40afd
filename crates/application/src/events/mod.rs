//! Events: the history of a world and of a machine.

mod follow;
mod list;
mod matching;

pub use follow::{FollowEvents, Following};
pub use list::{EventList, EventListQuery, ListEvents};
pub(crate) use matching::Matcher;
