//! The rows of machines and of their tags, and how they are counted.

use cloudm_domain::{Machine, Tag};
use rusqlite::{Connection, params};

use crate::columns::version;
use crate::counts::Deltas;
use crate::error::DbError;
use crate::held::Held;
use crate::writer::millis;
use crate::{record, sql};

/// Writes rows of machines, with those of their tags. [`Rows::finish`] ends it.
pub(crate) struct Rows<'db> {
    insert: Held<'db>,
    update: Held<'db>,
    moved: Held<'db>,
    place: Held<'db>,
    delete: Held<'db>,
    tag_insert: Held<'db>,
    tag_delete: Held<'db>,
    /// The bytes of one machine after the other.
    record: Vec<u8>,
    counts: Deltas,
}

impl<'db> Rows<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self {
            insert: Held::new(db, sql::MACHINE_INSERT),
            update: Held::new(db, sql::MACHINE_UPDATE),
            moved: Held::new(db, sql::MACHINE_MOVE),
            place: Held::new(db, sql::MACHINE_PLACE),
            delete: Held::new(db, sql::MACHINE_DELETE),
            tag_insert: Held::new(db, sql::TAG_INSERT),
            tag_delete: Held::new(db, sql::TAG_DELETE),
            record: Vec::new(),
            counts: Deltas::default(),
        }
    }

    /// What is to be written for the rows so far.
    pub(crate) fn pending(&self) -> &Deltas {
        &self.counts
    }

    /// Gives what is to be written for all rows so far at once.
    pub(crate) fn finish(&mut self) -> Deltas {
        std::mem::take(&mut self.counts)
    }

    fn write(&mut self, machine: &Machine) -> Result<(), DbError> {
        self.record = record::write(machine, std::mem::take(&mut self.record))?;
        Ok(())
    }

    /// Makes a machine's row. Says no, and writes nothing, where its id or its name is taken.
    pub(crate) fn insert(&mut self, machine: &Machine) -> Result<bool, DbError> {
        self.write(machine)?;
        let inserted = self.insert.execute(params![
            machine.id.as_bytes(),
            machine.cluster_id.as_bytes(),
            machine.name.as_str(),
            machine.machine_type.as_str(),
            machine.state.number(),
            millis(machine.created_at),
            machine.wakes_at().map(millis),
            machine.holds_name(),
            version(machine.version)?,
            self.record,
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
        self.write(new)?;
        let (id, of, to, record) = (new.id.as_bytes(), version(old.version)?, version(new.version)?, &self.record);
        let next_at = new.wakes_at();
        let updated = if (old.state, old.wakes_at()) == (new.state, next_at) {
            self.update.execute(params![id, of, to, record])?
        } else {
            self.moved.execute(params![id, of, to, record, new.state.number(), next_at.map(millis)])?
        };
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
        self.delete_tags(old, |tag| !rows_of(new).contains(tag))?;
        self.insert_tags(new, |tag| !rows_of(old).contains(tag))
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
            self.tag_insert.execute(params![tag.as_str(), millis(machine.created_at), machine.id.as_bytes()])?;
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
