//! How many machines there are of a kind, and how a write changes that.

use std::collections::BTreeMap;

use cloudm_application::ports::StoreError;
use cloudm_domain::{ClusterId, Code, FaultId, Machine, MachineEvent, MachineState};
use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::document::{id_of, parsed};

/// In the place of a state: matches of a fault, and those in which it struck.
const MATCHES: &str = "matches";
const STRUCK: &str = "struck";

/// What machines are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Kind {
    /// The cluster.
    #[serde(rename = "c")]
    pub(crate) cluster: ObjectId,
    /// The machine type.
    #[serde(rename = "t")]
    pub(crate) machine_type: String,
    /// The state.
    #[serde(rename = "s")]
    pub(crate) state: String,
}

impl Kind {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self {
            cluster: ObjectId::from_bytes(*machine.cluster_id.as_bytes()),
            machine_type: machine.machine_type.to_string(),
            state: machine.state.code().into(),
        }
    }

    /// That of matches of a fault: they are counted as machines are, under the id of the fault.
    pub(crate) fn matches(fault: FaultId) -> Self {
        Self::of_fault(fault, MATCHES)
    }

    /// That of matches in which the fault struck.
    pub(crate) fn struck(fault: FaultId) -> Self {
        Self::of_fault(fault, STRUCK)
    }

    fn of_fault(fault: FaultId, what: &str) -> Self {
        Self { cluster: ObjectId::from_bytes(*fault.as_bytes()), machine_type: String::new(), state: what.into() }
    }

    /// The fault of whose matches it is, and whether it struck in them; nothing where it is of machines.
    pub(crate) fn fault(&self) -> Option<(FaultId, bool)> {
        let struck = match self.state.as_str() {
            MATCHES => false,
            STRUCK => true,
            _ => return None,
        };
        Some((FaultId::from_bytes(self.cluster.bytes()), struck))
    }

    /// That of a machine as it is stored, with the `_id` of its cluster.
    pub(crate) fn stored(cluster: &str, machine_type: String, state: String) -> Result<Self, StoreError> {
        let cluster: ClusterId = id_of(cluster)?;
        Ok(Self { cluster: ObjectId::from_bytes(*cluster.as_bytes()), machine_type, state })
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        ClusterId::from_bytes(self.cluster.bytes())
    }

    pub(crate) fn read(&self) -> Result<(Code, MachineState), StoreError> {
        Ok((parsed("a machine type", &self.machine_type)?, parsed("a state", &self.state)?))
    }
}

/// So many machines of a kind, or so many more or fewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    #[serde(flatten)]
    pub(crate) kind: Kind,
    #[serde(rename = "n")]
    pub(crate) number: i64,
}

/// Numbers of machines by their kinds; of none that is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<Kind, i64>);

impl Tally {
    /// Counts so many machines more of a kind.
    pub(crate) fn add(&mut self, kind: Kind, number: i64) {
        let sum = self.0.remove(&kind).unwrap_or_default() + number;
        if sum != 0 {
            self.0.insert(kind, sum);
        }
    }

    /// How many there are of a kind.
    pub(crate) fn of(&self, kind: &Kind) -> i64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// Counts that a machine of one kind became one of another kind.
    pub(crate) fn change(&mut self, before: Option<Kind>, after: Option<Kind>) {
        if before != after {
            before.into_iter().for_each(|kind| self.add(kind, -1));
            after.into_iter().for_each(|kind| self.add(kind, 1));
        }
    }

    /// Counts the matches of faults that events tell.
    pub(crate) fn count_matches<'a>(&mut self, events: impl IntoIterator<Item = &'a MachineEvent>) {
        for event in events {
            if let Some(told) = event.change.fault_match() {
                self.add(Kind::matches(told.fault), 1);
                told.effect.iter().for_each(|_| self.add(Kind::struck(told.fault), 1));
            }
        }
    }

    /// The same with all of these.
    pub(crate) fn extend(&mut self, counts: impl IntoIterator<Item = Count>) {
        counts.into_iter().for_each(|count| self.add(count.kind, count.number));
    }

    /// The same without all of these.
    pub(crate) fn subtract(&mut self, other: Self) {
        other.0.into_iter().for_each(|(kind, number)| self.add(kind, -number));
    }

    /// As documents hold it.
    pub(crate) fn into_counts(self) -> Vec<Count> {
        self.0.into_iter().map(|(kind, number)| Count { kind, number }).collect()
    }
}

impl FromIterator<Count> for Tally {
    fn from_iter<I: IntoIterator<Item = Count>>(counts: I) -> Self {
        let mut tally = Self::default();
        tally.extend(counts);
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(state: MachineState) -> Kind {
        Kind { cluster: ObjectId::from_bytes([1; 12]), machine_type: "small".into(), state: state.code().into() }
    }

    #[test]
    fn what_adds_up_to_nothing_is_not_there() {
        let (running, stopped) = (|| Some(kind(MachineState::Running)), || Some(kind(MachineState::Stopped)));
        let mut tally = Tally::default();
        tally.change(None, running());
        tally.change(running(), running());
        tally.change(running(), stopped());
        assert_eq!(tally.clone().into_counts(), [Count { kind: kind(MachineState::Stopped), number: 1 }]);
        let mut rest = tally.clone();
        rest.subtract(tally.clone());
        assert_eq!(rest, Tally::default());
        tally.change(stopped(), None);
        assert_eq!(tally, Tally::default());
    }
}
