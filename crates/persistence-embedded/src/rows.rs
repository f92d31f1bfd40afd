//! The rows of machines and of their tags, and how they are counted.

use cloudm_domain::{Instant, Machine, MachineId, Tag};
use rusqlite::{Connection, Params, Statement, params};

use crate::columns::{Columns, version};
use crate::counts::Deltas;
use crate::error::DbError;
use crate::held::Held;
use crate::runs::Runs;
use crate::writer::millis;
use crate::{record, sql};

/// What the row of a machine says of it beside what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) number: i64,
    pub(crate) version: u64,
    pub(crate) runs: Runs,
}

impl Stored {
    fn read(statement: &mut Statement<'_>, values: impl Params) -> Result<Option<Self>, DbError> {
        let mut rows = statement.query(values)?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let runs = Runs { first: row.get(2)?, last: row.get(3)? };
        Ok(Some(Self { number: row.get(0)?, version: Columns(row).number(1)?, runs }))
    }
}

/// Writes rows of machines, with those of their tags. [`Rows::finish`] ends it.
pub(crate) struct Rows<'db> {
    db: &'db Connection,
    stored: Held<'db>,
    stored_at: Held<'db>,
    insert: Held<'db>,
    update: Held<'db>,
    moved: Held<'db>,
    place: Held<'db>,
    delete: Held<'db>,
    former_set: Held<'db>,
    runs_set: Held<'db>,
    tag_insert: Held<'db>,
    tag_delete: Held<'db>,
    /// The bytes of one machine after the other.
    record: Vec<u8>,
    counts: Deltas,
}

impl<'db> Rows<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self {
            db,
            stored: Held::new(db, sql::MACHINE_STORED),
            stored_at: Held::new(db, sql::MACHINE_STORED_AT),
            insert: Held::new(db, sql::MACHINE_INSERT),
            update: Held::new(db, sql::MACHINE_UPDATE),
            moved: Held::new(db, sql::MACHINE_MOVE),
            place: Held::new(db, sql::MACHINE_PLACE),
            delete: Held::new(db, sql::MACHINE_DELETE),
            former_set: Held::new(db, sql::FORMER_SET),
            runs_set: Held::new(db, sql::MACHINE_RUNS_SET),
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

    /// The record that was written last.
    pub(crate) fn record(&self) -> &[u8] {
        &self.record
    }

    /// What the row of a machine says.
    pub(crate) fn find(&mut self, id: MachineId) -> Result<Option<Stored>, DbError> {
        Stored::read(self.stored.get()?, [id.as_bytes()])
    }

    /// The same, where it has this number; nothing where it has not.
    pub(crate) fn find_at(&mut self, number: i64, id: MachineId) -> Result<Option<Stored>, DbError> {
        Stored::read(self.stored_at.get()?, params![number, id.as_bytes()])
    }

    /// Makes a machine's row, and gives its number. Writes nothing where its id or its name is taken.
    pub(crate) fn insert(&mut self, machine: &Machine, runs: Runs) -> Result<Option<i64>, DbError> {
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
            runs.first,
            runs.last,
        ])?;
        if inserted == 0 {
            return Ok(None);
        }
        let number = self.db.last_insert_rowid();
        self.insert_tags(machine, |_| true)?;
        self.counts.more(machine);
        Ok(Some(number))
    }

    /// Puts `new` into the row of `old`, which is the same machine, with the run that its history ends with.
    pub(crate) fn update(
        &mut self,
        (old, stored): (&Machine, Stored),
        new: &Machine,
        last_run: i64,
    ) -> Result<(), DbError> {
        self.write(new)?;
        let (number, to, record) = (stored.number, version(new.version)?, &self.record);
        let next_at = new.wakes_at();
        if (old.state, old.wakes_at()) == (new.state, next_at) {
            self.update.execute(params![number, to, record, last_run])?;
        } else {
            self.moved.execute(params![number, to, record, last_run, new.state.number(), next_at.map(millis)])?;
        }
        self.update_place((old, stored), new)?;
        self.update_tags(old, new)?;
        self.counts.moved(old, new);
        Ok(())
    }

    fn update_place(&mut self, (old, stored): (&Machine, Stored), new: &Machine) -> Result<(), DbError> {
        if old.name != new.name || old.machine_type != new.machine_type || old.holds_name() != new.holds_name() {
            let (name, machine_type) = (new.name.as_str(), new.machine_type.as_str());
            self.place.execute(params![stored.number, name, machine_type, new.holds_name()])?;
        }
        Ok(())
    }

    fn update_tags(&mut self, old: &Machine, new: &Machine) -> Result<(), DbError> {
        self.delete_tags(old, |tag| !rows_of(new).contains(tag))?;
        self.insert_tags(new, |tag| !rows_of(old).contains(tag))
    }

    /// Says where the history of a machine is.
    pub(crate) fn set_runs(&mut self, stored: Stored, runs: Runs) -> Result<(), DbError> {
        self.runs_set.execute(params![stored.number, runs.first, runs.last])?;
        Ok(())
    }

    /// Deletes a machine's row; its history stays, and ends with this run.
    pub(crate) fn delete(&mut self, (machine, stored): (&Machine, Stored), last_run: i64) -> Result<(), DbError> {
        self.delete.execute([stored.number])?;
        self.delete_tags(machine, |_| true)?;
        self.counts.less(machine);
        self.set_former(machine.id, machine.created_at, Runs { last: last_run, ..stored.runs })
    }

    /// Says where the history of a machine is that has no row.
    pub(crate) fn set_former(&mut self, id: MachineId, created_at: Instant, runs: Runs) -> Result<(), DbError> {
        self.former_set.execute(params![id.as_bytes(), millis(created_at), runs.first, runs.last])?;
        Ok(())
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
