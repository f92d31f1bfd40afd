//! The columns of a row.

use std::fmt::Display;
use std::str::FromStr;

use cloudm_domain::{Instant, MachineState};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::error::DbError;

/// The columns of a row, as the values that they must be.
pub(crate) struct Columns<'a, 'statement>(pub(crate) &'a Row<'statement>);

impl Columns<'_, '_> {
    fn value<T>(&self, column: usize, read: impl FnOnce(ValueRef<'_>) -> Result<T, String>) -> Result<T, DbError> {
        read(self.0.get_ref(column)?).map_err(|why| {
            let name = self.0.as_ref().column_name(column).unwrap_or_default();
            DbError::damaged(&format!("column {name}"), why)
        })
    }

    /// The 12 bytes of an id.
    pub(crate) fn id(&self, column: usize) -> Result<[u8; 12], DbError> {
        self.bytes(column)
    }

    pub(crate) fn bytes<const N: usize>(&self, column: usize) -> Result<[u8; N], DbError> {
        self.value(column, |value| value.as_blob().map_err(text)?.try_into().map_err(text))
    }

    /// A text that is parsed.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, column: usize) -> Result<T, DbError> {
        self.value(column, |value| value.as_str().map_err(text)?.parse().map_err(text))
    }

    pub(crate) fn number<T: TryFrom<i64, Error: Display>>(&self, column: usize) -> Result<T, DbError> {
        self.value(column, |value| value.as_i64().map_err(text)?.try_into().map_err(text))
    }

    pub(crate) fn instant(&self, column: usize) -> Result<Instant, DbError> {
        let millis: u64 = self.number(column)?;
        Instant::from_millis(millis).map_err(|why| DbError::damaged("an instant", why))
    }

    pub(crate) fn state(&self, column: usize) -> Result<MachineState, DbError> {
        MachineState::from_number(self.number(column)?).map_err(|why| DbError::damaged("a state", why))
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// A version as SQLite holds it.
pub(crate) fn version(version: u64) -> Result<i64, DbError> {
    i64::try_from(version).map_err(|_| DbError::Misused("a version is below 2^63"))
}
