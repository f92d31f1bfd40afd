//! The machine: what it is, how it is made and read back.

use std::ops::Deref;

use crate::cluster::Cluster;
use crate::event::{Change, MachineEvent, WorldRefusal};
use crate::fault::Fault;
use crate::id::{ClusterId, MachineId};
use crate::lifecycle::{Cause, MachineState, Operation};
use crate::name::{Code, Name, Tags};
use crate::rules::Rules;
use crate::schedule::ScheduledEvent;
use crate::strike::{FaultCount, Struck, StruckDown};
use crate::time::Instant;

/// Operations that a machine refuses, forced or not, until its protection is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Protection {
    /// Whether it refuses STOP.
    pub stop: bool,
    /// Whether it refuses TERMINATE and deletion.
    pub terminate: bool,
}

impl Protection {
    /// Whether it refuses `operation`.
    pub fn refuses(self, operation: Operation) -> bool {
        match operation {
            Operation::Stop => self.stop,
            Operation::Terminate => self.terminate,
            _ => false,
        }
    }
}

/// The change in progress of a machine in an active state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InProgress {
    /// What brought it about.
    pub cause: Cause,
    /// The state the machine left for the active one; none for a creation.
    pub from: Option<MachineState>,
    /// The resting state in which it ends.
    pub to: MachineState,
    /// The machine type it gives, for a RESIZE.
    pub machine_type: Option<Code>,
}

/// What a machine does by itself at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum StepKind {
    /// It goes on, to the next state of its transition.
    Proceed = 1,
    /// It fails.
    Fail = 2,
    /// Its repair begins.
    Repair = 3,
    /// It is forgotten: from then on it does not exist. No event tells, for nothing is left to happen to it.
    Forget = 4,
}

impl StepKind {
    /// The number that stores use. It never changes its meaning.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The one with this number, if any.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Proceed, Self::Fail, Self::Repair, Self::Forget].into_iter().find(|kind| kind.number() == number)
    }
}

/// The next thing that happens to a machine by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Step {
    /// When.
    pub at: Instant,
    /// What.
    pub kind: StepKind,
}

crate::lifecycle::codes! {
    /// Why a machine is in its state, where nobody asked for it.
    Reason {
        /// Its transition went wrong.
        TransitionFailed = 1 "TRANSITION_FAILED",
        /// It failed while RUNNING.
        Crashed = 2 "CRASHED",
        /// The world is repairing it.
        UnderRepair = 3 "UNDER_REPAIR",
        /// The world has repaired it.
        Repaired = 4 "REPAIRED",
        /// The world is moving it.
        Migrated = 5 "MIGRATED",
        /// The world has taken its place back.
        Preempted = 6 "PREEMPTED",
        /// The world maintains its host.
        Maintained = 7 "MAINTENANCE",
        /// Its region is out.
        RegionOutage = 8 "REGION_OUTAGE",
    }
}

impl Reason {
    /// The reason in a sentence.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TransitionFailed => "The transition did not succeed.",
            Self::Crashed => "The machine failed while it was running.",
            Self::UnderRepair => "The machine is being repaired after a failure.",
            Self::Repaired => "The machine was repaired after a failure.",
            Self::Migrated => "The machine was moved to another host.",
            Self::Preempted => "The machine was terminated because its place was taken back.",
            Self::Maintained => "The machine was stopped because its host was maintained.",
            Self::RegionOutage => "The machine failed because its region was out.",
        }
    }
}

