//! What becomes of many writes in their order, decided in memory from what is stored.

use std::collections::{BTreeMap, BTreeSet};

use cloudm_application::ports::{CommitError, FleetResult, MachineWrite};
use cloudm_domain::{ClusterId, FaultId, Machine, MachineEvent, MachineId, Name};

use crate::counts::{Kind, Tally};
use crate::room::Room;

/// What is asked for: a write, what came of a fleet operation for a machine, or both.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) write: Option<&'a MachineWrite>,
    pub(crate) result: Option<FleetResult>,
}

/// Why one of many is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Conflict,
    NameTaken,
    IdUsed,
    NoCluster,
    NoPlace,
    Miscounted,
}

impl From<Refused> for CommitError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict => Self::Conflict,
            Refused::NameTaken => Self::NameTaken,
            Refused::IdUsed => Self::IdUsed,
            Refused::NoCluster => Self::NoCluster,
            Refused::NoPlace => Self::NoPlace,
            Refused::Miscounted => Self::Miscounted,
        }
    }
}

/// What is stored, as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The versions of the machines that are to change.
    pub(crate) versions: BTreeMap<MachineId, u64>,
    /// The ids that were used, of those that are to be.
    pub(crate) used: BTreeSet<MachineId>,
    /// The clusters that exist, of those that names are given in.
    pub(crate) clusters: BTreeSet<ClusterId>,
    /// Who holds the names that are to be given.
    pub(crate) holders: BTreeMap<(ClusterId, Name), MachineId>,
    /// The machines of which the operation has a result.
    pub(crate) decided: BTreeSet<MachineId>,
    /// What room pools have, where any place is asked for.
    pub(crate) room: Option<Room>,
    /// How often the faults matched of which a match is told that is counted for the whole world.
    pub(crate) matches: BTreeMap<FaultId, i64>,
}

