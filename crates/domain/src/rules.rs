//! Rules as timelines: each is kept with the virtual instant from which it holds.

use crate::behaviour::Behaviour;
use crate::cluster::Cluster;
use crate::draw::Draws;
use crate::schedule::Schedule;
use crate::seed::Seed;
use crate::strike::{Faults, StruckDown};
use crate::time::{Instant, Span};

/// An entry that does not come after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rule holds from an instant after the one before it")]
pub struct NotLater;

/// A value that changes at known instants.
///
/// A step uses what held at its own instant, so a change needs no sweep over the fleet and a machine settled late ends
/// as one settled early. That rests on one duty of whoever changes a rule: it holds from an instant that the world's
/// clock has not shown yet (now and a millisecond; the clock is moved there with it), so that no step of that instant
/// was taken before.
///
/// ```
/// use cloudm_domain::{Instant, Span, Timeline};
/// let later = Instant::DEFAULT_START.plus(Span::from_secs(60));
/// let mut timeline = Timeline::new("slow");
/// timeline.push(later, "fast")?;
/// assert_eq!(timeline.at(Instant::DEFAULT_START), &"slow");
/// assert_eq!(timeline.at(later), &"fast");
/// # Ok::<(), cloudm_domain::NotLater>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Stored<T>", bound(deserialize = "T: serde::Deserialize<'de>")))]
pub struct Timeline<T> {
    first: T,
    later: Vec<(Instant, T)>,
}

impl<T> Timeline<T> {
    /// What holds from the beginning.
    pub const fn new(first: T) -> Self {
        Self { first, later: Vec::new() }
    }

    /// Lets `value` hold from `from`.
    ///
    /// # Errors
    /// When `from` is not after the last change.
    pub fn push(&mut self, from: Instant, value: T) -> Result<(), NotLater> {
        if self.later.last().is_some_and(|(last, _)| *last >= from) {
            return Err(NotLater);
        }
        self.later.push((from, value));
        Ok(())
    }

    /// How often it changes.
    pub fn changes(&self) -> usize {
        self.later.len()
    }

    /// When it changes last; never, where it does not.
    pub fn last_change(&self) -> Option<Instant> {
        self.later.last().map(|(from, _)| *from)
    }

    /// All that it ever holds, the first first.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(self.later.iter().map(|(_, value)| value))
    }

    /// What holds at `instant`.
    pub fn at(&self, instant: Instant) -> &T {
        let reached = self.later.partition_point(|(from, _)| *from <= instant);
        reached.checked_sub(1).map_or(&self.first, |last| &self.later[last].1)
    }
}

/// A timeline as it is read, before its order is checked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Stored<T> {
    first: T,
    later: Vec<(Instant, T)>,
}

#[cfg(feature = "serde")]
impl<T> TryFrom<Stored<T>> for Timeline<T> {
    type Error = NotLater;

    fn try_from(stored: Stored<T>) -> Result<Self, NotLater> {
        let mut timeline = Self::new(stored.first);
        stored.later.into_iter().try_for_each(|(from, value)| timeline.push(from, value)).map(|()| timeline)
    }
}

/// The rules of a world: everything, but a machine itself, that decides what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The draws of the world's seed.
    pub draws: Draws,
    /// How long things take and how often they fail.
    pub behaviour: Timeline<Behaviour>,
    /// How long a TERMINATED machine stays readable.
    pub retention: Timeline<Span>,
    /// What makes chosen things go wrong, each in its time.
    pub faults: Faults,
    /// What is done to machines at known instants.
    pub schedule: Schedule,
}

impl Rules {
    /// How long a TERMINATED machine stays readable unless told otherwise: an hour.
    pub const DEFAULT_RETENTION: Span = Span::from_secs(3600);

    /// Rules with this behaviour from the beginning.
    pub fn new(seed: Seed, behaviour: Behaviour) -> Self {
        Self {
            draws: Draws::new(seed),
            behaviour: Timeline::new(behaviour),
            retention: Timeline::new(Self::DEFAULT_RETENTION),
            faults: Faults::default(),
            schedule: Schedule::default(),
        }
    }

    /// What refuses all that is asked of a cluster and its machines at an instant, because their region is out.
    pub fn outage(&self, cluster: Option<&Cluster>, now: Instant) -> Option<Box<StruckDown>> {
        let region_code = cluster?.region_code.clone();
        let until = self.schedule.outage(&region_code, now)?.rule.deadline;
        Some(Box::new(StruckDown::Outage { region_code, until }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_after_the_last() {
        let mut timeline = Timeline::new(0);
        let at = |millis| Instant::from_millis(millis).unwrap();
        timeline.push(at(10), 1).unwrap();
        assert_eq!(timeline.push(at(10), 2), Err(NotLater));
        timeline.push(at(11), 2).unwrap();
        let seen: Vec<_> = (9..13).map(|millis| *timeline.at(at(millis))).collect();
        assert_eq!(seen, [0, 1, 2, 2]);
    }
}
