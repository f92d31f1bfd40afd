//! A world's clock: how its virtual time follows from wall time.

use crate::time::{Instant, Span};

/// The last instant that a clock shows. What lies beyond the end of time is due at [`Instant::MAX`], and must not happen
/// there: all of it would happen at once, and a failure and its repair for ever.
const LAST_MILLIS: u64 = Instant::MAX.millis() - 1;

/// A moment of wall time, the host's: milliseconds since 1970.
pub type WallMillis = u64;

/// A rate that is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a rate is 0 (paused) to {}, in steps of a thousandth", Rate::MAX)]
pub struct InvalidRate;

/// How many virtual seconds pass in a second of wall time, in whole thousandths: 1 is real time, 60 makes a minute of a
/// second, 0 is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "f64", into = "f64"))]
pub struct Rate(u32);

impl Rate {
    /// The greatest rate: eleven days in a second.
    pub const MAX: u32 = 1_000_000;
    /// Time stands still and is moved by hand.
    pub const PAUSED: Self = Self(0);
    /// Virtual time passes as wall time does.
    pub const REAL: Self = Self(1000);

    /// How much virtual time passes in so many milliseconds of wall time.
    pub fn over(self, wall_millis: u64) -> Span {
        let passed = u128::from(wall_millis) * u128::from(self.0) / 1000;
        Span::from_millis(u64::try_from(passed).unwrap_or(u64::MAX).min(Span::MAX.millis()))
    }
}

impl TryFrom<f64> for Rate {
    type Error = InvalidRate;

    fn try_from(rate: f64) -> Result<Self, InvalidRate> {
        let thousandths = rate * 1000.0;
        if !(0.0..=f64::from(Self::MAX) * 1000.0).contains(&thousandths)
            || libm::fabs(libm::round(thousandths) - thousandths) > 1e-6
        {
            return Err(InvalidRate);
        }
        Ok(Self(libm::round(thousandths) as u32))
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> f64 {
        f64::from(rate.0) / 1000.0
    }
}

/// A world's clock: `virtual = anchor_virtual + (wall − anchor_wall) × rate`.
///
/// ```
/// use cloudm_domain::{Clock, Instant, Rate};
/// let clock = Clock::new(Instant::DEFAULT_START, 5_000, Rate::try_from(60.0)?);
/// assert_eq!(clock.now(6_000).to_string(), "2030-01-01T00:01:00.000Z");
/// # Ok::<(), cloudm_domain::InvalidRate>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Clock {
    anchor_virtual: Instant,
    anchor_wall: WallMillis,
    rate: Rate,
}

impl Clock {
    /// A clock that says `instant` when the wall says `wall`.
    pub fn new(instant: Instant, wall: WallMillis, rate: Rate) -> Self {
        Self { anchor_virtual: instant, anchor_wall: wall, rate }
    }

    /// What the clock says when the wall says `wall`: never less than its anchor. It stops a millisecond before
    /// [`Instant::MAX`].
    pub fn now(&self, wall: WallMillis) -> Instant {
        let passed = u128::from(wall.saturating_sub(self.anchor_wall)) * u128::from(self.rate.0) / 1000;
        let millis = (u128::from(self.anchor_virtual.millis()) + passed).min(u128::from(LAST_MILLIS));
        u64::try_from(millis).ok().and_then(|millis| Instant::from_millis(millis).ok()).unwrap_or(Instant::MIN)
    }

    /// The wall's time at which the clock first says `instant` or later; nothing while it is paused before that, nor for
    /// [`Instant::MAX`], which it never says.
    pub fn wall_at(&self, instant: Instant) -> Option<WallMillis> {
        if instant.millis() > LAST_MILLIS {
            return None;
        }
        let ahead = instant.since(self.anchor_virtual).millis();
        match (ahead, self.rate.0) {
            (0, _) => Some(self.anchor_wall),
            (_, 0) => None,
            (ahead, rate) => {
                let wall = (u128::from(ahead) * 1000).div_ceil(u128::from(rate));
                Some(self.anchor_wall.saturating_add(u64::try_from(wall).unwrap_or(u64::MAX)))
            }
        }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rate_is_read_as_it_is_written(thousandths in 0..=Rate::MAX * 1000) {
            prop_assert_eq!(Rate::try_from(f64::from(Rate(thousandths))), Ok(Rate(thousandths)));
        }

        #[test]
        fn a_clock_never_goes_back(walls in prop::collection::vec(0..10_000_000_000_000u64, 2), rate in 0..=Rate::MAX * 1000) {
            let clock = Clock::new(Instant::DEFAULT_START, 5_000_000, Rate(rate));
            let (early, late) = (walls[0].min(walls[1]), walls[0].max(walls[1]));
            prop_assert!(clock.now(early) <= clock.now(late));
            prop_assert!(clock.now(late) <= Instant::MAX);
        }

        #[test]
        fn the_wall_of_an_instant_is_the_first_at_which_it_is_reached(ahead in 1..1_000_000_000u64, rate in 1..5_000_000u32) {
            let clock = Clock::new(Instant::DEFAULT_START, 1_000, Rate(rate));
            let instant = Instant::from_millis(Instant::DEFAULT_START.millis() + ahead).unwrap();
            let wall = clock.wall_at(instant).unwrap();
            prop_assert!(clock.now(wall) >= instant);
            prop_assert!(clock.now(wall - 1) < instant);
        }
    }

    #[test]
    fn a_paused_clock_stands() {
        let clock = Clock::new(Instant::DEFAULT_START, 10, Rate::PAUSED);
        assert_eq!(clock.now(u64::MAX), Instant::DEFAULT_START);
        assert_eq!(clock.wall_at(Instant::MAX), None);
    }

    #[test]
    fn a_clock_never_reaches_the_end_of_time() {
        let last = Instant::from_millis(Instant::MAX.millis() - 1).unwrap();
        for anchor in [Instant::DEFAULT_START, Instant::MAX] {
            let clock = Clock::new(anchor, 0, Rate(Rate::MAX * 1000));
            assert_eq!(clock.now(u64::MAX), last);
            assert_eq!(clock.wall_at(Instant::MAX), None);
        }
    }

    #[test]
    fn rates_are_checked() {
        assert_eq!(Rate::try_from(0.5).map(f64::from), Ok(0.5));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1_000_001.0, 0.0005] {
            assert_eq!(Rate::try_from(bad), Err(InvalidRate), "{bad}");
        }
    }
}
