//! Events: the history of a world and of a machine.

mod list;

pub use list::{EventList, EventListQuery, ListEvents};
