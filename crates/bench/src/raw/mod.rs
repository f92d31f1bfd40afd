//! The stores used by loops, without a server: what a path could cost at best.

pub(crate) mod bulk;
pub(crate) mod mongo;
pub(crate) mod reads;
pub(crate) mod sqlite;
pub(crate) mod writes;
