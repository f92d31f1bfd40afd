//! Behaviour: how long things take and how often they fail, in a world.

use crate::distribution::{Distribution, InvalidDistribution};
use crate::lifecycle::MachineState;
use crate::time::Span;

/// Odds, in whole millionths from 0 (never) to 1,000,000 (always).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "f64", into = "f64"))]
pub struct Odds(u32);

/// Odds that are out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("odds are a number from 0 to 1")]
pub struct InvalidOdds;

impl Odds {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Odds of so many millionths, of which more than 1,000,000 count as that.
    pub const fn millionths(millionths: u32) -> Self {
        if millionths > 1_000_000 { Self::ALWAYS } else { Self(millionths) }
    }

    /// The millionths.
    pub const fn as_millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Odds {
    type Error = InvalidOdds;

    /// Rounds to whole millionths.
    fn try_from(odds: f64) -> Result<Self, InvalidOdds> {
        if !(0.0..=1.0).contains(&odds) {
            return Err(InvalidOdds);
        }
        Ok(Self(libm::round(odds * 1e6) as u32))
    }
}

impl From<Odds> for f64 {
    fn from(odds: Odds) -> f64 {
        f64::from(odds.0) / 1e6
    }
}

/// How one active state goes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Timing {
    /// How long it takes, also where it then fails.
    pub duration: Distribution,
    /// The odds that it ends in FAILED.
    #[cfg_attr(feature = "serde", serde(default))]
    pub fail: Odds,
    /// The odds that it sticks: it has no end of its own.
    #[cfg_attr(feature = "serde", serde(default))]
    pub stick: Odds,
}

impl Timing {
    /// Takes no time and never goes wrong.
    pub const INSTANT: Self = Self::lasting(Distribution::INSTANT);

    /// Takes this long and never goes wrong.
    pub const fn lasting(duration: Distribution) -> Self {
        Self { duration, fail: Odds::NEVER, stick: Odds::NEVER }
    }
}

/// How machines behave in a world: a timing for each active state, failures of running machines and what follows them.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Behaviour {
    /// PROVISIONING.
    pub provisioning: Timing,
    /// STARTING.
    pub starting: Timing,
    /// STOPPING, which never fails.
    pub stopping: Timing,
    /// SUSPENDING.
    pub suspending: Timing,
    /// RESUMING.
    pub resuming: Timing,
    /// REBOOTING.
    pub rebooting: Timing,
    /// UPDATING.
    pub updating: Timing,
    /// REPAIRING.
    pub repairing: Timing,
    /// MIGRATING.
    pub migrating: Timing,
    /// TERMINATING, which never fails.
    pub terminating: Timing,
    /// The mean time from RUNNING to a failure, exponentially distributed and at least a second; without it a running
    /// machine does not fail.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub mean_time_between_failures: Option<Span>,
    /// How long after a failure the repair begins, at least a second; without it a failed machine stays FAILED.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub repair_after: Option<Distribution>,
}

/// Why a behaviour is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehaviour {
    /// A state's duration makes no sense.
    #[error("{state}: {source}")]
    Duration {
        /// The state.
        state: MachineState,
        /// What is wrong.
        source: InvalidDistribution,
    },
    /// The odds of failing and sticking are together more than 1.
    #[error("{0}: the odds of failing and sticking are together more than 1")]
    Odds(MachineState),
    /// A state that never fails was given odds of failing.
    #[error("{0} never fails, so it has no odds of failing")]
    NeverFails(MachineState),
    /// The mean time between failures is zero.
    #[error("the mean time between failures must be more than zero")]
    MeanTimeBetweenFailures,
    /// The time to repair makes no sense.
    #[error("repair_after: {0}")]
    RepairAfter(InvalidDistribution),
}

impl Behaviour {
    /// The shortest time from RUNNING to a failure and from a failure to its repair, so that a cycle of both never takes
    /// no time.
    pub const SHORTEST_FAILURE_CYCLE: Span = Span::from_secs(1);