/// All that is known of a machine: the form in which stores keep it.
///
/// A [`Machine`] gives these fields to read; only events change them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MachineData {
    /// Its id, for ever.
    pub id: MachineId,
    /// The cluster it is in, for ever.
    pub cluster_id: ClusterId,
    /// Its name, unique in its cluster until it is TERMINATED.
    pub name: Name,
    /// Its machine type.
    pub machine_type: Code,
    /// Its tags.
    pub tags: Tags,
    /// What it refuses.
    pub protection: Protection,
    /// Where it is in its life.
    pub state: MachineState,
    /// When it entered that state.
    pub state_changed_at: Instant,
    /// The change in progress: there is one exactly in active states.
    pub in_progress: Option<InProgress>,
    /// What happens next by itself. A machine in an active state without it is stuck.
    pub next: Option<Step>,
    /// Why it is in its state, where nobody asked for it.
    pub reason: Option<Reason>,
    /// Whether its deletion was asked for: it is forgotten once TERMINATED.
    pub deleted: bool,
    /// How many states it has entered.
    pub ordinal: u32,
    /// How often the world refused what was asked of it since it entered that state.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
    pub attempt: u32,
    /// How often faults have matched it.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub faults: Vec<FaultCount>,
    /// What it was told is going to be done to it; nothing once it ends.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub scheduled: Vec<ScheduledEvent>,
    /// How many events it has had.
    pub version: u64,
    /// When it was created.
    pub created_at: Instant,
    /// When its last event happened.
    pub updated_at: Instant,
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Data that no machine can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no machine is like this: {0}")]
pub struct InvalidMachine(&'static str);

/// A machine: [`MachineData`] that only events change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(MachineData);

impl Deref for Machine {
    type Target = MachineData;

    fn deref(&self) -> &MachineData {
        &self.0
    }
}

impl From<Machine> for MachineData {
    fn from(machine: Machine) -> Self {
        machine.0
    }
}

impl TryFrom<MachineData> for Machine {
    type Error = InvalidMachine;

    /// The machine that was stored as `data`.
    fn try_from(data: MachineData) -> Result<Self, InvalidMachine> {
        data.check().map(|()| Self(data))
    }
}

impl MachineData {
    /// Whether a machine can be like this. What is, always gets on: a chain of its steps takes time and comes to rest.
    pub(crate) fn check(&self) -> Result<(), InvalidMachine> {
        let wrong = if self.state.is_active() != self.in_progress.is_some() {
            "a change is in progress exactly in active states"
        } else if self.in_progress.as_ref().is_some_and(|change| change.to.is_active()) {
            "a change in progress ends in a resting state"
        } else if self.next.is_some_and(|step| !self.may_do(step.kind)) {
            "its next step does not fit its state"
        } else if self.next.is_some_and(|step| step.at < self.state_changed_at) {
            "its next step comes after its state"
        } else if self.ordinal == 0 || self.version < self.least_version() {
            "each state it entered, each refusal, each match and each announcement was an event, its creation the first"
        } else if !self.scheduled.is_empty() && !self.may_be_told() {
            "nothing is scheduled for a machine that ends"
        } else if self.created_at > self.state_changed_at || self.state_changed_at > self.updated_at {
            "its instants are in order"
        } else {
            return Ok(());
        };
        Err(InvalidMachine(wrong))
    }

    /// The least number of events that it can have had.
    fn least_version(&self) -> u64 {
        let matches = self.faults.iter().map(|count| u64::from(count.matches));
        u64::from(self.ordinal) + u64::from(self.attempt) + matches.sum::<u64>() + self.scheduled.len() as u64
    }

    /// Whether anything is scheduled for it: not once it ends.
    pub(crate) const fn may_be_told(&self) -> bool {
        !matches!(self.state, MachineState::Terminating | MachineState::Terminated)
    }

    /// What was told and comes due first.
    pub(crate) fn next_scheduled(&self) -> Option<&ScheduledEvent> {
        self.scheduled.iter().min_by_key(|event| event.at)
    }

    /// When something happens to it next, or it is forgotten, as far as that is known now.
    pub fn wakes_at(&self) -> Option<Instant> {
        let own = self.next.map(|step| step.at);
        let scheduled = self.next_scheduled().map(|event| event.at);
        own.into_iter().chain(scheduled).min()
    }

    fn may_do(&self, kind: StepKind) -> bool {
        match kind {
            StepKind::Proceed => self.state.is_active(),
            StepKind::Fail => self.state.may_fail(),
            StepKind::Repair => self.state == MachineState::Failed,
            StepKind::Forget => self.state == MachineState::Terminated,
        }
    }
}

/// What a machine is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachine {
    /// Its id.
    pub id: MachineId,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its name.
    pub name: Name,
    /// Its machine type.
    pub machine_type: Code,
    /// Its tags.
    pub tags: Tags,
    /// What it refuses.
    pub protection: Protection,
    /// Whether it goes on to RUNNING; else it ends STOPPED.
    pub start: bool,
}

