//! The record of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{
    Behaviour, Capacity, Clock, Faults, Incarnation, Instant, PoolSizes, Preset, Rate, Rules, Schedule, Seed, Span,
    Timeline, WallMillis, WorldName,
};
use serde::{Deserialize, Serialize};

use super::{KeptAnswer, NewWorld, Scenario, StoreError};

/// The record of a world, in the form that stores keep (as JSON).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct World {
    /// Its name, for ever.
    pub name: WorldName,
    /// Which life of that name this is.
    pub incarnation: Incarnation,
    /// Its seed, for ever.
    pub seed: Seed,
    /// Its first instant.
    pub start: Instant,
    /// The preset it began with.
    pub preset: Preset,
    /// Its clock.
    pub clock: Clock,
    /// Its rules, ready for use.
    pub rules: Rules,
    /// What it has room for. It decides commands, and no step of a chain.
    pub capacity: Capacity,
    /// How often the record was written.
    pub version: u64,
    /// What a reset gives back to it.
    pub origin: Origin,
    /// The request that made it, where that may be repeated.
    pub asked: Option<Asked>,
}

/// What was given when a world was made, and is not for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Its first instant; none for the wall's time.
    pub start: Option<Instant>,
    /// How fast its clock ran.
    pub rate: Rate,
    /// How long a TERMINATED machine stayed readable.
    pub retention: Span,
    /// The scenario that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Arc<Scenario>>,
}

/// A request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its idempotency key.
    pub key: String,
    /// What it was: a hash.
    pub fingerprint: [u8; 32],
}

impl World {
    /// A new world, when the wall says `wall`.
    pub fn create(new: NewWorld, wall: WallMillis) -> Self {
        let start = new.start.or_else(|| Instant::from_millis(wall).ok()).unwrap_or(Instant::MAX);
        let mut rules = Rules::new(new.seed, new.preset.behaviour());
        rules.retention = Timeline::new(new.retention);
        Self {
            name: new.name,
            incarnation: new.incarnation,
            seed: new.seed,
            start,
            preset: new.preset,
            clock: Clock::new(start, wall, new.rate),
            rules,
            capacity: Capacity::default(),
            version: 1,
            origin: Origin { start: new.start, rate: new.rate, retention: new.retention, scenario: None },
            asked: new.asked,
        }
    }

    /// This world, whose clock goes on from where it stood, when the wall says `wall`.
    #[must_use]
    pub fn resumed(self, wall: WallMillis) -> Self {
        Self { clock: Clock::new(self.clock.now(0), wall, self.clock.rate()), ..self }
    }

    /// The world that a fork of this one begins as: with all that happened up to `now`, when the wall says `wall`.
    #[must_use]
    pub fn forked(&self, fork: ForkedWorld, now: Instant, wall: WallMillis) -> Self {
        let seed = fork.seed.unwrap_or(self.seed);
        let mut rules = Rules::new(seed, Preset::Instant.behaviour());
        rules.behaviour = self.rules.behaviour.clone();
        rules.retention = self.rules.retention.clone();
        rules.faults = self.rules.faults.clone();
        rules.schedule = self.rules.schedule.clone();
        Self {
            name: fork.name,
            incarnation: fork.incarnation,
            seed,
            clock: Clock::new(now, wall, self.clock.rate()),
            rules,
            version: 1,
            asked: fork.asked,
            ..self.clone()
        }
    }
}

/// What a fork is made from, besides the world it is a fork of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkedWorld {
    /// Its name.
    pub name: WorldName,
    /// Its incarnation, from [`super::Entropy`].
    pub incarnation: Incarnation,
    /// Its seed; none for that of the world it is a fork of.
    pub seed: Option<Seed>,
    /// The request that makes it, where that may be repeated.
    pub asked: Option<Asked>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Stored {
    name: WorldName,
    incarnation: Incarnation,
    seed: Seed,
    start: Instant,
    preset: Preset,
    clock: Clock,
    behaviour: Timeline<Behaviour>,
    retention: Timeline<Span>,
    #[serde(default, skip_serializing_if = "Capacity::is_default")]
    capacity: Capacity,
    #[serde(default, skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
    #[serde(default, skip_serializing_if = "Schedule::is_empty")]
    schedule: Schedule,
    // The first servers wrote none of these.
    #[serde(default = "first")]
    version: u64,
    #[serde(default)]
    origin: Option<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
}

