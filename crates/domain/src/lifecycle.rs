//! The lifecycle of a machine: states, operations and the one table of transitions.
//!
//! [`TRANSITIONS`] and [`ALREADY_SO`] say everything about who may go where. Code, documentation and the API's
//! description are made from them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is no code of the kind asked for; it tells those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown code, and none of {}", .known.join(", "))]
pub struct UnknownCode {
    /// The codes of the kind.
    pub known: &'static [&'static str],
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* #[cfg_attr(feature = "serde", serde(rename = $code))] $variant = $number,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            const UNKNOWN: $crate::lifecycle::UnknownCode = $crate::lifecycle::UnknownCode { known: &[$($code,)*] };

            /// The code that requests, answers and logs use.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The number that stores use. It never changes its meaning.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The one with this number.
            ///
            /// # Errors
            /// When there is none.
            pub fn from_number(number: u8) -> Result<Self, $crate::lifecycle::UnknownCode> {
                Self::ALL.iter().copied().find(|one| one.number() == number).ok_or(Self::UNKNOWN)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.code())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::lifecycle::UnknownCode;

            /// Reads a code, in upper or lower case.
            fn from_str(text: &str) -> Result<Self, $crate::lifecycle::UnknownCode> {
                Self::ALL.iter().copied().find(|one| one.code().eq_ignore_ascii_case(text)).ok_or(Self::UNKNOWN)
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// Where a machine is in its life: at rest, or active, on its way.
    MachineState {
        /// Being made.
        Provisioning = 1 "PROVISIONING",
        /// On its way to RUNNING.
        Starting = 2 "STARTING",
        /// At work.
        Running = 3 "RUNNING",
        /// On its way to STOPPED.
        Stopping = 4 "STOPPING",
        /// At rest, without memory.
        Stopped = 5 "STOPPED",
        /// On its way to SUSPENDED.
        Suspending = 6 "SUSPENDING",
        /// At rest, its memory kept.
        Suspended = 7 "SUSPENDED",
        /// On its way from SUSPENDED to RUNNING.
        Resuming = 8 "RESUMING",
        /// On its way from RUNNING to RUNNING.
        Rebooting = 9 "REBOOTING",
        /// Getting another machine type.
        Updating = 10 "UPDATING",
        /// Something went wrong.
        Failed = 11 "FAILED",
        /// Being repaired by the world.
        Repairing = 12 "REPAIRING",
        /// Being moved by the world.
        Migrating = 13 "MIGRATING",
        /// On its way to TERMINATED.
        Terminating = 14 "TERMINATING",
        /// The end.
        Terminated = 15 "TERMINATED",
    }
}

codes! {
    /// What a client asks of a machine.
    Operation {
        /// Bring it to RUNNING.
        Start = 1 "START",
        /// Bring it to STOPPED.
        Stop = 2 "STOP",
        /// Bring it to RUNNING anew.
        Reboot = 3 "REBOOT",
        /// Bring it to SUSPENDED.
        Suspend = 4 "SUSPEND",
        /// Bring it from SUSPENDED to RUNNING.
        Resume = 5 "RESUME",
        /// Give it another machine type.
        Resize = 6 "RESIZE",
        /// End it.
        Terminate = 7 "TERMINATE",
    }
}

codes! {
    /// What brought a transition about: an operation, the machine's creation, or the world itself.
    Cause {
        /// An operation START.
        Start = 1 "START",
        /// An operation STOP.
        Stop = 2 "STOP",
        /// An operation REBOOT.
        Reboot = 3 "REBOOT",
        /// An operation SUSPEND.
        Suspend = 4 "SUSPEND",
        /// An operation RESUME.
        Resume = 5 "RESUME",
        /// An operation RESIZE.
        Resize = 6 "RESIZE",
        /// An operation TERMINATE.
        Terminate = 7 "TERMINATE",
        /// The machine's creation.
        Create = 8 "CREATE",
        /// The world: something went wrong.
        Failure = 9 "FAILURE",
        /// The world: a failure is repaired.
        Repair = 10 "REPAIR",
        /// The world: the machine is moved.
        Migration = 11 "MIGRATION",
        /// The world: the machine's place is taken back.
        Preemption = 12 "PREEMPTION",
        /// The world: the machine's host is maintained.
        Maintenance = 13 "MAINTENANCE",
        /// The world: the machine's region is out.
        Outage = 14 "OUTAGE",
    }
}

