//! Effects: what faults do.

use crate::lifecycle::MachineState;
use crate::time::Span;

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect {
    /// What was asked is refused.
    Refuse(FaultRefusal),
    /// The state ends in FAILED, when it is due to end.
    Fail,
    /// The state has no end of its own, or ends after this long.
    Stick(Option<Span>),
    /// The state ends so much later.
    Delay(Span),
    /// The machine fails so soon after it entered the state.
    Crash(Span),
    /// The request is refused for now: 429, to be tried again after this long of wall time.
    Throttle(Span),
    /// The request is carried out, and its connection is closed before the answer begins.
    LoseReply,
    /// The answer waits for so much wall time.
    SlowReply(Span),
}

/// How a refusal looks to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FaultRefusal {
    /// The code: at most 63 lower-case letters, digits and `_`, the first a letter.
    pub code: String,
    /// The HTTP status, from 400 to 599.
    pub status: u16,
}

crate::lifecycle::codes! {
    /// The kind of an effect.
    EffectKind {
        /// What was asked is refused.
        Refuse = 1 "REFUSE",
        /// The state ends in FAILED.
        Fail = 2 "FAIL",
        /// The state has no end of its own, or another one.
        Stick = 3 "STICK",
        /// The state ends later.
        Delay = 4 "DELAY",
        /// The machine fails.
        Crash = 5 "CRASH",
        /// The request is refused for now.
        Throttle = 6 "THROTTLE",
        /// The answer is lost.
        LoseReply = 7 "LOSE_REPLY",
        /// The answer is late.
        SlowReply = 8 "SLOW_REPLY",
    }
}

impl EffectKind {
    /// Whether it can be done to a machine that enters a state.
    pub(crate) fn is_possible_in(self, state: MachineState) -> bool {
        match self {
            Self::Crash => state.may_fail(),
            Self::Fail => state.is_active() && state.may_fail(),
            Self::Stick | Self::Delay => state.is_active(),
            Self::Refuse | Self::Throttle | Self::LoseReply | Self::SlowReply => false,
        }
    }
}

impl Effect {
    /// Its kind.
    pub const fn kind(&self) -> EffectKind {
        match self {
            Self::Refuse(_) => EffectKind::Refuse,
            Self::Fail => EffectKind::Fail,
            Self::Stick(_) => EffectKind::Stick,
            Self::Delay(_) => EffectKind::Delay,
            Self::Crash(_) => EffectKind::Crash,
            Self::Throttle(_) => EffectKind::Throttle,
            Self::LoseReply => EffectKind::LoseReply,
            Self::SlowReply(_) => EffectKind::SlowReply,
        }
    }
}