fn first() -> u64 {
    1
}

impl From<Stored> for World {
    fn from(stored: Stored) -> Self {
        let Stored {
            name,
            incarnation,
            seed,
            start,
            preset,
            clock,
            behaviour,
            retention,
            capacity,
            faults,
            schedule,
            version,
            origin,
            asked,
        } = stored;
        let mut rules = Rules::new(seed, Preset::Instant.behaviour());
        rules.behaviour = behaviour;
        rules.retention = retention;
        rules.faults = faults;
        rules.schedule = schedule;
        let before =
            Origin { start: Some(start), rate: clock.rate(), retention: Rules::DEFAULT_RETENTION, scenario: None };
        let origin = origin.unwrap_or(before);
        Self { name, incarnation, seed, start, preset, clock, rules, capacity, version, origin, asked }
    }
}

impl From<World> for Stored {
    fn from(world: World) -> Self {
        let World { name, incarnation, seed, start, preset, clock, rules, capacity, version, origin, asked } = world;
        let Rules { behaviour, retention, faults, schedule, .. } = rules;
        Self {
            name,
            incarnation,
            seed,
            start,
            preset,
            clock,
            behaviour,
            retention,
            capacity,
            faults,
            schedule,
            version,
            origin: Some(origin),
            asked,
        }
    }
}

/// A world as it is at one moment.
#[derive(Debug, Clone)]
pub struct WorldView {
    /// The record.
    pub world: Arc<World>,
    /// What its clock says.
    pub now: Instant,
    /// What the wall clock that its servers share says.
    pub wall: WallMillis,
}

impl WorldView {
    /// The sizes of its pools now; none where there is room for any number.
    pub fn sizes(&self) -> Option<Arc<PoolSizes>> {
        self.world.capacity.sizes(self.now).map(Arc::new)
    }
}

/// A write of the record of a world, with the answer to keep for it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldCommit {
    /// The version that the record must have.
    pub expected: u64,
    /// What replaces it, with the next version; name, incarnation and seed stay.
    pub world: World,
    /// An instant that the clock must not have shown yet: that of a change of rules.
    pub unseen: Option<Instant>,
    /// The answer to keep with it.
    pub keep: Option<KeptAnswer>,
}

/// Why the record of a world was not written.
#[derive(Debug, thiserror::Error)]
pub enum WorldCommitError {
    /// The record has another version, or the clock has shown the instant that it must not.
    #[error("the world has changed")]
    Conflict,
    /// An answer is kept under the key and has not expired.
    #[error("the idempotency key was used")]
    KeyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The world record and its clock.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait WorldStore: Send + Sync {
    /// The world now.
    ///
    /// `now` MUST NOT be less than in any read that was answered before by this handle, nor than the instant of any
    /// committed event, also after a restart with a wall clock that was set back; nor, where the store was closed, than in
    /// any read of before.
    async fn read(&self) -> Result<WorldView, StoreError>;

    /// Writes the record.
    ///
    /// MUST be atomic with the kept answer. MUST check, in this order: the key, the version, the instant that must be
    /// unseen: by a read through this handle or another one of the same process, and by any committed event. Of writers
    /// that race for a version exactly one MUST win.
    async fn commit(&self, commit: WorldCommit) -> Result<(), WorldCommitError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudm_domain::{Pool, Rate, Refill};

    #[test]
    fn a_world_is_read_as_it_was_stored() {
        let new = NewWorld {
            name: WorldName::default_world(),
            incarnation: Incarnation::from_bytes([1; 12]),
            seed: Seed::new(9).unwrap(),
            start: None,
            rate: Rate::REAL,
            preset: Preset::Flaky,
            retention: Rules::DEFAULT_RETENTION,
            asked: Some(Asked { key: "k".into(), fingerprint: [7; 32] }),
        };
        let mut world = World::create(new, 1_900_000_000_000);
        let later = world.start.plus(Span::from_secs(5));
        world.rules.behaviour.push(later, Preset::Realistic.behaviour()).unwrap();
        let pool = Pool {
            region_code: "A".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            size: 1,
            refills: vec![Refill { at: later, size: 2 }],
        };
        world.capacity = Capacity::new(vec![pool], true).unwrap();
        let text = serde_json::to_string(&world).unwrap();
        assert_eq!(serde_json::from_str::<World>(&text).unwrap(), world);
    }
}
