//! The record of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_domain::{
    Behaviour, Clock, Incarnation, Instant, Preset, Rules, Seed, Span, Timeline, WallMillis, WorldName,
};
use serde::{Deserialize, Serialize};

use super::{NewWorld, StoreError};

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
}

impl World {
    /// A new world, when the wall says `wall`.
    pub fn create(new: NewWorld, wall: WallMillis) -> Self {
        let start = new.start.or_else(|| Instant::from_millis(wall).ok()).unwrap_or(Instant::MAX);
        Self {
            name: new.name,
            incarnation: new.incarnation,
            seed: new.seed,
            start,
            preset: new.preset,
            clock: Clock::new(start, wall, new.rate),
            rules: Rules::new(new.seed, new.preset.behaviour()),
        }
    }
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
}

impl From<Stored> for World {
    fn from(stored: Stored) -> Self {
        let Stored { name, incarnation, seed, start, preset, clock, behaviour, retention } = stored;
        let mut rules = Rules::new(seed, Preset::Instant.behaviour());
        rules.behaviour = behaviour;
        rules.retention = retention;
        Self { name, incarnation, seed, start, preset, clock, rules }
    }
}

impl From<World> for Stored {
    fn from(world: World) -> Self {
        let World { name, incarnation, seed, start, preset, clock, rules } = world;
        Self { name, incarnation, seed, start, preset, clock, behaviour: rules.behaviour, retention: rules.retention }
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

/// The world record and its clock.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait WorldStore: Send + Sync {
    /// The world now.
    ///
    /// `now` MUST NOT be less than in any read that was answered before by this handle, nor than the instant of any
    /// committed event, also after a restart with a wall clock that was set back.
    async fn read(&self) -> Result<WorldView, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudm_domain::Rate;

    #[test]
    fn a_world_is_read_as_it_was_stored() {
        let new = NewWorld {
            name: WorldName::default_world(),
            incarnation: Incarnation::from_bytes([1; 12]),
            seed: Seed::new(9).unwrap(),
            start: None,
            rate: Rate::REAL,
            preset: Preset::Flaky,
        };
        let mut world = World::create(new, 1_900_000_000_000);
        let later = world.start.plus(Span::from_secs(5));
        world.rules.behaviour.push(later, Preset::Realistic.behaviour()).unwrap();
        let text = serde_json::to_string(&world).unwrap();
        assert_eq!(serde_json::from_str::<World>(&text).unwrap(), world);
    }
}
