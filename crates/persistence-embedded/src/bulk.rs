//! Writes of machines, one or many, with their events.

use cloudm_application::ports::{CommitError, MachineWrite};
use cloudm_domain::{ClusterId, Machine, MachineId, PoolSizes};
use rusqlite::{OptionalExtension, params};

use crate::cache::Written;
use crate::error::DbError;
use crate::group::Group;
use crate::known::Known;
use crate::places::Places;
use crate::pool::{WRITTEN, offer_core};
use crate::rows::Stored;
use crate::statements::Statements;
use crate::{clusters, faults};

/// Whether a write was taken, or why not. Where it was not, nothing of it is written: there is nothing to undo.
pub(crate) type Taken = Result<(), CommitError>;

/// Writes machines, one after the other. [`Bulk::finish`] ends it.
///
/// All conditions of a write hold before anything of it is written. So one that is refused leaves the others alone, without a
/// savepoint for each; an error, which is SQLite's, ends them all.
pub(crate) struct Bulk<'a, 'db> {
    group: &'a Group<'db>,
    known: &'a Known,
    statements: Box<Statements<'db>>,
    /// The last cluster that was found: a batch is often made in one.
    cluster: Option<ClusterId>,
    writes: usize,
    written: Vec<Written>,
    /// Who decides about places, where there is not room for any number.
    places: Option<Places<'a, 'db>>,
}

/// Writes many; says what became of each, in their order.
pub(crate) fn write_all(
    group: &Group<'_>,
    writes: &[MachineWrite],
    (known, sizes): (&Known, Option<&PoolSizes>),
) -> Result<Vec<Taken>, DbError> {
    let mut bulk = Bulk::new(group, known, sizes);
    let taken = writes.iter().map(|write| bulk.write(write)).collect::<Result<_, _>>()?;
    bulk.finish();
    Ok(taken)
}

impl<'a, 'db> Bulk<'a, 'db> {
    pub(crate) fn new(group: &'a Group<'db>, known: &'a Known, sizes: Option<&'a PoolSizes>) -> Self {
        let places = sizes.map(|sizes| Places::new(group, sizes));
        Self { group, known, statements: group.statements(), cluster: None, writes: 0, written: Vec::new(), places }
    }

    /// Ends it, once all else of a write is written: where that fails, nothing of it counts.
    pub(crate) fn finish(self) {
        self.group.count(self.statements, self.written);
    }

    /// Makes, replaces or deletes a machine.
    pub(crate) fn write(&mut self, write: &MachineWrite) -> Result<Taken, DbError> {
        self.writes += 1;
        offer_core(self.writes, WRITTEN);
        if !write.is_whole() {
            return Ok(Err(torn().into()));
        }
        if self.is_miscounted(write)? {
            return Ok(Err(CommitError::Miscounted));
        }
        match (&write.before, &write.after) {
            (None, None) => self.refuse(write),
            (None, Some(machine)) => self.create(machine, write),
            (Some(old), Some(new)) => self.update(old, new, write),
            (Some(machine), None) => self.delete(machine, write),
        }
    }