impl Cause {
    /// Whether nobody asks for it: it happens to a machine.
    pub const fn is_of_the_world(self) -> bool {
        match self {
            Self::Start
            | Self::Stop
            | Self::Reboot
            | Self::Suspend
            | Self::Resume
            | Self::Resize
            | Self::Terminate
            | Self::Create => false,
            Self::Failure | Self::Repair | Self::Migration | Self::Preemption | Self::Maintenance | Self::Outage => {
                true
            }
        }
    }
}

impl From<Operation> for Cause {
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

use MachineState as S;

impl MachineState {
    /// Whether a machine in this state is on its way to another.
    pub const fn is_active(self) -> bool {
        !matches!(self, S::Running | S::Stopped | S::Suspended | S::Failed | S::Terminated)
    }

    /// Whether the world may let this state end in FAILED.
    pub fn may_fail(self) -> bool {
        MAY_FAIL.contains(&self)
    }
}

/// When a row of [`TRANSITIONS`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Only when the operation is forced.
    Forced,
    /// Only when the operation is forced and the machine is stuck in its active state.
    ForcedAndStuck,
}

/// One row of the table: what leads from which states, by way of which, to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What brings it about.
    pub cause: Cause,
    /// When it does.
    pub when: When,
    /// The states it leads from; none for a creation.
    pub from: &'static [MachineState],
    /// The active states on the way, in order; none where the change is immediate.
    pub via: &'static [MachineState],
    /// The state in which it ends.
    pub to: MachineState,
}

const fn row(
    cause: Cause,
    when: When,
    from: &'static [MachineState],
    via: &'static [MachineState],
    to: MachineState,
) -> Transition {
    Transition { cause, when, from, via, to }
}

/// The states that the world may let end in FAILED.
const MAY_FAIL: &[MachineState] = &[
    S::Provisioning,
    S::Starting,
    S::Resuming,
    S::Rebooting,
    S::Suspending,
    S::Updating,
    S::Repairing,
    S::Migrating,
    S::Running,
];

/// Every transition there is. What is not here is refused.
///
/// The first row that fits holds. Any active state may stick: then it has no end of its own.
pub const TRANSITIONS: &[Transition] = &[
    row(Cause::Create, When::Always, &[], &[S::Provisioning, S::Starting], S::Running),
    row(Cause::Create, When::Always, &[], &[S::Provisioning], S::Stopped),
    row(Cause::Start, When::Always, &[S::Stopped, S::Failed], &[S::Starting], S::Running),
    row(Cause::Start, When::Always, &[S::Suspended], &[S::Resuming], S::Running),
    row(Cause::Stop, When::Always, &[S::Running, S::Failed], &[S::Stopping], S::Stopped),
    row(Cause::Stop, When::Always, &[S::Suspended], &[], S::Stopped),
    row(Cause::Stop, When::Forced, &[S::Starting, S::Rebooting, S::Resuming], &[S::Stopping], S::Stopped),
    row(
        Cause::Stop,
        When::ForcedAndStuck,
        &[S::Provisioning, S::Stopping, S::Suspending, S::Updating, S::Repairing, S::Migrating],
        &[S::Stopping],
        S::Stopped,
    ),
    row(Cause::Reboot, When::Always, &[S::Running], &[S::Rebooting], S::Running),
    row(Cause::Reboot, When::Forced, &[S::Failed], &[S::Rebooting], S::Running),
    row(Cause::Suspend, When::Always, &[S::Running], &[S::Suspending], S::Suspended),
    row(Cause::Resume, When::Always, &[S::Suspended], &[S::Resuming], S::Running),
    row(Cause::Resize, When::Always, &[S::Stopped], &[S::Updating], S::Stopped),
    row(
        Cause::Terminate,
        When::Always,
        &[
            S::Provisioning,
            S::Starting,
            S::Running,
            S::Stopping,
            S::Stopped,
            S::Suspending,
            S::Suspended,
            S::Resuming,
            S::Rebooting,
            S::Updating,
            S::Failed,
            S::Repairing,
            S::Migrating,
        ],
        &[S::Terminating],
        S::Terminated,
    ),
    row(Cause::Terminate, When::ForcedAndStuck, &[S::Terminating], &[S::Terminating], S::Terminated),
    row(Cause::Failure, When::Always, MAY_FAIL, &[], S::Failed),
    row(Cause::Repair, When::Always, &[S::Failed], &[S::Repairing], S::Running),
    row(Cause::Migration, When::Always, &[S::Running], &[S::Migrating], S::Running),
    row(
        Cause::Preemption,
        When::Always,
        &[
            S::Provisioning,
            S::Starting,
            S::Running,
            S::Suspending,
            S::Suspended,
            S::Resuming,
            S::Rebooting,
            S::Failed,
            S::Repairing,
            S::Migrating,
        ],
        &[S::Terminating],
        S::Terminated,
    ),
    row(Cause::Maintenance, When::Always, &[S::Running], &[S::Stopping], S::Stopped),
    row(Cause::Outage, When::Always, MAY_FAIL, &[], S::Failed),
];

