//! The row of a machine.

use std::fmt::Display;
use std::str::FromStr;

use cloudm_domain::{
    Cause, Code, FaultCount, InProgress, Instant, Machine, MachineData, MachineState, Protection, Reason,
    ScheduledEvent, Step, StepKind, Tags,
};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::error::DbError;

/// The number of columns of a machine.
pub(crate) const COLUMNS: usize = 24;

/// The columns of a row, as the values that they must be.
pub(crate) struct Columns<'a, 'statement>(pub(crate) &'a Row<'statement>);

impl Columns<'_, '_> {
    fn value<T>(&self, column: usize, read: impl FnOnce(ValueRef<'_>) -> Result<T, String>) -> Result<T, DbError> {
        read(self.0.get_ref(column)?).map_err(|why| {
            let name = self.0.as_ref().column_name(column).unwrap_or_default();
            DbError::damaged(&format!("column {name}"), why)
        })
    }

    /// The value, where there is one.
    pub(crate) fn optional<T>(
        &self,
        column: usize,
        read: impl FnOnce(&Self, usize) -> Result<T, DbError>,
    ) -> Result<Option<T>, DbError> {
        match self.0.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => read(self, column).map(Some),
        }
    }

    /// The 12 bytes of an id.
    pub(crate) fn id(&self, column: usize) -> Result<[u8; 12], DbError> {
        self.value(column, |value| {
            let bytes = value.as_blob().map_err(text)?;
            bytes.try_into().map_err(text)
        })
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

    fn flag(&self, column: usize) -> Result<bool, DbError> {
        self.number::<u8>(column).map(|flag| flag != 0)
    }

    pub(crate) fn state(&self, column: usize) -> Result<MachineState, DbError> {
        MachineState::from_number(self.number(column)?).map_err(|why| DbError::damaged("a state", why))
    }

    fn cause(&self, column: usize) -> Result<Cause, DbError> {
        Cause::from_number(self.number(column)?).map_err(|why| DbError::damaged("a cause", why))
    }

    fn reason(&self, column: usize) -> Result<Reason, DbError> {
        Reason::from_number(self.number(column)?).map_err(|why| DbError::damaged("a reason", why))
    }

    fn faults(&self, column: usize) -> Result<Vec<FaultCount>, DbError> {
        self.value(column, |value| serde_json::from_str(value.as_str().map_err(text)?).map_err(text))
    }

    /// The machine's own next step, and what is scheduled for it.
    fn scheduled(&self, column: usize) -> Result<(Option<Step>, Vec<ScheduledEvent>), DbError> {
        self.value(column, |value| serde_json::from_str(value.as_str().map_err(text)?).map_err(text))
    }

    fn step_kind(&self, column: usize) -> Result<StepKind, DbError> {
        StepKind::from_number(self.number(column)?).ok_or_else(|| DbError::damaged("a step", "unknown code"))
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Reads the machine from the first [`COLUMNS`] columns.
pub(crate) fn read(row: &Row<'_>) -> Result<Machine, DbError> {
    Shared::default().read(row)
}

/// Reads machines one after the other. What many of them have alike, and the last one had too, is not parsed anew.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    machine_type: Option<Code>,
    /// With the text that they are of.
    tags: Option<(String, Tags)>,
}

impl Shared {
    fn machine_type(&mut self, columns: &Columns<'_, '_>, column: usize) -> Result<Code, DbError> {
        let code = columns.value(column, |value| {
            let text = value.as_str().map_err(text)?;
            let known = self.machine_type.as_ref().filter(|known| known.as_str() == text);
            known.map_or_else(|| text.parse().map_err(self::text), |known| Ok(known.clone()))
        })?;
        Ok(self.machine_type.insert(code).clone())
    }

    fn tags(&mut self, columns: &Columns<'_, '_>, column: usize) -> Result<Tags, DbError> {
        let tags = columns.optional(column, |columns, column| {
            columns.value(column, |value| {
                let text = value.as_str().map_err(text)?;
                if let Some((_, tags)) = self.tags.as_ref().filter(|(known, _)| known == text) {
                    return Ok(tags.clone());
                }
                let tags: Tags = serde_json::from_str(text).map_err(self::text)?;
                Ok(self.tags.insert((text.to_owned(), tags)).1.clone())
            })
        })?;
        Ok(tags.unwrap_or_default())
    }

    /// Reads the machine from the first [`COLUMNS`] columns.
    pub(crate) fn read(&mut self, row: &Row<'_>) -> Result<Machine, DbError> {
        let machine_type = self.machine_type(&Columns(row), 3)?;
        let tags = self.tags(&Columns(row), 4)?;
        read_with(&Columns(row), machine_type, tags)
    }
}

fn read_with(columns: &Columns<'_, '_>, machine_type: Code, tags: Tags) -> Result<Machine, DbError> {
    let in_progress = columns.optional(9, |columns, cause| {
        Ok(InProgress {
            cause: columns.cause(cause)?,
            from: columns.optional(10, Columns::state)?,
            to: columns.state(11)?,
            machine_type: columns.optional(12, Columns::parsed)?,
        })
    })?;
    let (next, scheduled) = match columns.optional(23, Columns::scheduled)? {
        Some(told) => told,
        None => {
            let step =
                |columns: &Columns<'_, '_>, at| Ok(Step { at: columns.instant(at)?, kind: columns.step_kind(14)? });
            (columns.optional(13, step)?, Vec::new())
        }
    };
    let data = MachineData {
        id: cloudm_domain::MachineId::from_bytes(columns.id(0)?),
        cluster_id: cloudm_domain::ClusterId::from_bytes(columns.id(1)?),
        name: columns.parsed(2)?,
        machine_type,
        tags,
        protection: Protection { stop: columns.flag(5)?, terminate: columns.flag(6)? },
        state: columns.state(7)?,
        state_changed_at: columns.instant(8)?,
        in_progress,
        next,
        reason: columns.optional(15, Columns::reason)?,
        deleted: columns.flag(16)?,
        ordinal: columns.number(17)?,
        version: columns.number(18)?,
        created_at: columns.instant(19)?,
        updated_at: columns.instant(20)?,
        attempt: columns.number(21)?,
        faults: columns.optional(22, Columns::faults)?.unwrap_or_default(),
        scheduled,
    };
    Machine::try_from(data).map_err(|why| DbError::damaged("a machine", why))
}

/// A version as SQLite holds it.
pub(crate) fn version(version: u64) -> Result<i64, DbError> {
    i64::try_from(version).map_err(|_| DbError::Misused("a version is below 2^63"))
}
