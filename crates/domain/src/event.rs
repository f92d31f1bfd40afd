//! Events: what happened to a machine, small enough to keep for ever.
//!
//! Events are the only thing that changes a machine. [`fold`] makes the machine from its events, so its history is the
//! whole truth about it.

use crate::effect::EffectKind;
use crate::id::{ClusterId, FaultId, MachineId};
use crate::lifecycle::{Cause, MachineState};
use crate::machine::{InProgress, InvalidMachine, Machine, MachineData, Protection, Reason, Step, StepKind};
use crate::name::{Code, Name, Tags};
use crate::schedule::ScheduledEvent;
use crate::time::Instant;

/// One fact that happened to a machine. (machine, version) names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MachineEvent {
    /// The machine.
    pub machine: MachineId,
    /// The machine's version with it: the first event has 1.
    pub version: u64,
    /// When it happened: for what was due, the instant at which it was due, however late it was written.
    pub at: Instant,
    /// What happened.
    pub change: Change,
}

/// What an event changed. It carries what was drawn, so that a fold needs no rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Change {
    /// The machine was made and entered PROVISIONING.
    Created(Box<Created>),
    /// A client changed its name, tags or protection; what is absent stayed.
    Edited {
        /// The new name.
        name: Option<Name>,
        /// The new tags.
        tags: Option<Tags>,
        /// The new protection.
        protection: Option<Protection>,
    },
    /// A client asked for it to be forgotten once it is TERMINATED.
    DeleteRequested,
    /// It entered a state.
    Entered(Entered),
    /// The world refused what a client asked of it. It stays as it is, but its next draw is another one.
    Refused {
        /// What was asked.
        cause: Cause,
        /// Why it was refused.
        why: WorldRefusal,
    },
    /// The world refused to make it. It never was, and no event follows but those of the faults that made it so: it is as one that was forgotten at once.
    CreationRefused {
        /// What it was to be.
        created: Box<Created>,
        /// Why it was refused.
        why: WorldRefusal,
    },
    /// A fault matched what happens to it, and the next event is as the fault makes it.
    FaultMatched {
        /// The fault.
        fault: FaultId,
        /// What it does; nothing where it let the match pass.
        effect: Option<EffectKind>,
    },
    /// It was told what is going to be done to it.
    Announced(ScheduledEvent),
    /// What it was told came due. Where it is in a state in which it is done, the next event is that of the state that it
    /// enters by it.
    CameDue {
        /// What it was told.
        event: ScheduledEvent,
        /// What happens next in place of what was to; nothing where that stays.
        next: Option<Step>,
    },
    /// The same as [`Change::FaultMatched`], of a fault whose matches are counted for the whole world.
    FaultMatchedInWorld {
        /// The fault.
        fault: FaultId,
        /// What it does; nothing where it let the match pass.
        effect: Option<EffectKind>,
        /// Which match of the fault it is, from 1.
        number: u64,
    },
}

/// A match of a fault, as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultMatch {
    /// The fault.
    pub fault: FaultId,
    /// What it does; nothing where it let the match pass.
    pub effect: Option<EffectKind>,
    /// Which match of all in the world it is, from 1, where those are counted.
    pub number: Option<u64>,
}

crate::lifecycle::codes! {
    /// Why the world refuses what would be possible otherwise.
    WorldRefusal {
        /// The pool of the machine's type in its region has no place left.
        InsufficientCapacity = 1 "INSUFFICIENT_CAPACITY",
        /// A fault made it so.
        Fault = 2 "FAULT",
        /// The machine's region is out.
        RegionOutage = 3 "REGION_OUTAGE",
    }
}

/// The first event of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Created {
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its name.
    pub name: Name,
    /// Its machine type.
    pub machine_type: Code,
    /// Its tags.
    pub tags: Tags,
    /// Its protection.
    pub protection: Protection,
    /// The resting state in which its creation ends.
    pub to: MachineState,
    /// What was drawn to happen next.
    pub next: Option<Step>,
}

/// A state was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entered {
    /// The state.
    pub state: MachineState,
    /// What brought it about.
    pub cause: Cause,
    /// The resting state in which the transition ends; `state` itself at its end.
    pub to: MachineState,
    /// What was drawn to happen next.
    pub next: Option<Step>,
    /// Why, where nobody asked for it.
    pub reason: Option<Reason>,
    /// The machine type on its way, for a RESIZE.
    pub machine_type: Option<Code>,
}