    /// The same timing for every active state, no failures of running machines.
    pub const fn uniform(timing: Timing) -> Self {
        Self {
            provisioning: timing,
            starting: timing,
            stopping: timing,
            suspending: timing,
            resuming: timing,
            rebooting: timing,
            updating: timing,
            repairing: timing,
            migrating: timing,
            terminating: timing,
            mean_time_between_failures: None,
            repair_after: None,
        }
    }

    /// The timing of an active state; none for a resting one.
    pub fn timing(&self, state: MachineState) -> Option<&Timing> {
        Some(match state {
            MachineState::Provisioning => &self.provisioning,
            MachineState::Starting => &self.starting,
            MachineState::Stopping => &self.stopping,
            MachineState::Suspending => &self.suspending,
            MachineState::Resuming => &self.resuming,
            MachineState::Rebooting => &self.rebooting,
            MachineState::Updating => &self.updating,
            MachineState::Repairing => &self.repairing,
            MachineState::Migrating => &self.migrating,
            MachineState::Terminating => &self.terminating,
            _ => return None,
        })
    }

    /// Every mistake in it; none where it makes sense.
    ///
    /// A behaviour with mistakes harms nobody who uses it: odds and spans are taken as far as they can be.
    ///
    /// ```
    /// use cloudm_domain::{Behaviour, MachineState, InvalidBehaviour, Odds, Timing};
    /// let mut behaviour = Behaviour::uniform(Timing::INSTANT);
    /// behaviour.terminating.fail = Odds::ALWAYS;
    /// assert_eq!(behaviour.mistakes(), [InvalidBehaviour::NeverFails(MachineState::Terminating)]);
    /// ```
    pub fn mistakes(&self) -> Vec<InvalidBehaviour> {
        let mut mistakes = Vec::new();
        for &state in MachineState::ALL {
            let Some(timing) = self.timing(state) else { continue };
            if let Err(source) = timing.duration.check() {
                mistakes.push(InvalidBehaviour::Duration { state, source });
            }
            if timing.fail != Odds::NEVER && !state.may_fail() {
                mistakes.push(InvalidBehaviour::NeverFails(state));
            }
            if timing.fail.0 + timing.stick.0 > Odds::ALWAYS.0 {
                mistakes.push(InvalidBehaviour::Odds(state));
            }
        }
        if self.mean_time_between_failures == Some(Span::ZERO) {
            mistakes.push(InvalidBehaviour::MeanTimeBetweenFailures);
        }
        if let Some(Err(why)) = self.repair_after.map(|after| after.check()) {
            mistakes.push(InvalidBehaviour::RepairAfter(why));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Bounds;

    #[test]
    fn every_active_state_has_a_timing_and_no_other() {
        let behaviour = Behaviour::uniform(Timing::INSTANT);
        for state in MachineState::ALL {
            assert_eq!(behaviour.timing(*state).is_some(), state.is_active(), "{state}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let mut behaviour = Behaviour::uniform(Timing::INSTANT);
        assert_eq!(behaviour.mistakes(), []);
        behaviour.starting.duration = Distribution::Uniform { bounds: Bounds::secs(2, 1) };
        behaviour.stopping.fail = Odds::millionths(1);
        behaviour.resuming.fail = Odds::millionths(600_000);
        behaviour.resuming.stick = Odds::millionths(600_000);
        behaviour.mean_time_between_failures = Some(Span::ZERO);
        behaviour.repair_after = Some(Distribution::Exponential { mean: Span::ZERO, bounds: Bounds::secs(0, 1) });
        assert_eq!(
            behaviour.mistakes(),
            [
                InvalidBehaviour::Duration { state: MachineState::Starting, source: InvalidDistribution::Bounds },
                InvalidBehaviour::NeverFails(MachineState::Stopping),
                InvalidBehaviour::Odds(MachineState::Resuming),
                InvalidBehaviour::MeanTimeBetweenFailures,
                InvalidBehaviour::RepairAfter(InvalidDistribution::Centre),
            ]
        );
    }
}
