//! What documents are made of: keys that an incarnation leads, instants, and how the domain's values are read back.

use std::fmt::Display;
use std::str::FromStr;

use cloudm_application::ports::StoreError;
use cloudm_domain::{Incarnation, Instant};
use mongodb::bson::{DateTime, oid::ObjectId};

/// The `_id` of what has an id in an incarnation of a world: both as hex digits, so that a person can read it and its order
/// is that of the ids.
pub(crate) fn key(world: ObjectId, id: impl Display) -> String {
    format!("{world}/{id}")
}

/// The id in such a key.
pub(crate) fn id_of<T: FromStr<Err: Display>>(key: &str) -> Result<T, StoreError> {
    parsed("an _id", key.rsplit('/').next().unwrap_or_default())
}

/// An incarnation as documents hold it.
pub(crate) fn world_id(incarnation: Incarnation) -> ObjectId {
    ObjectId::from_bytes(*incarnation.as_bytes())
}

/// An instant as documents hold it.
pub(crate) fn date(instant: Instant) -> DateTime {
    millis(instant.millis())
}

/// Milliseconds since 1970 as documents hold them; what is beyond is for ever.
pub(crate) fn millis(millis: u64) -> DateTime {
    DateTime::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Reads an instant.
pub(crate) fn instant(date: DateTime) -> Result<Instant, StoreError> {
    let millis = u64::try_from(date.timestamp_millis()).map_err(|why| damaged("an instant", why))?;
    Instant::from_millis(millis).map_err(|why| damaged("an instant", why))
}

/// Reads a text.
pub(crate) fn parsed<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|why| damaged(what, why))
}

/// Reads a number that cannot be negative.
pub(crate) fn number<T: TryFrom<i64, Error: Display>>(what: &str, number: i64) -> Result<T, StoreError> {
    number.try_into().map_err(|why| damaged(what, why))
}

/// A number as documents hold it.
pub(crate) fn long(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Failed("a number is below 2^63".into()))
}

/// A limit as queries have it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// `what` holds what cannot have been written.
pub(crate) fn damaged(what: &str, why: impl Display) -> StoreError {
    StoreError::Damaged(format!("{what}: {why}"))
}
