//! The document of a machine.

use std::collections::BTreeSet;

use cloudm_application::ports::StoreError;
use cloudm_domain::{
    FaultCount, FaultId, InProgress, Machine, MachineData, Protection, ScheduleId, ScheduledEvent, Step, StepKind, Tag,
    Tags,
};
use mongodb::bson::DateTime;
use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::counts::Kind;
use crate::document::{damaged, date, id_of, instant, key, long, number, parsed};

/// A machine as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MachineDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    /// The `_id` of its cluster.
    cluster: String,
    name: String,
    #[serde(rename = "type")]
    machine_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    protect_stop: bool,
    protect_terminate: bool,
    state: String,
    state_changed_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<ChangeDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<NextDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    deleted: bool,
    ordinal: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduled: Option<ScheduledDoc>,
    version: i64,
    created_at: DateTime,
    updated_at: DateTime,
    /// Until it is TERMINATED. It follows from the state, but stands apart so that a change of state leaves the indexes of
    /// live machines alone.
    live: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The change in progress.
#[derive(Debug, Serialize, Deserialize)]
struct ChangeDoc {
    cause: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    machine_type: Option<String>,
}

/// How often a fault has matched.
#[derive(Debug, Serialize, Deserialize)]
struct FaultDoc {
    fault: ObjectId,
    matches: i64,
}

impl FaultDoc {
    fn of(count: &FaultCount) -> Self {
        Self { fault: ObjectId::from_bytes(*count.fault.as_bytes()), matches: count.matches.into() }
    }

    fn read(&self) -> Result<FaultCount, StoreError> {
        let fault = FaultId::from_bytes(self.fault.bytes());
        Ok(FaultCount { fault, matches: number("the matches of a fault", self.matches)? })
    }
}

/// The next step. Its kind is the domain's stable number.
#[derive(Debug, Serialize, Deserialize)]
struct NextDoc {
    at: DateTime,
    kind: i32,
}

/// What is scheduled for a machine, with its own next step: where there is any, `next.at` of the machine is when the first of all
/// these is due.
#[derive(Debug, Serialize, Deserialize)]
struct ScheduledDoc {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<NextDoc>,
    events: Vec<ScheduledEventDoc>,
}

/// What a machine was told is going to be done to it.
#[derive(Debug, Serialize, Deserialize)]
struct ScheduledEventDoc {
    entry: ObjectId,
    kind: String,
    not_before: DateTime,
    deadline: DateTime,
    at: DateTime,
}

impl ScheduledDoc {
    /// Nothing, where nothing is scheduled.
    fn of(machine: &Machine) -> Option<Self> {
        let events: Vec<_> = machine.scheduled.iter().map(ScheduledEventDoc::of).collect();
        (!events.is_empty()).then(|| Self { next: machine.next.map(NextDoc::of), events })
    }
}

impl ScheduledEventDoc {
    fn of(event: &ScheduledEvent) -> Self {
        Self {
            entry: ObjectId::from_bytes(*event.entry.as_bytes()),
            kind: event.kind.code().into(),
            not_before: date(event.not_before),
            deadline: date(event.deadline),
            at: date(event.at),
        }
    }

    fn read(&self) -> Result<ScheduledEvent, StoreError> {
        Ok(ScheduledEvent {
            entry: ScheduleId::from_bytes(self.entry.bytes()),
            kind: parsed("a kind of a schedule", &self.kind)?,
            not_before: instant(self.not_before)?,
            deadline: instant(self.deadline)?,
            at: instant(self.at)?,
        })
    }
}

