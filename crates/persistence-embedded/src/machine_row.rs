//! The row of a machine.

use std::fmt::Display;
use std::str::FromStr;

use cloudm_domain::{
    Cause, InProgress, Instant, Machine, MachineData, MachineState, Protection, Reason, Step, StepKind, Tags,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::error::DbError;
use crate::sql;
use crate::writer::millis;

/// The number of columns of a machine.
pub(crate) const COLUMNS: usize = 21;

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

    fn state(&self, column: usize) -> Result<MachineState, DbError> {
        MachineState::from_number(self.number(column)?).map_err(|why| DbError::damaged("a state", why))
    }

    fn cause(&self, column: usize) -> Result<Cause, DbError> {
        Cause::from_number(self.number(column)?).map_err(|why| DbError::damaged("a cause", why))
    }

    fn reason(&self, column: usize) -> Result<Reason, DbError> {
        Reason::from_number(self.number(column)?).map_err(|why| DbError::damaged("a reason", why))
    }

    fn step_kind(&self, column: usize) -> Result<StepKind, DbError> {
        StepKind::from_number(self.number(column)?).ok_or_else(|| DbError::damaged("a step", "unknown code"))
    }

    fn tags(&self, column: usize) -> Result<Tags, DbError> {
        let tags = self.optional(column, |columns, column| {
            columns.value(column, |value| serde_json::from_str(value.as_str().map_err(text)?).map_err(text))
        });
        tags.map(Option::unwrap_or_default)
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Reads the machine from the first [`COLUMNS`] columns.
pub(crate) fn read(row: &Row<'_>) -> Result<Machine, DbError> {
    let columns = Columns(row);
    let in_progress = columns.optional(9, |columns, cause| {
        Ok(InProgress {
            cause: columns.cause(cause)?,
            from: columns.optional(10, Columns::state)?,
            to: columns.state(11)?,
            machine_type: columns.optional(12, Columns::parsed)?,
        })
    })?;
    let next =
        columns.optional(13, |columns, at| Ok(Step { at: columns.instant(at)?, kind: columns.step_kind(14)? }))?;
    let data = MachineData {
        id: cloudm_domain::MachineId::from_bytes(columns.id(0)?),
        cluster_id: cloudm_domain::ClusterId::from_bytes(columns.id(1)?),
        name: columns.parsed(2)?,
        machine_type: columns.parsed(3)?,
        tags: columns.tags(4)?,
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
    };
    Machine::try_from(data).map_err(|why| DbError::damaged("a machine", why))
}

/// A version as SQLite holds it.
pub(crate) fn version(version: u64) -> Result<i64, DbError> {
    i64::try_from(version).map_err(|_| DbError::Misused("a version is below 2^63"))
}

fn tags(machine: &MachineData) -> Result<Option<String>, DbError> {
    let tags = machine.tags.as_slice();
    let json = (!tags.is_empty()).then(|| serde_json::to_string(tags)).transpose();
    json.map_err(|_| DbError::Misused("tags are text"))
}

/// Makes the machine's row, and those of its tags.
pub(crate) fn insert(db: &Connection, machine: &Machine) -> Result<(), DbError> {
    let change = machine.in_progress.as_ref();
    db.prepare_cached(sql::MACHINE_INSERT)?.execute(params![
        machine.id.as_bytes(),
        machine.cluster_id.as_bytes(),
        machine.name.as_str(),
        machine.machine_type.as_str(),
        tags(machine)?,
        machine.protection.stop,
        machine.protection.terminate,
        machine.state.number(),
        millis(machine.state_changed_at),
        change.map(|change| change.cause.number()),
        change.and_then(|change| change.from).map(MachineState::number),
        change.map(|change| change.to.number()),
        change.and_then(|change| change.machine_type.as_ref()).map(|code| code.as_str()),
        machine.next.map(|step| millis(step.at)),
        machine.next.map(|step| step.kind.number()),
        machine.reason.map(Reason::number),
        machine.deleted,
        machine.ordinal,
        version(machine.version)?,
        millis(machine.created_at),
        millis(machine.updated_at),
        machine.holds_name(),
    ])?;
    if machine.holds_name() { insert_tags(db, machine) } else { Ok(()) }
}

/// Replaces the row of `old`, and of its tags, by that of `new`, which is the same machine.
pub(crate) fn update(db: &Connection, old: &Machine, new: &Machine) -> Result<(), DbError> {
    if (old.id, old.cluster_id, old.created_at) != (new.id, new.cluster_id, new.created_at) {
        return Err(DbError::Misused("a machine keeps its id, its cluster and its instant of creation"));
    }
    let change = new.in_progress.as_ref();
    db.prepare_cached(sql::MACHINE_UPDATE)?.execute(params![
        new.id.as_bytes(),
        tags(new)?,
        new.protection.stop,
        new.protection.terminate,
        new.state.number(),
        millis(new.state_changed_at),
        change.map(|change| change.cause.number()),
        change.and_then(|change| change.from).map(MachineState::number),
        change.map(|change| change.to.number()),
        change.and_then(|change| change.machine_type.as_ref()).map(|code| code.as_str()),
        new.next.map(|step| millis(step.at)),
        new.next.map(|step| step.kind.number()),
        new.reason.map(Reason::number),
        new.deleted,
        new.ordinal,
        version(new.version)?,
        millis(new.updated_at),
    ])?;
    let place = |machine: &Machine| (machine.name.clone(), machine.machine_type.clone(), machine.holds_name());
    if place(old) != place(new) {
        db.prepare_cached(sql::MACHINE_PLACE)?.execute(params![
            new.id.as_bytes(),
            new.name.as_str(),
            new.machine_type.as_str(),
            new.holds_name(),
        ])?;
    }
    let tagged = |machine: &Machine| machine.holds_name().then(|| (machine.name.clone(), machine.tags.clone()));
    if tagged(old) != tagged(new) {
        delete_tags(db, old)?;
        if new.holds_name() {
            insert_tags(db, new)?;
        }
    }
    Ok(())
}

/// Deletes the machine's row, and those of its tags.
pub(crate) fn delete(db: &Connection, machine: &Machine) -> Result<(), DbError> {
    delete_tags(db, machine)?;
    db.prepare_cached(sql::MACHINE_DELETE)?.execute([machine.id.as_bytes()])?;
    Ok(())
}

fn insert_tags(db: &Connection, machine: &Machine) -> Result<(), DbError> {
    let mut insert = db.prepare_cached(sql::TAG_INSERT)?;
    for tag in machine.tags.as_slice() {
        let created_at = millis(machine.created_at);
        insert.execute(params![tag.as_str(), created_at, machine.id.as_bytes(), machine.name.as_str()])?;
    }
    Ok(())
}

fn delete_tags(db: &Connection, machine: &Machine) -> Result<(), DbError> {
    let mut delete = db.prepare_cached(sql::TAG_DELETE)?;
    for tag in machine.tags.as_slice() {
        delete.execute(params![tag.as_str(), millis(machine.created_at), machine.id.as_bytes()])?;
    }
    Ok(())
}