crate::lifecycle::codes! {
    /// The kind of an event, for people and counts.
    EventKind {
        /// The machine was made.
        Created = 1 "CREATED",
        /// Its name, tags or protection were changed.
        Edited = 2 "EDITED",
        /// Its deletion was asked for.
        DeleteRequested = 3 "DELETE_REQUESTED",
        /// It entered a state.
        StateEntered = 4 "STATE_ENTERED",
        /// The world refused what was asked of it, or to make it.
        Refused = 5 "REFUSED",
        /// A fault matched what happens to it.
        FaultMatched = 6 "FAULT_MATCHED",
        /// It was told what is going to be done to it.
        Announced = 7 "ANNOUNCED",
        /// What it was told came due.
        CameDue = 8 "CAME_DUE",
    }
}

impl Change {
    /// Its kind.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Created(_) => EventKind::Created,
            Self::Edited { .. } => EventKind::Edited,
            Self::DeleteRequested => EventKind::DeleteRequested,
            Self::Entered(_) => EventKind::StateEntered,
            Self::Refused { .. } | Self::CreationRefused { .. } => EventKind::Refused,
            Self::FaultMatched { .. } | Self::FaultMatchedInWorld { .. } => EventKind::FaultMatched,
            Self::Announced(_) => EventKind::Announced,
            Self::CameDue { .. } => EventKind::CameDue,
        }
    }

    pub(crate) fn created(data: &MachineData) -> Self {
        Self::Created(Box::new(Created {
            cluster_id: data.cluster_id,
            name: data.name.clone(),
            machine_type: data.machine_type.clone(),
            tags: data.tags.clone(),
            protection: data.protection,
            to: data.in_progress.as_ref().map_or(data.state, |change| change.to),
            next: data.next,
        }))
    }

    /// The match of a fault, where it tells of one.
    pub const fn fault_match(&self) -> Option<FaultMatch> {
        match *self {
            Self::FaultMatched { fault, effect } => Some(FaultMatch { fault, effect, number: None }),
            Self::FaultMatchedInWorld { fault, effect, number } => {
                Some(FaultMatch { fault, effect, number: Some(number) })
            }
            _ => None,
        }
    }

    /// Whether it is the first event of a machine, and no other.
    pub const fn begins(&self) -> bool {
        matches!(self, Self::Created(_) | Self::CreationRefused { .. })
    }
}

impl MachineEvent {
    /// What happens in the place of a creation, whose first event this is, where the world refuses it; nothing in the place of
    /// another event.
    pub fn refused(&self, why: WorldRefusal) -> Option<Self> {
        let Change::Created(created) = &self.change else { return None };
        let created = Box::new(Created { next: None, ..Created::clone(created) });
        Some(Self { change: Change::CreationRefused { created, why }, ..self.clone() })
    }
}

/// Why events do not make a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// There is no event.
    #[error("a machine has at least one event")]
    Empty,
    /// The first event is not the creation, or a later one is.
    #[error("the creation is the first event and no other")]
    Creation,
    /// An event is of another machine, does not have the next version, or is earlier than the one before.
    #[error("version {version} is not the next event of this machine")]
    OutOfOrder {
        /// The version of the event.
        version: u64,
    },
    /// An event makes of the machine what no machine can be.
    #[error("version {version}: {why}")]
    Impossible {
        /// The version of the event.
        version: u64,
        /// What is wrong.
        why: InvalidMachine,
    },
}

/// The machine that these events made: all of one machine, from its creation, in order.
///
/// The beginning of a history makes the machine as it was then.
///
/// # Errors
/// When the events are not of one machine, not all of them up to the last, or make what no machine can be.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a MachineEvent>) -> Result<Machine, FoldError> {
    let mut events = events.into_iter();
    let mut machine = begin(events.next().ok_or(FoldError::Empty)?)?;
    for event in events {
        machine.apply(event)?;
    }
    Ok(machine)
}