/// The states in which an operation finds its work done or under way: it succeeds and nothing changes.
///
/// A RESIZE to the machine's own type, or to the one it is getting, is so in every state.
pub const ALREADY_SO: &[(Operation, &[MachineState])] = &[
    (Operation::Start, &[S::Running, S::Starting, S::Resuming]),
    (Operation::Stop, &[S::Stopped, S::Stopping]),
    (Operation::Reboot, &[S::Rebooting]),
    (Operation::Suspend, &[S::Suspended, S::Suspending]),
    (Operation::Resume, &[S::Running, S::Resuming]),
    (Operation::Resize, &[]),
    (Operation::Terminate, &[S::Terminated, S::Terminating]),
];

/// The row by which `cause` leads from `state`, if any.
pub fn transition(cause: Cause, state: MachineState, forced: bool, stuck: bool) -> Option<&'static Transition> {
    TRANSITIONS.iter().find(|row| {
        let holds = match row.when {
            When::Always => true,
            When::Forced => forced,
            When::ForcedAndStuck => forced && stuck,
        };
        holds && row.cause == cause && row.from.contains(&state)
    })
}

/// The state that follows `state` on the way of `cause` to the resting state `to`; `to` itself at the end of the way.
pub(crate) fn state_after(cause: Cause, state: MachineState, to: MachineState) -> MachineState {
    let on_its_way = |row: &&Transition| row.cause == cause && row.to == to && row.via.contains(&state);
    let via = TRANSITIONS.iter().find(on_its_way).map_or(&[][..], |row| row.via);
    let here = via.iter().position(|one| *one == state);
    here.and_then(|here| via.get(here + 1)).copied().unwrap_or(to)
}

/// Whether `operation` finds its work done or under way in `state`.
pub fn already_so(operation: Operation, state: MachineState) -> bool {
    ALREADY_SO.iter().any(|(one, states)| *one == operation && states.contains(&state))
}

/// The operations that, not forced, change a machine in `state`, its protection aside.
pub fn operations_from(state: MachineState) -> impl Iterator<Item = Operation> {
    // Every answer that shows a machine says them, so the table is searched once.
    static FROM: LazyLock<BTreeMap<MachineState, Vec<Operation>>> = LazyLock::new(|| {
        let lead = |state, operation: &Operation| transition((*operation).into(), state, false, false).is_some();
        let from = |state| Operation::ALL.iter().copied().filter(|operation| lead(state, operation)).collect();
        MachineState::ALL.iter().map(|state| (*state, from(*state))).collect()
    });
    FROM.get(&state).into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_in_any_case_and_numbers_lead_back() {
        for state in MachineState::ALL {
            assert_eq!(state.code().to_lowercase().parse(), Ok(*state));
            assert_eq!(MachineState::from_number(state.number()), Ok(*state));
        }
        let why = "BOOT".parse::<Operation>().unwrap_err().to_string();
        assert_eq!(why, "unknown code, and none of START, STOP, REBOOT, SUSPEND, RESUME, RESIZE, TERMINATE");
        assert!(MachineState::from_number(0).is_err());
    }

    #[test]
    fn every_row_goes_by_active_states_to_a_resting_one() {
        for row in TRANSITIONS {
            assert!(row.via.iter().all(|state| state.is_active()), "{row:?}");
            assert!(!row.to.is_active(), "{row:?}");
        }
    }

    #[test]
    fn every_active_state_is_on_the_way_of_some_row() {
        for state in MachineState::ALL.iter().filter(|state| state.is_active()) {
            assert!(TRANSITIONS.iter().any(|row| row.via.contains(state)), "{state}");
        }
    }

    #[test]
    fn nothing_leads_out_of_terminated() {
        assert!(TRANSITIONS.iter().all(|row| !row.from.contains(&S::Terminated)));
    }

    #[test]
    fn stopping_and_terminating_do_not_fail() {
        let cannot: Vec<_> = MachineState::ALL.iter().filter(|state| state.is_active() && !state.may_fail()).collect();
        assert_eq!(cannot, [&S::Stopping, &S::Terminating]);
    }
}
