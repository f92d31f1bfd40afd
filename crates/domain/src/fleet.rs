//! Fleet operations: one operation over many machines, each of which is decided on its own.

use crate::lifecycle::Operation;

crate::lifecycle::codes! {
    /// What a fleet operation does with its machines.
    FleetKind {
        /// Makes them.
        Create = 1 "CREATE",
        /// Starts them.
        Start = 2 "START",
        /// Stops them.
        Stop = 3 "STOP",
        /// Reboots them.
        Reboot = 4 "REBOOT",
        /// Suspends them.
        Suspend = 5 "SUSPEND",
        /// Resumes them.
        Resume = 6 "RESUME",
        /// Gives them another machine type.
        Resize = 7 "RESIZE",
        /// Terminates them.
        Terminate = 8 "TERMINATE",
        /// Adds and removes tags.
        Tag = 9 "TAG",
        /// Deletes those of a cluster, and then the cluster.
        DeleteCluster = 10 "DELETE_CLUSTER",
    }
}

impl From<Operation> for FleetKind {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Start => Self::Start,
            Operation::Stop => Self::Stop,
            Operation::Reboot => Self::Reboot,
            Operation::Suspend => Self::Suspend,
            Operation::Resume => Self::Resume,
            Operation::Resize => Self::Resize,
            Operation::Terminate => Self::Terminate,
        }
    }
}

crate::lifecycle::codes! {
    /// How far a fleet operation is.
    FleetState {
        /// Accepted, and not begun.
        Pending = 1 "PENDING",
        /// Begun, and not ended.
        Running = 2 "RUNNING",
        /// Ended, and no machine refused.
        Succeeded = 3 "SUCCEEDED",
        /// Ended, and some machines refused, or what was to follow them did not.
        Partial = 4 "PARTIAL",
        /// Ended, and every machine refused.
        Failed = 5 "FAILED",
        /// Ended before its time. What was done stays done.
        Cancelled = 6 "CANCELLED",
    }
}

impl FleetState {
    /// Whether nothing happens to it any more.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

crate::lifecycle::codes! {
    /// What came of a fleet operation for one machine.
    FleetOutcome {
        /// The machine did what was asked, or began to.
        Done = 1 "DONE",
        /// There was nothing to change.
        Unchanged = 2 "UNCHANGED",
        /// No transition leads from its state by the operation.
        IllegalTransition = 10 "ILLEGAL_TRANSITION",
        /// It is on its way from one state to another.
        OperationInProgress = 11 "OPERATION_IN_PROGRESS",
        /// It is protected.
        Protected = 12 "PROTECTED",
        /// It is TERMINATED and cannot be changed.
        MachineTerminated = 13 "MACHINE_TERMINATED",
        /// Another machine of the cluster has the name.
        NameTaken = 14 "NAME_TAKEN",
        /// The cluster does not exist any more.
        UnknownCluster = 15 "UNKNOWN_CLUSTER",
        /// It would have more tags than a machine may have.
        InvalidTags = 16 "INVALID_TAGS",
        /// More happened to it than is walked through.
        SettleLimit = 17 "SETTLE_LIMIT",
        /// Others changed it each time.
        Contention = 18 "CONTENTION",
        /// The pool of its type in its region has no place left.
        InsufficientCapacity = 20 "INSUFFICIENT_CAPACITY",
        /// A fault refused it.
        StruckDown = 21 "FAULT",
        /// Its region is out.
        RegionOutage = 22 "REGION_OUTAGE",
        /// Of the operation itself: machines were made in the cluster meanwhile, which stays.
        ClusterNotEmpty = 19 "CLUSTER_NOT_EMPTY",
    }
}

impl FleetOutcome {
    /// Whether the machine refused.
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::Done | Self::Unchanged)
    }
}

/// How many machines a fleet operation has decided, and how.
///
/// ```
/// use cloudm_domain::{FleetOutcome, FleetProgress, FleetState};
/// let mut progress = FleetProgress::default();
/// progress.add(FleetOutcome::Done);
/// progress.add(FleetOutcome::Protected);
/// assert_eq!((progress.matched(), progress.ending()), (2, FleetState::Partial));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FleetProgress {
    /// Those that did what was asked, or began to.
    pub done: u64,
    /// Those with nothing to change.
    pub unchanged: u64,
    /// Those that refused.
    pub rejected: u64,
}

impl FleetProgress {
    /// All that were decided: always the sum of the others.
    pub const fn matched(&self) -> u64 {
        self.done.saturating_add(self.unchanged).saturating_add(self.rejected)
    }

    /// Counts one more machine.
    pub fn add(&mut self, outcome: FleetOutcome) {
        let count = match outcome {
            FleetOutcome::Done => &mut self.done,
            FleetOutcome::Unchanged => &mut self.unchanged,
            _ => &mut self.rejected,
        };
        *count = count.saturating_add(1);
    }

    /// How an operation ends that has decided all its machines.
    pub const fn ending(&self) -> FleetState {
        match (self.rejected, self.done.saturating_add(self.unchanged)) {
            (0, _) => FleetState::Succeeded,
            (_, 0) => FleetState::Failed,
            _ => FleetState::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_adds_up_in_every_ending() {
        let endings = [
            (vec![], FleetState::Succeeded),
            (vec![FleetOutcome::Done, FleetOutcome::Unchanged], FleetState::Succeeded),
            (vec![FleetOutcome::Done, FleetOutcome::NameTaken], FleetState::Partial),
            (vec![FleetOutcome::Unchanged, FleetOutcome::Protected], FleetState::Partial),
            (vec![FleetOutcome::Protected], FleetState::Failed),
        ];
        for (outcomes, ending) in endings {
            let mut progress = FleetProgress::default();
            outcomes.iter().for_each(|outcome| progress.add(*outcome));
            assert_eq!(progress.ending(), ending, "{outcomes:?}");
            assert_eq!(progress.matched(), outcomes.len() as u64);
            assert!(ending.is_ended());
        }
        assert!(!FleetState::Pending.is_ended() && !FleetState::Running.is_ended());
    }
}
