//! The rows of machines and of their tags, and how they are counted.

use cloudm_domain::{FaultCount, Machine, MachineState, Reason, Tag};
use rusqlite::{Connection, params};

use crate::counts::Deltas;
use crate::error::DbError;
use crate::held::Held;
use crate::machine_row::version;
use crate::sql;
use crate::writer::millis;

/// Writes rows of machines, with those of their tags. [`Rows::finish`] ends it.
pub(crate) struct Rows<'db> {
    insert: Held<'db>,
    update: Held<'db>,
    place: Held<'db>,
    tags: Held<'db>,
    delete: Held<'db>,
    tag_insert: Held<'db>,
    tag_delete: Held<'db>,
    counts: Deltas,
}

impl<'db> Rows<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self {
            insert: Held::new(db, sql::MACHINE_INSERT),
            update: Held::new(db, sql::MACHINE_UPDATE),
            place: Held::new(db, sql::MACHINE_PLACE),
            tags: Held::new(db, sql::MACHINE_TAGS),
            delete: Held::new(db, sql::MACHINE_DELETE),
            tag_insert: Held::new(db, sql::TAG_INSERT),
            tag_delete: Held::new(db, sql::TAG_DELETE),
            counts: Deltas::default(),
        }
    }

    /// What is to be written for the rows so far.
    pub(crate) fn pending(&self) -> &Deltas {
        &self.counts
    }

    /// Ends it; gives what is to be written for all rows at once.
    pub(crate) fn finish(self) -> Deltas {
        self.counts
    }

    /// Makes a machine's row. Says no, and writes nothing, where its id or its name is taken.
    pub(crate) fn insert(&mut self, machine: &Machine) -> Result<bool, DbError> {
        let change = machine.in_progress.as_ref();
        let inserted = self.insert.execute(params![
            machine.id.as_bytes(),
            machine.cluster_id.as_bytes(),
            machine.name.as_str(),
            machine.machine_type.as_str(),
            json(machine.tags.as_slice())?,
            machine.protection.stop,
            machine.protection.terminate,
            machine.state.number(),
            millis(machine.state_changed_at),
            change.map(|change| change.cause.number()),
            change.and_then(|change| change.from).map(MachineState::number),
            change.map(|change| change.to.number()),
            change.and_then(|change| change.machine_type.as_ref()).map(|code| code.as_str()),
            machine.wakes_at().map(millis),
            machine.next.map(|step| step.kind.number()),
            machine.reason.map(Reason::number),
            machine.deleted,
            machine.ordinal,
            version(machine.version)?,
            millis(machine.created_at),
            millis(machine.updated_at),
            machine.holds_name(),
            machine.attempt,
            matched(&machine.faults)?,
            scheduled(machine)?,
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        self.insert_tags(machine, |_| true)?;
        self.counts.more(machine);
        Ok(true)
    }

    /// Replaces the row of `old` by that of `new`, which is the same machine. Says no, and writes nothing, where there is none
    /// of the version of `old`.
    pub(crate) fn update(&mut self, old: &Machine, new: &Machine) -> Result<bool, DbError> {
        let change = new.in_progress.as_ref();
        let updated = self.update.execute(params![
            new.id.as_bytes(),
            version(old.version)?,
            new.protection.stop,
            new.protection.terminate,
            new.state.number(),
            millis(new.state_changed_at),
            change.map(|change| change.cause.number()),
            change.and_then(|change| change.from).map(MachineState::number),
            change.map(|change| change.to.number()),
            change.and_then(|change| change.machine_type.as_ref()).map(|code| code.as_str()),
            new.wakes_at().map(millis),
            new.next.map(|step| step.kind.number()),
            new.reason.map(Reason::number),
            new.deleted,
            new.ordinal,
            version(new.version)?,
            millis(new.updated_at),
            new.attempt,
            matched(&new.faults)?,
            scheduled(new)?,
        ])?;
        if updated == 0 {
            return Ok(false);
        }
        self.update_place(old, new)?;
        self.update_tags(old, new)?;
        self.counts.moved(old, new);
        Ok(true)
    }

    fn update_place(&mut self, old: &Machine, new: &Machine) -> Result<(), DbError> {
        if old.name != new.name || old.machine_type != new.machine_type || old.holds_name() != new.holds_name() {
            let (name, machine_type) = (new.name.as_str(), new.machine_type.as_str());
            self.place.execute(params![new.id.as_bytes(), name, machine_type, new.holds_name()])?;
        }
        Ok(())
    }

    fn update_tags(&mut self, old: &Machine, new: &Machine) -> Result<(), DbError> {
        if old.tags != new.tags {
            self.tags.execute(params![new.id.as_bytes(), json(new.tags.as_slice())?])?;
        }
        // A row holds the name.
        let stay = |one: &Machine, other: &Machine, tag: &Tag| one.name == other.name && rows_of(other).contains(tag);
        self.delete_tags(old, |tag| !stay(old, new, tag))?;
        self.insert_tags(new, |tag| !stay(new, old, tag))
    }

    /// Deletes a machine's row. Says no, and writes nothing, where there is none of its version.
    pub(crate) fn delete(&mut self, machine: &Machine) -> Result<bool, DbError> {
        if self.delete.execute(params![machine.id.as_bytes(), version(machine.version)?])? == 0 {
            return Ok(false);
        }
        self.delete_tags(machine, |_| true)?;
        self.counts.less(machine);
        Ok(true)
    }

    fn insert_tags(&mut self, machine: &Machine, only: impl Fn(&Tag) -> bool) -> Result<(), DbError> {
        for tag in rows_of(machine).iter().filter(|tag| only(tag)) {
            let (created_at, name) = (millis(machine.created_at), machine.name.as_str());
            self.tag_insert.execute(params![tag.as_str(), created_at, machine.id.as_bytes(), name])?;
        }
        Ok(())
    }

    fn delete_tags(&mut self, machine: &Machine, only: impl Fn(&Tag) -> bool) -> Result<(), DbError> {
        for tag in rows_of(machine).iter().filter(|tag| only(tag)) {
            self.tag_delete.execute(params![tag.as_str(), millis(machine.created_at), machine.id.as_bytes()])?;
        }
        Ok(())
    }
}

/// The tags that have a row: those of a live machine.
fn rows_of(machine: &Machine) -> &[Tag] {
    if machine.holds_name() { machine.tags.as_slice() } else { &[] }
}

/// What a column holds of tags; nothing of none.
fn json(tags: &[Tag]) -> Result<Option<String>, DbError> {
    (!tags.is_empty()).then(|| text(serde_json::to_string(tags))).transpose()
}

/// What a column holds of the faults that matched; nothing of none.
fn matched(faults: &[FaultCount]) -> Result<Option<String>, DbError> {
    (!faults.is_empty()).then(|| text(serde_json::to_string(faults))).transpose()
}

/// What a column holds of what is scheduled for a machine, with its own next step; nothing of none.
fn scheduled(machine: &Machine) -> Result<Option<String>, DbError> {
    let told = &machine.scheduled;
    (!told.is_empty()).then(|| text(serde_json::to_string(&(machine.next, told)))).transpose()
}

fn text(json: serde_json::Result<String>) -> Result<String, DbError> {
    json.map_err(|_| DbError::Misused("tags, faults and events are text"))
}
