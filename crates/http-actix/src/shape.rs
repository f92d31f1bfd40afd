//! How values of the domain are written in JSON.

use std::fmt::Display;

use cloudm_domain::{Operation, Tags};
use serde::Serializer;
use serde::ser::SerializeSeq;

/// Writes a value as its text, without a copy.
pub(crate) fn shown<T: Display + ?Sized, S: Serializer>(value: &T, json: S) -> Result<S::Ok, S::Error> {
    json.collect_str(value)
}

/// Writes an optional value as its text.
pub(crate) fn shown_some<T: Display, S: Serializer>(value: &Option<T>, json: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => json.collect_str(value),
        None => json.serialize_none(),
    }
}

pub(crate) fn tags<S: Serializer>(tags: &Tags, json: S) -> Result<S::Ok, S::Error> {
    json.collect_seq(tags.as_slice().iter().map(|tag| tag.as_str()))
}

pub(crate) fn operations<S: Serializer>(operations: &[Operation], json: S) -> Result<S::Ok, S::Error> {
    let mut list = json.serialize_seq(Some(operations.len()))?;
    for operation in operations {
        list.serialize_element(operation.code())?;
    }
    list.end()
}