    /// Whether it tells of a match of a fault that is not the next one.
    fn is_miscounted(&self, write: &MachineWrite) -> Result<bool, DbError> {
        for (fault, number) in write.numbered() {
            let stored = faults::matches_of(self.group, fault)?;
            let before = stored + self.group.matches_of(fault) + self.statements.events.matches_of(fault);
            if u64::try_from(before).ok().and_then(|before| before.checked_add(1)) != Some(number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes it that a creation was refused.
    fn refuse(&mut self, write: &MachineWrite) -> Result<Taken, DbError> {
        let (Some(id), Some(created)) = (write.machine(), write.unmade()) else { return Ok(Err(torn().into())) };
        let Some(at) = write.events.first().map(|event| event.at) else { return Ok(Err(torn().into())) };
        if self.is_used(id)? {
            return Ok(Err(CommitError::IdUsed));
        }
        if !self.exists(created.cluster_id)? {
            return Ok(Err(CommitError::NoCluster));
        }
        let runs = self.statements.events.append(&write.events, None)?;
        self.statements.rows.set_former(id, at, runs)?;
        Ok(Ok(()))
    }

    fn create(&mut self, machine: &Machine, write: &MachineWrite) -> Result<Taken, DbError> {
        // Whether another machine has the id is seen when it is inserted, unless something else comes before that.
        let used = if self.places.is_some() { self.is_used(machine.id)? } else { self.is_former(machine.id)? };
        if used {
            return Ok(Err(CommitError::IdUsed));
        }
        if !self.exists(machine.cluster_id)? {
            return Ok(Err(if self.is_used(machine.id)? { CommitError::IdUsed } else { CommitError::NoCluster }));
        }
        if self.places.is_some() {
            // The name comes first.
            if machine.holds_name() && self.holder(machine)?.is_some() {
                return Ok(Err(CommitError::NameTaken));
            }
            if self.refuse_place(write)? {
                return Ok(Err(CommitError::NoPlace));
            }
        }
        let runs = self.statements.events.next_runs(&write.events)?;
        let Some(number) = self.statements.rows.insert(machine, runs)? else {
            return Ok(Err(if self.is_used(machine.id)? { CommitError::IdUsed } else { CommitError::NameTaken }));
        };
        self.known.numbers().learn(machine.id, number);
        self.written.push(Written::record(number, self.statements.rows.record()));
        self.statements.events.append(&write.events, None)?;
        Ok(Ok(()))
    }

    /// Whether there is, or was, a machine with this id.
    fn is_used(&mut self, id: MachineId) -> Result<bool, DbError> {
        Ok(self.statements.id_used.get()?.query_row([id.as_bytes()], |row| row.get(0))?)
    }

    /// Whether there was one that is no more.
    fn is_former(&mut self, id: MachineId) -> Result<bool, DbError> {
        Ok(self.statements.former.get()?.query_row([id.as_bytes()], |row| row.get(0))?)
    }

    fn exists(&mut self, cluster: ClusterId) -> Result<bool, DbError> {
        if self.cluster != Some(cluster) {
            let found = self.known.look_or_read(|known| known.get(cluster), || clusters::get(self.group, cluster))?;
            self.cluster = found.map(|cluster| cluster.id);
        }
        Ok(self.cluster.is_some())
    }

    fn refuse_place(&mut self, write: &MachineWrite) -> Result<bool, DbError> {
        match &mut self.places {
            Some(places) => places.refuse(write, self.statements.rows.pending()),
            None => Ok(false),
        }
    }

    fn update(&mut self, old: &Machine, new: &Machine, write: &MachineWrite) -> Result<Taken, DbError> {
        if (old.id, old.cluster_id, old.created_at) != (new.id, new.cluster_id, new.created_at) {
            let misused = DbError::Misused("a machine keeps its id, its cluster and its instant of creation");
            return Ok(Err(misused.into()));
        }
        let Some(stored) = self.current(old)? else { return Ok(Err(CommitError::Conflict)) };
        if old.name != new.name && new.holds_name() && self.holder(new)?.is_some_and(|holder| holder != new.id) {
            return Ok(Err(CommitError::NameTaken));
        }
        if self.refuse_place(write)? {
            return Ok(Err(CommitError::NoPlace));
        }
        let runs = self.statements.events.append(&write.events, Some(stored.runs.last))?;
        self.statements.rows.update((old, stored), new, runs.last)?;
        self.written.push(Written::record(stored.number, self.statements.rows.record()));
        Ok(Ok(()))
    }

    fn delete(&mut self, machine: &Machine, write: &MachineWrite) -> Result<Taken, DbError> {
        let Some(stored) = self.current(machine)? else { return Ok(Err(CommitError::Conflict)) };
        let runs = self.statements.events.append(&write.events, Some(stored.runs.last))?;
        self.statements.rows.delete((machine, stored), runs.last)?;
        self.written.push(Written::nothing(stored.number));
        Ok(Ok(()))
    }

    /// What is stored of a machine, where that is of its version.
    fn current(&mut self, machine: &Machine) -> Result<Option<Stored>, DbError> {
        Ok(self.stored(machine.id)?.filter(|stored| stored.version == machine.version))
    }

    fn stored(&mut self, id: MachineId) -> Result<Option<Stored>, DbError> {
        let (rows, numbers) = (&mut self.statements.rows, self.known.numbers());
        if let Some(number) = numbers.guess(id)
            && let Some(stored) = rows.find_at(number, id)?
        {
            return Ok(Some(stored));
        }
        Ok(rows.find(id)?.inspect(|stored| numbers.learn(id, stored.number)))
    }

    fn holder(&mut self, machine: &Machine) -> Result<Option<MachineId>, DbError> {
        let place = params![machine.cluster_id.as_bytes(), machine.name.as_str()];
        let holder = self.statements.name_held.get()?.query_row(place, |row| row.get(0)).optional()?;
        Ok(holder.map(MachineId::from_bytes))
    }
}

/// A write whose events do not fit it.
fn torn() -> DbError {
    DbError::Misused("the events of a commit lead from the version before to the version after")
}
