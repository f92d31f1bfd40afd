//! Three behaviours to begin with.

use crate::behaviour::{Behaviour, Odds, Timing};
use crate::distribution::{Bounds, Distribution};
use crate::lifecycle::UnknownCode;
use crate::time::Span;

/// A named behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Preset {
    /// Every transition takes no time and nothing fails.
    #[default]
    Instant,
    /// The times of a public cloud, with the odd failure.
    Realistic,
    /// The times of `realistic`, with failures every few hours, stuck transitions and repairs.
    Flaky,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Instant, Self::Realistic, Self::Flaky];

    const UNKNOWN: UnknownCode =
        UnknownCode { known: &[Self::Instant.name(), Self::Realistic.name(), Self::Flaky.name()] };

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Realistic => "realistic",
            Self::Flaky => "flaky",
        }
    }

    /// What it stands for.
    pub const fn behaviour(self) -> Behaviour {
        match self {
            Self::Instant => Behaviour::uniform(Timing::INSTANT),
            Self::Realistic => realistic(),
            Self::Flaky => flaky(),
        }
    }
}

impl std::str::FromStr for Preset {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or(Self::UNKNOWN)
    }
}

const fn lognormal(median: u64, sigma: f64, bounds: Bounds, fail: u32) -> Timing {
    let duration = Distribution::Lognormal { median: Span::from_secs(median), sigma, bounds };
    Timing { duration, fail: Odds::millionths(fail), stick: Odds::NEVER }
}

const fn realistic() -> Behaviour {
    Behaviour {
        provisioning: lognormal(12, 0.4, Bounds::secs(4, 120), 1_000),
        starting: lognormal(25, 0.4, Bounds::secs(8, 300), 1_000),
        stopping: lognormal(20, 0.6, Bounds::secs(3, 300), 0),
        suspending: lognormal(30, 0.4, Bounds::secs(5, 300), 500),
        resuming: lognormal(15, 0.4, Bounds::secs(3, 180), 500),
        rebooting: lognormal(35, 0.4, Bounds::secs(10, 300), 500),
        updating: lognormal(20, 0.5, Bounds::secs(5, 300), 500),
        repairing: lognormal(120, 0.6, Bounds::secs(30, 1_800), 10_000),
        migrating: lognormal(45, 0.5, Bounds::secs(10, 600), 1_000),
        terminating: lognormal(15, 0.5, Bounds::secs(2, 180), 0),
        mean_time_between_failures: Some(Span::from_secs(180 * 24 * 3600)),
        repair_after: Some(Distribution::Uniform { bounds: Bounds::secs(60, 600) }),
    }
}

const fn flaky() -> Behaviour {
    let mut behaviour = realistic();
    behaviour.provisioning.fail = Odds::millionths(30_000);
    behaviour.provisioning.stick = Odds::millionths(5_000);
    behaviour.starting.fail = Odds::millionths(50_000);
    behaviour.starting.stick = Odds::millionths(10_000);
    behaviour.stopping.stick = Odds::millionths(10_000);
    behaviour.suspending.fail = Odds::millionths(30_000);
    behaviour.resuming.fail = Odds::millionths(50_000);
    behaviour.rebooting.fail = Odds::millionths(50_000);
    behaviour.rebooting.stick = Odds::millionths(10_000);
    behaviour.updating.fail = Odds::millionths(30_000);
    behaviour.repairing.fail = Odds::millionths(200_000);
    behaviour.terminating.stick = Odds::millionths(5_000);
    behaviour.mean_time_between_failures = Some(Span::from_secs(6 * 3600));
    behaviour
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_make_sense_and_are_found_by_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.behaviour().mistakes(), [], "{preset:?}");
            assert_eq!(preset.name().parse(), Ok(preset));
        }
        let why = "fast".parse::<Preset>().unwrap_err().to_string();
        assert_eq!(why, "unknown code, and none of instant, realistic, flaky");
    }
}
