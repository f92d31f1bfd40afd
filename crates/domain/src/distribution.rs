//! How long something takes: five distributions of spans.

use crate::draw::Draw;
use crate::time::Span;

/// Why a distribution is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDistribution {
    /// `min` is greater than `max`.
    #[error("min must not be greater than max")]
    Bounds,
    /// The mean or median of an exponential or lognormal distribution is zero.
    #[error("the mean or median must be more than zero")]
    Centre,
    /// A lognormal distribution's sigma is not a number from 0 to 10.
    #[error("sigma must be a number from 0 to 10")]
    Sigma,
}

/// The least and the greatest span that a distribution yields; what is drawn outside is moved to the nearer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Bounds {
    /// The least span.
    pub min: Span,
    /// The greatest span.
    pub max: Span,
}

impl Bounds {
    /// From `min` to `max`, in seconds.
    pub const fn secs(min: u64, max: u64) -> Self {
        Self { min: Span::from_secs(min), max: Span::from_secs(max) }
    }
}

/// A distribution of spans.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "distribution", rename_all = "lowercase", from = "written::Distribution"))]
pub enum Distribution {
    /// Always the same.
    Fixed {
        /// The span.
        value: Span,
    },
    /// Each span from `min` to `max` as likely as another.
    Uniform {
        /// Both ends, included.
        #[cfg_attr(feature = "serde", serde(flatten))]
        bounds: Bounds,
    },
    /// Around a mean, to both sides.
    Normal {
        /// The mean.
        mean: Span,
        /// The standard deviation.
        std_dev: Span,
        /// What it is cut to.
        #[cfg_attr(feature = "serde", serde(flatten))]
        bounds: Bounds,
    },
    /// Mostly short, at times long: `median × e^(sigma × N)`, N standard normal.
    Lognormal {
        /// The median.
        median: Span,
        /// The standard deviation of the logarithm, 0 to 10.
        sigma: f64,
        /// What it is cut to.
        #[cfg_attr(feature = "serde", serde(flatten))]
        bounds: Bounds,
    },
    /// Without memory.
    Exponential {
        /// The mean.
        mean: Span,
        /// What it is cut to.
        #[cfg_attr(feature = "serde", serde(flatten))]
        bounds: Bounds,
    },
}

impl Distribution {
    /// No time at all.
    pub const INSTANT: Self = Self::Fixed { value: Span::ZERO };

    /// Whether the parameters make sense.
    ///
    /// # Errors
    /// Says which does not.
    pub fn check(&self) -> Result<(), InvalidDistribution> {
        if self.bounds().is_some_and(|bounds| bounds.min > bounds.max) {
            return Err(InvalidDistribution::Bounds);
        }
        match self {
            Self::Lognormal { median: centre, .. } | Self::Exponential { mean: centre, .. }
                if *centre == Span::ZERO =>
            {
                Err(InvalidDistribution::Centre)
            }
            Self::Lognormal { sigma, .. } if !(0.0..=10.0).contains(sigma) => Err(InvalidDistribution::Sigma),
            _ => Ok(()),
        }
    }

    fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Fixed { .. } => None,
            Self::Uniform { bounds } | Self::Normal { bounds, .. } => Some(*bounds),
            Self::Lognormal { bounds, .. } | Self::Exponential { bounds, .. } => Some(*bounds),
        }
    }

    /// The span that this draw gives, whatever the parameters; never outside the bounds.
    pub(crate) fn sample(&self, draw: &Draw) -> Span {
        match *self {
            Self::Fixed { value } => value,
            Self::Uniform { bounds } => {
                let width = bounds.max.millis().saturating_sub(bounds.min.millis()) + 1;
                Span::from_millis(bounds.min.millis() + draw.below(width))
            }
            Self::Normal { mean, std_dev, bounds } => cut(float(mean) + float(std_dev) * draw.normal(), bounds),
            Self::Lognormal { median, sigma, bounds } => cut(float(median) * libm::exp(sigma * draw.normal()), bounds),
            Self::Exponential { mean, bounds } => cut(exponential(mean, draw), bounds),
        }
    }
}

/// Milliseconds of an exponential variate, by inversion of its distribution function: `−mean × ln(U)`.
pub(crate) fn exponential(mean: Span, draw: &Draw) -> f64 {
    -float(mean) * libm::log(draw.fraction())
}

fn float(span: Span) -> f64 {
    span.millis() as f64
}

/// Rounds to whole milliseconds within the bounds; the cast saturates.
fn cut(millis: f64, bounds: Bounds) -> Span {
    Span::from_millis(libm::round(millis) as u64).min(bounds.max).max(bounds.min)
}

/// The form in which distributions are read: flat, so that a parameter they do not have is refused.
#[cfg(feature = "serde")]
mod written {
    use super::{Bounds, Span};

    #[derive(serde::Deserialize)]
    #[serde(tag = "distribution", rename_all = "lowercase", deny_unknown_fields)]
    pub(super) enum Distribution {
        Fixed { value: Span },
        Uniform { min: Span, max: Span },
        Normal { mean: Span, std_dev: Span, min: Span, max: Span },
        Lognormal { median: Span, sigma: f64, min: Span, max: Span },
        Exponential { mean: Span, min: Span, max: Span },
    }