/// Whether the matches that a write tells are the next ones of faults that matched so often.
pub(crate) fn are_next(matches: &BTreeMap<FaultId, i64>, write: &MachineWrite) -> bool {
    let before = |fault| matches.get(&fault).copied().unwrap_or_default();
    write.numbered().all(|(fault, number)| i64::try_from(number) == Ok(before(fault) + 1))
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
    Replace(&'a Machine),
    Delete(MachineId),
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
            let answer = plan.answer(*one);
            plan.answers.push(answer);
        }
        plan
    }

    /// How machines change, in the order of their ids.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change<'a>> {
        let is_stored = |id| self.found.versions.contains_key(id);
        self.machines.iter().filter_map(move |(id, after)| match (is_stored(id), after) {
            (false, None) => None,
            (false, Some(machine)) => Some(Change::Insert(machine)),
            (true, Some(machine)) => Some(Change::Replace(machine)),
            (true, None) => Some(Change::Delete(*id)),
        })
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.results.is_empty()
    }

    fn answer(&mut self, asked: Asked<'a>) -> Result<(), Refused> {
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

    fn write(&mut self, write: &'a MachineWrite) -> Result<(), Refused> {
        if !are_next(&self.found.matches, write) {
            return Err(Refused::Miscounted);
        }
        self.take(write)?;
        for (fault, _) in write.numbered() {
            *self.found.matches.entry(fault).or_default() += 1;
        }
        Ok(())
    }

    fn take(&mut self, write: &'a MachineWrite) -> Result<(), Refused> {
        let Some(id) = write.machine() else { return Ok(()) };
        let now = self.now(id, write)?;
        if let Some(created) = write.unmade() {
            self.check_cluster(created.cluster_id)?;
            self.found.used.insert(id);
            self.machines.insert(id, None);
            self.events.extend(&write.events);
            return Ok(());
        }
        let gives = |after: &&Machine| now.is_none_or(|now| after.holds_name() && now.name != after.name);
        let named = write.after.as_ref().filter(gives);
        if let Some(after) = named {
            self.check_name(after)?;
        }
        if let Some(room) = &mut self.found.room {
            if room.refuses(write) {
                return Err(Refused::NoPlace);
            }
            room.change(now, write.after.as_ref());
        }
        let held = now.filter(|now| now.holds_name()).map(place);
        if let Some(held) = held
            && self.found.holders.get(&held) == Some(&id)
        {
            self.found.holders.remove(&held);
        }
        if let Some(after) = write.after.as_ref().filter(|after| after.holds_name()) {
            self.found.holders.insert(place(after), id);
        }
        self.found.used.insert(id);
        self.tally.change(now.map(Kind::of), write.after.as_ref().map(Kind::of));
        self.machines.insert(id, write.after.as_ref());
        self.events.extend(&write.events);
        Ok(())
    }

    /// The machine as it is before a write; nothing where that makes it.
    fn now(&self, id: MachineId, write: &'a MachineWrite) -> Result<Option<&'a Machine>, Refused> {
        let changed = self.machines.get(&id);
        let version = match changed {
            Some(after) => after.map(|machine| machine.version),
            None => self.found.versions.get(&id).copied(),
        };
        match &write.before {
            None if version.is_some() || self.found.used.contains(&id) => Err(Refused::IdUsed),
            None => Ok(None),
            Some(before) if version != Some(before.version) => Err(Refused::Conflict),
            // A version names one state of a machine, so it is as the caller read it.
            Some(before) => Ok(Some(changed.copied().flatten().unwrap_or(before))),
        }
    }

    fn check_cluster(&self, cluster: ClusterId) -> Result<(), Refused> {
        if self.found.clusters.contains(&cluster) { Ok(()) } else { Err(Refused::NoCluster) }
    }

    fn check_name(&self, machine: &Machine) -> Result<(), Refused> {
        self.check_cluster(machine.cluster_id)?;
        let holder = self.found.holders.get(&place(machine));
        let taken = machine.holds_name() && holder.is_some_and(|holder| *holder != machine.id);
        if taken { Err(Refused::NameTaken) } else { Ok(()) }
    }
}

fn place(machine: &Machine) -> (ClusterId, Name) {
    (machine.cluster_id, machine.name.clone())
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{Command, Preset, Rules};
    use cloudm_persistence_contract::builders::{START, asked, changed, cluster, draft, forgotten, made, named, seed};

    use super::*;

    fn taken(found: Found, writes: &[MachineWrite]) -> (Vec<Result<(), Refused>>, usize, usize) {
        let asked: Vec<_> = writes.iter().map(|write| Asked { write: Some(write), result: None }).collect();
        let plan = Plan::new(found, &asked);
        (plan.answers.clone(), plan.changes().count(), plan.events.len())
    }

    #[test]
    fn a_write_sees_those_before_it() {
        let (web, rules) = (cluster("web"), Rules::new(seed(), Preset::Instant.behaviour()));
        let fresh = |name: &str, number| draft(&web, name).id(MachineId::from_bytes([number; 12])).made(&rules);
        let (a, b) = (fresh("a", 1), fresh("a", 2));
        let moved = named(&a.machine, "b", &rules);
        let writes = [
            made(a.clone()),
            made(b.clone()),
            changed(&a.machine, moved.clone()),
            changed(&a.machine, moved.clone()),
            made(b),
            forgotten(&moved.machine, Vec::new()),
            made(a),
        ];
        let found = || Found { clusters: BTreeSet::from([web.id]), ..Found::default() };
        let (answers, changes, events) = taken(found(), &writes);
        use Refused::{Conflict, IdUsed, NameTaken};
        let expected = [Ok(()), Err(NameTaken), Ok(()), Err(Conflict), Ok(()), Ok(()), Err(IdUsed)];
        assert_eq!(answers, expected);
        // What was made and forgotten leaves its events, and no machine.
        assert_eq!((changes, events), (1, 3 + 1 + 3));
        let (answers, changes, _) = taken(Found::default(), &writes[..2]);
        assert_eq!((answers, changes), (vec![Err(Refused::NoCluster); 2], 0));
    }

    #[test]
    fn a_machine_is_as_the_caller_read_it_where_its_version_is_stored() {
        let (web, rules) = (cluster("web"), Rules::new(seed(), Preset::Instant.behaviour()));
        let machine = draft(&web, "a").made(&rules).machine;
        let stop = changed(&machine, asked(&machine, Command::Stop, START, &rules));
        for (version, answer) in [(machine.version, Ok(())), (machine.version + 1, Err(Refused::Conflict))] {
            let found = Found { versions: BTreeMap::from([(machine.id, version)]), ..Found::default() };
            assert_eq!(taken(found, std::slice::from_ref(&stop)).0, [answer]);
        }
        assert_eq!(taken(Found::default(), &[stop]).0, [Err(Refused::Conflict)]);
    }
}