/// What came of a command: the machine as it is now and the events that made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The machine.
    pub machine: Machine,
    /// What happened, settling included; its version grew by their number.
    pub events: Vec<MachineEvent>,
    /// Whether the command itself changed anything; false where it found its work done.
    pub changed: bool,
    /// What refused the command, where the world did; the events tell, and are to be kept all the same.
    pub struck_down: Option<Box<StruckDown>>,
}

impl Machine {
    /// Makes a machine at `now` and lets happen what takes no time.
    pub fn create(new: NewMachine, now: Instant, rules: &Rules) -> Outcome {
        Self::create_in(new, None, now, rules)
    }

    /// As [`Machine::create`], in a cluster that faults and outages may select by its region or its name.
    ///
    /// Where one of them refuses it, the machine of the outcome never was, and the events are all that is left of it.
    pub fn create_in(new: NewMachine, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> Outcome {
        let mut data = MachineData {
            id: new.id,
            cluster_id: new.cluster_id,
            name: new.name,
            machine_type: new.machine_type,
            tags: new.tags,
            protection: new.protection,
            state: MachineState::Provisioning,
            state_changed_at: now,
            in_progress: Some(InProgress {
                cause: Cause::Create,
                from: None,
                to: if new.start { MachineState::Running } else { MachineState::Stopped },
                machine_type: None,
            }),
            next: None,
            reason: None,
            deleted: false,
            ordinal: 1,
            attempt: 0,
            faults: Vec::new(),
            scheduled: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let outage = rules.outage(cluster, now);
        let struck = if outage.is_some() { Struck::default() } else { data.draw_first(cluster, rules) };
        let mut created = MachineEvent { machine: data.id, version: 1, at: now, change: Change::created(&data) };
        let why = if outage.is_some() { WorldRefusal::RegionOutage } else { WorldRefusal::Fault };
        let struck_down = outage.or_else(|| struck.by.and_then(Fault::strikes_down));
        if struck_down.is_some() {
            created = created.refused(why).unwrap_or(created);
        }
        let mut machine = Self(data);
        let mut events = vec![created];
        events.extend(struck.told.into_iter().map(|change| machine.happen(now, change)));
        if struck_down.is_none() {
            let settled = machine.settle_in(cluster, now, rules);
            events.extend(settled.events);
            machine = settled.machine;
        }
        Outcome { machine, events, changed: true, struck_down }
    }

    /// When the active state it is in ends; none at rest, or where it is stuck.
    pub fn due_at(&self) -> Option<Instant> {
        self.next.filter(|_| self.state.is_active()).map(|step| step.at)
    }

    /// Whether it is in an active state without an end of its own.
    pub fn is_stuck(&self) -> bool {
        self.state.is_active() && self.next.is_none()
    }

    /// Whether it holds its name: until it is TERMINATED.
    pub fn holds_name(&self) -> bool {
        self.state != MachineState::Terminated
    }

    /// Whether, at `now`, it does not exist any more.
    pub fn is_forgotten(&self, now: Instant) -> bool {
        self.next.is_some_and(|step| step.kind == StepKind::Forget && step.at <= now)
    }

    /// The operations that, not forced, would change it now.
    pub fn allowed_operations(&self) -> Vec<Operation> {
        crate::lifecycle::operations_from(self.state).filter(|operation| !self.protection.refuses(*operation)).collect()
    }

    pub(crate) fn data_mut(&mut self) -> &mut MachineData {
        &mut self.0
    }
}
