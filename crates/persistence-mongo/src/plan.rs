//! What becomes of many writes in their order, decided in memory from what is stored.

use std::collections::{BTreeMap, BTreeSet};

use cloudm_application::ports::{BulkWrite, CommitError, FleetResult};
use cloudm_domain::{ClusterId, Machine, MachineEvent, MachineId, Name};

use crate::counts::{Kind, Tally};

/// What is asked for: a write, what came of a fleet operation for a machine, or both.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) write: Option<&'a BulkWrite>,
    pub(crate) result: Option<FleetResult>,
}

/// Why one of many is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Conflict,
    NameTaken,
    IdUsed,
    NoCluster,
}

impl From<Refused> for CommitError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict => Self::Conflict,
            Refused::NameTaken => Self::NameTaken,
            Refused::IdUsed => Self::IdUsed,
            Refused::NoCluster => Self::NoCluster,
        }
    }
}

/// What is stored, as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The machines that are to change.
    pub(crate) machines: BTreeMap<MachineId, Machine>,
    /// The ids that were used, of those that are to be.
    pub(crate) used: BTreeSet<MachineId>,
    /// The clusters that exist, of those that names are given in.
    pub(crate) clusters: BTreeSet<ClusterId>,
    /// Who holds the names that are to be given.
    pub(crate) holders: BTreeMap<(ClusterId, Name), MachineId>,
    /// The machines of which the operation has a result.
    pub(crate) decided: BTreeSet<MachineId>,
}

/// What is to be written.
pub(crate) struct Plan<'a> {
    found: Found,
    /// What becomes of each that was asked for.
    pub(crate) answers: Vec<Result<(), Refused>>,
    /// The machines that change, as they are to be.
    machines: BTreeMap<MachineId, Option<&'a Machine>>,
    /// What happens, in order.
    pub(crate) events: Vec<&'a MachineEvent>,
    pub(crate) tally: Tally,
    /// What came of a fleet operation and is new.
    pub(crate) results: Vec<FleetResult>,
}

/// How a machine changes.
pub(crate) enum Change<'a> {
    Insert(&'a Machine),
    /// In the place of the one of this version.
    Replace(u64, &'a Machine),
    /// The one of this version.
    Delete(u64, MachineId),
}

impl<'a> Plan<'a> {
    pub(crate) fn new(found: Found, asked: &[Asked<'a>]) -> Self {
        let mut plan = Self {
            found,
            answers: Vec::with_capacity(asked.len()),
            machines: BTreeMap::new(),
            events: Vec::new(),
            tally: Tally::default(),
            results: Vec::new(),
        };
        for one in asked {
            let answer = plan.take(*one);
            plan.answers.push(answer);
        }
        plan
    }

    /// How machines change, in the order of their ids.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change<'a>> {
        let stored = |id| self.found.machines.get(id).map(|machine| machine.version);
        self.machines.iter().filter_map(move |(id, after)| match (stored(id), after) {
            (None, None) => None,
            (None, Some(machine)) => Some(Change::Insert(machine)),
            (Some(version), Some(machine)) => Some(Change::Replace(version, machine)),
            (Some(version), None) => Some(Change::Delete(version, *id)),
        })
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.results.is_empty()
    }

    fn take(&mut self, asked: Asked<'a>) -> Result<(), Refused> {
        if asked.result.is_some_and(|result| self.found.decided.contains(&result.machine)) {
            return Ok(());
        }
        if let Some(write) = asked.write {
            self.write(write)?;
        }
        if let Some(result) = asked.result {
            self.found.decided.insert(result.machine);
            self.results.push(result);
        }
        Ok(())
    }

    fn write(&mut self, write: &'a BulkWrite) -> Result<(), Refused> {
        let Some(id) = write.machine() else { return Ok(()) };
        let now = self.machines.get(&id).map_or_else(|| self.found.machines.get(&id), |after| *after);
        let version = write.before.as_ref().map(|before| before.version);
        match version {
            None if now.is_some() || self.found.used.contains(&id) => return Err(Refused::IdUsed),
            Some(_) if now.map(|now| now.version) != version => return Err(Refused::Conflict),
            _ => {}
        }
        let held = now.filter(|now| now.holds_name()).map(place);
        let (before, renamed) = (now.map(Kind::of), now.map(|now| now.name.clone()));
        let named = write.after.as_ref().filter(|after| match &renamed {
            None => true,
            Some(before) => after.holds_name() && *before != after.name,
        });
        if let Some(after) = named {
            self.check_name(after)?;
        }
        if let Some(held) = held
            && self.found.holders.get(&held) == Some(&id)
        {
            self.found.holders.remove(&held);
        }
        if let Some(after) = write.after.as_ref().filter(|after| after.holds_name()) {
            self.found.holders.insert(place(after), id);
        }
        self.found.used.insert(id);
        self.tally.change(before, write.after.as_ref().map(Kind::of));
        self.machines.insert(id, write.after.as_ref());
        self.events.extend(&write.events);
        Ok(())
    }

    fn check_name(&self, machine: &Machine) -> Result<(), Refused> {
        if !self.found.clusters.contains(&machine.cluster_id) {
            return Err(Refused::NoCluster);
        }
        let holder = self.found.holders.get(&place(machine));
        let taken = machine.holds_name() && holder.is_some_and(|holder| *holder != machine.id);
        if taken { Err(Refused::NameTaken) } else { Ok(()) }
    }
}

fn place(machine: &Machine) -> (ClusterId, Name) {
    (machine.cluster_id, machine.name.clone())
}