    impl From<Distribution> for super::Distribution {
        fn from(written: Distribution) -> Self {
            let bounds = |min, max| Bounds { min, max };
            match written {
                Distribution::Fixed { value } => Self::Fixed { value },
                Distribution::Uniform { min, max } => Self::Uniform { bounds: bounds(min, max) },
                Distribution::Normal { mean, std_dev, min, max } => {
                    Self::Normal { mean, std_dev, bounds: bounds(min, max) }
                }
                Distribution::Lognormal { median, sigma, min, max } => {
                    Self::Lognormal { median, sigma, bounds: bounds(min, max) }
                }
                Distribution::Exponential { mean, min, max } => Self::Exponential { mean, bounds: bounds(min, max) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::draw::{DrawName, Draws, Purpose};
    use crate::{MachineId, Seed};

    const WIDE: Bounds = Bounds::secs(0, 1_000_000);

    fn samples(distribution: Distribution) -> Vec<f64> {
        let draws = Draws::new(Seed::new(1).unwrap());
        let name = |ordinal| DrawName {
            machine: MachineId::from_bytes([3; 12]),
            ordinal,
            purpose: Purpose::NextStep,
            attempt: 0,
        };
        (0..20_000).map(|ordinal| float(distribution.sample(&draws.draw(&name(ordinal)))) / 1000.0).collect()
    }

    fn mean(samples: &[f64]) -> f64 {
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn each_has_its_mean() {
        let secs = Span::from_secs;
        let cases = [
            (Distribution::Fixed { value: secs(7) }, 7.0),
            (Distribution::Uniform { bounds: Bounds::secs(10, 30) }, 20.0),
            (Distribution::Normal { mean: secs(100), std_dev: secs(10), bounds: WIDE }, 100.0),
            (Distribution::Lognormal { median: secs(100), sigma: 0.5, bounds: WIDE }, 100.0 * libm::exp(0.125)),
            (Distribution::Exponential { mean: secs(100), bounds: WIDE }, 100.0),
        ];
        for (distribution, expected) in cases {
            let mean = mean(&samples(distribution));
            assert!((mean / expected - 1.0).abs() < 0.03, "{distribution:?}: {mean}");
        }
    }

    #[test]
    fn the_normal_has_its_spread() {
        let values =
            samples(Distribution::Normal { mean: Span::from_secs(100), std_dev: Span::from_secs(10), bounds: WIDE });
        let variance = values.iter().map(|value| (value - 100.0).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((variance / 100.0 - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn each_draw_gives_a_known_span() {
        let secs = Span::from_secs;
        let bounds = Bounds::secs(0, 1_000);
        let all = [
            Distribution::Fixed { value: secs(7) },
            Distribution::Uniform { bounds },
            Distribution::Normal { mean: secs(100), std_dev: secs(10), bounds },
            Distribution::Lognormal { median: secs(100), sigma: 0.5, bounds },
            Distribution::Exponential { mean: secs(100), bounds },
        ];
        let name =
            DrawName { machine: MachineId::from_bytes([7; 12]), ordinal: 1, purpose: Purpose::NextStep, attempt: 0 };
        let draw = Draws::new(Seed::new(42).unwrap()).draw(&name);
        assert_eq!(
            all.map(|distribution| distribution.sample(&draw).millis()),
            [7_000, 693_611, 105_887, 134_227, 36_584]
        );
    }

    #[test]
    fn bounds_hold() {
        let bounds = Bounds::secs(90, 110);
        let all = [
            Distribution::Uniform { bounds },
            Distribution::Normal { mean: Span::from_secs(100), std_dev: Span::from_secs(50), bounds },
            Distribution::Lognormal { median: Span::from_secs(100), sigma: 3.0, bounds },
            Distribution::Exponential { mean: Span::MAX, bounds },
        ];
        for distribution in all {
            assert!(samples(distribution).iter().all(|value| (90.0..=110.0).contains(value)), "{distribution:?}");
        }
    }

    proptest! {
        /// Whatever the parameters, sensible or not, and whatever is drawn.
        #[test]
        fn nothing_is_drawn_outside_the_bounds(
            ends in (0..=Span::MAX.millis(), 0..=Span::MAX.millis()),
            centre in 0..=Span::MAX.millis(),
            std_dev in 0..=Span::MAX.millis(),
            sigma in prop_oneof![0.0..10.0f64, any::<f64>()],
            ordinal in any::<u32>(),
        ) {
            let (min, max) = (ends.0.min(ends.1), ends.0.max(ends.1));
            let bounds = Bounds { min: Span::from_millis(min), max: Span::from_millis(max) };
            let [mean, std_dev] = [centre, std_dev].map(Span::from_millis);
            let name = DrawName { machine: MachineId::from_bytes([3; 12]), ordinal, purpose: Purpose::NextStep, attempt: 0 };
            let draw = Draws::new(Seed::new(1).unwrap()).draw(&name);
            for distribution in [
                Distribution::Uniform { bounds },
                Distribution::Normal { mean, std_dev, bounds },
                Distribution::Lognormal { median: mean, sigma, bounds },
                Distribution::Exponential { mean, bounds },
            ] {
                prop_assert!((bounds.min..=bounds.max).contains(&distribution.sample(&draw)), "{:?}", distribution);
            }
            let contrary = Bounds { min: bounds.max, max: bounds.min };
            prop_assert_eq!(Distribution::Uniform { bounds: contrary }.sample(&draw), contrary.min);
        }
    }

    #[test]
    fn bad_parameters_are_named() {
        let bounds = Bounds::secs(2, 1);
        assert_eq!(Distribution::Uniform { bounds }.check(), Err(InvalidDistribution::Bounds));
        assert_eq!(
            Distribution::Exponential { mean: Span::ZERO, bounds: WIDE }.check(),
            Err(InvalidDistribution::Centre)
        );
        let sigma = Distribution::Lognormal { median: Span::from_secs(1), sigma: f64::NAN, bounds: WIDE };
        assert_eq!(sigma.check(), Err(InvalidDistribution::Sigma));
    }
}
