//! Why a use case was not carried out.

use cloudm_domain::{
    Code, FleetState, Instant, InvalidBehaviour, InvalidCapacity, InvalidFault, InvalidSchedule, InvalidText,
    MachineState, Name, Refusal, StruckDown, TooManySteps,
};

use crate::ports::StoreError;

/// Why a use case was not carried out. It changed nothing, but for [`StoreError::Unavailable`], after which it may have.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No machine has this id, or it is forgotten.
    #[error("no machine has this id")]
    NoSuchMachine,
    /// No cluster has this id.
    #[error("no cluster has this id")]
    NoSuchCluster,
    /// The machine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another cluster of the world, or another machine of the cluster, has the name.
    #[error("the name is taken")]
    NameTaken,
    /// The cluster has machines that are not TERMINATED.
    #[error("the cluster has machines")]
    ClusterNotEmpty,
    /// The world has as many clusters as it may.
    #[error("the world has no room for another cluster")]
    TooManyClusters,
    /// The catalogue has no such region.
    #[error("there is no region '{0}'")]
    UnknownRegion(Code),
    /// The catalogue has no such machine type.
    #[error("there is no machine type '{0}'")]
    UnknownMachineType(Code),
    /// The world has no cluster of this name.
    #[error("there is no cluster '{0}'")]
    UnknownCluster(Name),
    /// The pool of the machine type in the region has no place left.
    #[error("there is no room for another machine of type '{machine_type}' in region '{region_code}'")]
    InsufficientCapacity {
        /// The region.
        region_code: Code,
        /// The machine type.
        machine_type: Code,
    },
    /// A fault refused it, or its region is out.
    #[error("{0}")]
    StruckDown(Box<StruckDown>),
    /// No fault has this id, or it was removed.
    #[error("no fault has this id")]
    NoSuchFault,
    /// The fault could never do anything, or makes no sense.
    #[error(transparent)]
    InvalidFault(#[from] InvalidFault),
    /// The world has as many faults as it may.
    #[error("the world has no room for another fault")]
    TooManyFaults,
    /// The schedule has no entry with this id.
    #[error("the schedule has no entry with this id")]
    NoSuchScheduleEntry,
    /// The entry of the schedule makes no sense.
    #[error(transparent)]
    InvalidSchedule(#[from] InvalidSchedule),
    /// Machines were told of the entry of the schedule, and it comes to pass.
    #[error("machines were told of it at {at}")]
    Announced {
        /// When.
        at: Instant,
    },
    /// A scenario makes no sense.
    #[error("a part of the scenario makes no sense: {why}")]
    InvalidScenario {
        /// The part.
        part: ScenarioPart,
        /// What is wrong with it.
        why: Box<Error>,
    },
    /// There are more machines than a scenario has.
    #[error("a scenario has at most {} machines", crate::ports::Scenario::MAX_MACHINES)]
    TooManyMachines,
    /// The capacity makes no sense.
    #[error(transparent)]
    InvalidCapacity(#[from] InvalidCapacity),
    /// The machine did not come to the state in time.
    #[error("the machine is still {state}")]
    WaitTimeout {
        /// The state that it is in.
        state: MachineState,
    },
    /// The machine will not come to the state any more.
    #[error("the machine has ended")]
    Unreachable {
        /// The state that it is in; none where it is forgotten.
        state: Option<MachineState>,
    },
    /// No fleet operation has this id, or it is forgotten.
    #[error("no operation has this id")]
    NoSuchOperation,
    /// The world has as many fleet operations that have not ended as it may.
    #[error("the world has no room for another operation")]
    TooManyOperations,
    /// The template does not make a name for each machine.
    #[error("the names are no names: {0}")]
    InvalidTemplate(InvalidText),
    /// The fleet operation did not end in time.
    #[error("the operation is still {state}")]
    OperationTimeout {
        /// The state that it is in.
        state: FleetState,
    },
    /// Fleet operations are under way that whoever moves the clock waits for.
    #[error("fleet operations are under way")]
    OperationsRunning,
    /// No world has this name, or it has gone while it was asked.
    #[error("there is no such world")]
    NoSuchWorld,
    /// Another world has the name.
    #[error("another world has the name")]
    WorldNameTaken,
    /// The store has as many worlds as it may.
    #[error("there is no room for another world")]
    TooManyWorlds,
    /// The world `default` always exists.
    #[error("the world default is not deleted; it can be reset")]
    DefaultWorld,
    /// The instant is in the world's past.
    #[error("the world's clock says {now}, and never goes back")]
    InThePast {
        /// What the clock says.
        now: Instant,
    },
    /// The instant is in the world's future.
    #[error("the world's clock says {now}")]
    InTheFuture {
        /// What the clock says.
        now: Instant,
    },
    /// The instant is before the world's history.
    #[error("the world's history begins at {start}")]
    BeforeHistory {
        /// When it begins.
        start: Instant,
    },
    /// An interval ends before it begins.
    #[error("the interval ends before it begins")]
    InvalidInterval,
    /// More happened up to an instant than is walked through for one request.
    #[error("more than {limit} things had happened by then")]
    TooMuchHistory {
        /// The bound.
        limit: usize,
    },
    /// The clock would reach the end of time.
    #[error("the world's clock ends before {}", Instant::MAX)]
    EndOfTime,
    /// The behaviour makes no sense.
    #[error("the behaviour makes no sense")]
    InvalidBehaviour(Vec<InvalidBehaviour>),
    /// The rules of the world were changed as often as they may.
    #[error("the world's rules were changed as often as they may be")]
    TooManyRules,
    /// The resource does not have a version that the request asks for.
    #[error("the version is {current}")]
    VersionMismatch {
        /// The version it has.
        current: u64,
    },
    /// The snapshot is not whole, or not one.
    #[error("line {line} of the snapshot: {why}")]
    InvalidSnapshot {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The page token was not made by this service for this list.
    #[error("the page token does not belong to this list")]
    InvalidPageToken,
    /// The position was not made by this world's store.
    #[error("the position is none")]
    InvalidPosition,
    /// The position is of another world, or of a history of this one that is no more.
    #[error("the position is of another history")]
    PositionGone,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// A request with the idempotency key is under way.
    #[error("a request with this idempotency key is under way")]
    IdempotencyInFlight,
    /// More happened to a machine than is walked through for one request.
    #[error(transparent)]
    SettleLimit(#[from] TooManySteps),
    /// More is due in the world than is settled for one request.
    #[error("the world is settling")]
    Settling,
    /// Others changed the resource each time.
    #[error("too many others are changing the resource")]
    Contention,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// A part of a scenario, with its place among those of its kind, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScenarioPart {
    /// Its behaviour.
    Behaviour,
    /// A pool, in the order of region and machine type.
    Pool(usize),
    /// A fault.
    Fault(usize),
    /// An entry of the schedule.
    Schedule(usize),
    /// A cluster.
    Cluster(usize),
    /// Machines that are alike.
    Machines(usize),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownPosition => Self::InvalidPosition,
            StoreError::PositionGone => Self::PositionGone,
            other => Self::Store(other),
        }
    }
}

impl Error {
    /// Whether the world that was asked is no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::NoSuchWorld | Self::Store(StoreError::WorldGone))
    }

    /// After how many seconds it makes sense to try again; none where it does not, unless something else changes.
    pub fn retry_after_secs(&self) -> Option<u32> {
        match self {
            Self::OperationsRunning | Self::TooManyOperations => Some(5),
            Self::IdempotencyInFlight | Self::SettleLimit(_) | Self::Settling | Self::Contention => Some(1),
            Self::Store(StoreError::Unavailable(_)) => Some(2),
            _ => None,
        }
    }
}