fn begin(event: &MachineEvent) -> Result<Machine, FoldError> {
    let (created, is_made) = match &event.change {
        Change::Created(created) => (created, true),
        Change::CreationRefused { created, .. } => (created, false),
        _ => return Err(FoldError::Creation),
    };
    if event.version != 1 {
        return Err(FoldError::OutOfOrder { version: event.version });
    }
    let created = created.as_ref().clone();
    possible(MachineData {
        id: event.machine,
        cluster_id: created.cluster_id,
        name: created.name,
        machine_type: created.machine_type,
        tags: created.tags,
        protection: created.protection,
        state: if is_made { MachineState::Provisioning } else { MachineState::Terminated },
        state_changed_at: event.at,
        in_progress: is_made.then_some(InProgress {
            cause: Cause::Create,
            from: None,
            to: created.to,
            machine_type: None,
        }),
        next: if is_made { created.next } else { Some(Step { at: event.at, kind: StepKind::Forget }) },
        reason: None,
        deleted: !is_made,
        ordinal: 1,
        attempt: 0,
        faults: Vec::new(),
        scheduled: Vec::new(),
        version: 1,
        created_at: event.at,
        updated_at: event.at,
    })
}

/// The machine of data that the event with their version made, if a machine can be so.
fn possible(data: MachineData) -> Result<Machine, FoldError> {
    let version = data.version;
    data.try_into().map_err(|why| FoldError::Impossible { version, why })
}

impl Machine {
    /// Lets the next event happen to it. A refused one leaves it as it was.
    ///
    /// # Errors
    /// When the event is not this machine's next, or no machine can be as it says.
    pub fn apply(&mut self, event: &MachineEvent) -> Result<(), FoldError> {
        if event.machine != self.id || event.version != self.version + 1 || event.at < self.updated_at {
            return Err(FoldError::OutOfOrder { version: event.version });
        }
        if event.change.begins() {
            return Err(FoldError::Creation);
        }
        let mut data = MachineData::clone(self);
        data.apply(event.at, &event.change);
        *self = possible(data)?;
        Ok(())
    }

    /// Makes the change happen at `at`, as the machine's next event.
    pub(crate) fn happen(&mut self, at: Instant, change: Change) -> MachineEvent {
        self.data_mut().apply(at, &change);
        MachineEvent { machine: self.id, version: self.version, at, change }
    }
}

impl MachineData {
    fn apply(&mut self, at: Instant, change: &Change) {
        self.version += 1;
        self.updated_at = at;
        match change {
            Change::Created(_) | Change::CreationRefused { .. } | Change::FaultMatchedInWorld { .. } => {}
            Change::Refused { .. } => self.attempt = self.attempt.saturating_add(1),
            Change::FaultMatched { fault, .. } => self.count_match(*fault),
            Change::Announced(event) => self.scheduled.push(*event),
            Change::CameDue { event, next } => {
                self.scheduled.retain(|told| told.entry != event.entry);
                self.next = next.or(self.next);
            }
            Change::Edited { name, tags, protection } => {
                name.clone_into_place(&mut self.name);
                tags.clone_into_place(&mut self.tags);
                protection.clone_into_place(&mut self.protection);
            }
            Change::DeleteRequested => {
                self.deleted = true;
                if self.state == MachineState::Terminated {
                    self.next = Some(Step { at, kind: StepKind::Forget });
                }
            }
            Change::Entered(entered) => self.enter(at, entered),
        }
    }

    fn enter(&mut self, at: Instant, entered: &Entered) {
        let left = self.in_progress.take();
        if entered.cause == Cause::Resize
            && !entered.state.is_active()
            && let Some(machine_type) = left.and_then(|change| change.machine_type)
        {
            self.machine_type = machine_type;
        }
        self.in_progress = entered.state.is_active().then(|| InProgress {
            cause: entered.cause,
            from: Some(self.state),
            to: entered.to,
            machine_type: entered.machine_type.clone(),
        });
        if entered.state == MachineState::Terminating || entered.state == MachineState::Terminated {
            self.scheduled.clear();
        }
        self.state = entered.state;
        self.state_changed_at = at;
        self.next = entered.next;
        self.reason = entered.reason;
        self.ordinal += 1;
        self.attempt = 0;
    }
}

/// Replaces a value where there is a new one.
trait CloneIntoPlace<T> {
    fn clone_into_place(&self, place: &mut T);
}

impl<T: Clone> CloneIntoPlace<T> for Option<T> {
    fn clone_into_place(&self, place: &mut T) {
        if let Some(value) = self {
            *place = value.clone();
        }
    }
}