impl MachineDoc {
    pub(crate) fn of(world: ObjectId, machine: &Machine) -> Result<Self, StoreError> {
        Ok(Self {
            key: key(world, machine.id),
            w: world,
            cluster: key(world, machine.cluster_id),
            name: machine.name.to_string(),
            machine_type: machine.machine_type.to_string(),
            tags: machine.tags.as_slice().iter().map(Tag::to_string).collect(),
            protect_stop: machine.protection.stop,
            protect_terminate: machine.protection.terminate,
            state: machine.state.code().into(),
            state_changed_at: date(machine.state_changed_at),
            change: machine.in_progress.as_ref().map(ChangeDoc::of),
            next: machine.wakes_at().map(|at| NextDoc { at: date(at), kind: kind_of(machine.next) }),
            reason: machine.reason.map(|reason| reason.code().into()),
            deleted: machine.deleted,
            ordinal: machine.ordinal.into(),
            attempt: machine.attempt.into(),
            faults: machine.faults.iter().map(FaultDoc::of).collect(),
            scheduled: ScheduledDoc::of(machine),
            version: long(machine.version)?,
            created_at: date(machine.created_at),
            updated_at: date(machine.updated_at),
            live: machine.holds_name(),
        })
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether its cluster is among these.
    pub(crate) fn is_in(&self, places: &BTreeSet<String>) -> bool {
        places.contains(&self.cluster)
    }

    /// What it is counted by.
    pub(crate) fn kind(&self) -> Result<Kind, StoreError> {
        Kind::stored(&self.cluster, self.machine_type.clone(), self.state.clone())
    }

    /// When it last changed.
    pub(crate) fn updated_at(&self) -> DateTime {
        self.updated_at
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn read(&self) -> Result<Machine, StoreError> {
        let tags = self.tags.iter().map(|tag| parsed("a tag", tag)).collect::<Result<_, _>>()?;
        let next = self.scheduled.as_ref().map_or(self.next.as_ref(), |scheduled| scheduled.next.as_ref());
        let scheduled = self.scheduled.iter().flat_map(|scheduled| &scheduled.events);
        let data = MachineData {
            id: id_of(&self.key)?,
            cluster_id: id_of(&self.cluster)?,
            name: parsed("a machine's name", &self.name)?,
            machine_type: parsed("a machine type", &self.machine_type)?,
            tags: Tags::new(tags).map_err(|why| damaged("tags", why))?,
            protection: Protection { stop: self.protect_stop, terminate: self.protect_terminate },
            state: parsed("a state", &self.state)?,
            state_changed_at: instant(self.state_changed_at)?,
            in_progress: self.change.as_ref().map(ChangeDoc::read).transpose()?,
            next: next.map(NextDoc::read).transpose()?,
            reason: self.reason.as_deref().map(|reason| parsed("a reason", reason)).transpose()?,
            deleted: self.deleted,
            ordinal: number("an ordinal", self.ordinal)?,
            attempt: number("an attempt", self.attempt)?,
            faults: self.faults.iter().map(FaultDoc::read).collect::<Result<_, _>>()?,
            scheduled: scheduled.map(ScheduledEventDoc::read).collect::<Result<_, _>>()?,
            version: number("a version", self.version)?,
            created_at: instant(self.created_at)?,
            updated_at: instant(self.updated_at)?,
        };
        Machine::try_from(data).map_err(|why| damaged("a machine", why))
    }
}

impl ChangeDoc {
    fn of(change: &InProgress) -> Self {
        Self {
            cause: change.cause.code().into(),
            from: change.from.map(|state| state.code().into()),
            to: change.to.code().into(),
            machine_type: change.machine_type.as_ref().map(|code| code.to_string()),
        }
    }

    fn read(&self) -> Result<InProgress, StoreError> {
        Ok(InProgress {
            cause: parsed("a cause", &self.cause)?,
            from: self.from.as_deref().map(|state| parsed("a state", state)).transpose()?,
            to: parsed("a state", &self.to)?,
            machine_type: self.machine_type.as_deref().map(|code| parsed("a machine type", code)).transpose()?,
        })
    }
}

/// The number of what a machine does next by itself; 0 where that is nothing.
fn kind_of(next: Option<Step>) -> i32 {
    next.map_or(0, |step| step.kind.number().into())
}

impl NextDoc {
    fn of(step: Step) -> Self {
        Self { at: date(step.at), kind: kind_of(Some(step)) }
    }

    fn read(&self) -> Result<Step, StoreError> {
        let kind = u8::try_from(self.kind).ok().and_then(StepKind::from_number);
        Ok(Step { at: instant(self.at)?, kind: kind.ok_or_else(|| damaged("a step", "unknown kind"))? })
    }
}
