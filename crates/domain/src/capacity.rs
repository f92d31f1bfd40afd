//! Capacity: how many machines of a type there is room for in a region.

use std::collections::BTreeMap;

use crate::event::{Change, Created, MachineEvent};
use crate::lifecycle::{Cause, MachineState};
use crate::machine::Machine;
use crate::name::Code;
use crate::time::Instant;

/// The size of a pool from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Refill {
    /// When it begins to be of this size.
    pub at: Instant,
    /// Its size then.
    pub size: u32,
}

/// The machines of one type for which a region has room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Pool {
    /// The region.
    pub region_code: Code,
    /// The machine type.
    pub machine_type: Code,
    /// How many places it has, until its first refill.
    pub size: u32,
    /// How many it has later, the earliest first.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub refills: Vec<Refill>,
}

impl Pool {
    /// The most places of a pool.
    pub const MAX_SIZE: u32 = 1_000_000_000;

    /// How many places it has at `now`.
    pub fn size_at(&self, now: Instant) -> u32 {
        let reached = self.refills.partition_point(|refill| refill.at <= now);
        reached.checked_sub(1).map_or(self.size, |last| self.refills[last].size)
    }

    /// The same from `now` on: without what it was before.
    #[must_use]
    pub fn from(mut self, now: Instant) -> Self {
        self.size = self.size_at(now);
        self.refills.retain(|refill| refill.at > now);
        self
    }

    /// Whether this is the pool of that machine type in that region.
    pub fn is_of(&self, region: &Code, machine_type: &Code) -> bool {
        self.region_code == *region && self.machine_type == *machine_type
    }
}

/// Why a capacity is refused. The number is that of the pool, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCapacity {
    /// There are more pools than [`Capacity::MAX_POOLS`].
    #[error("there are at most {} pools", Capacity::MAX_POOLS)]
    TooManyPools,
    /// There are more refills in all than [`Capacity::MAX_REFILLS`].
    #[error("there are at most {} refills in all", Capacity::MAX_REFILLS)]
    TooManyRefills,
    /// A pool stands twice.
    #[error("the pool stands twice")]
    Twice(usize),
    /// A size is more than [`Pool::MAX_SIZE`].
    #[error("a pool has at most {} places", Pool::MAX_SIZE)]
    Size(usize),
    /// The refills of a pool are not one after the other.
    #[error("each refill comes after the one before it")]
    Order(usize),
    /// A pool with room for any number is to be refilled.
    #[error("a pool without a size has no refills")]
    NoSize,
}

/// The pools of a world. Where there is none for a machine type in a region, there is room for any number.
///
/// A machine holds a place in the pool of its type and its cluster's region from PROVISIONING until it is STOPPED or
/// TERMINATED; FAILED, REPAIRING and MIGRATING keep it, and so does SUSPENDED, unless suspending is to give it back. A place is
/// taken when a command is carried out, never by a step of a chain: so a RESIZE takes one too, of the type that the
/// machine has, for one that fails in it is repaired and runs.
///
/// What it says decides commands only, which are decided now, so nothing is kept of what it said before.
///
/// ```
/// use cloudm_domain::{Capacity, Instant, Pool};
/// let pool = Pool { region_code: "A".parse()?, machine_type: "small".parse()?, size: 10, refills: vec![] };
/// let capacity = Capacity::new(vec![pool], false)?;
/// let sizes = capacity.sizes(Instant::DEFAULT_START).unwrap();
/// assert_eq!(sizes.size(&"A".parse()?, &"small".parse()?), Some(10));
/// assert_eq!(sizes.size(&"A".parse()?, &"large".parse()?), None, "as many as one likes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "Stored"))]
pub struct Capacity {
    pools: Vec<Pool>,
    suspended_frees_place: bool,
}

impl Capacity {
    /// The most pools.
    pub const MAX_POOLS: usize = 256;
    /// The most refills of all pools together.
    pub const MAX_REFILLS: usize = 1_000;

    /// These pools, in the order of region and machine type.
    ///
    /// # Errors
    /// With the first mistake.
    pub fn new(pools: Vec<Pool>, suspended_frees_place: bool) -> Result<Self, InvalidCapacity> {
        if pools.len() > Self::MAX_POOLS {
            return Err(InvalidCapacity::TooManyPools);
        }
        if pools.iter().map(|pool| pool.refills.len()).sum::<usize>() > Self::MAX_REFILLS {
            return Err(InvalidCapacity::TooManyRefills);
        }
        for (number, pool) in pools.iter().enumerate() {
            check(number, pool, &pools[..number])?;
        }
        let mut pools = pools;
        let key = |pool: &Pool| (pool.region_code.clone(), pool.machine_type.clone());
        pools.sort_by_key(key);
        Ok(Self { pools, suspended_frees_place })
    }

    /// The pools, in the order of region and machine type.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Whether there is room for any number of machines, and nothing else is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a machine that is SUSPENDED holds no place.
    pub const fn suspended_frees_place(&self) -> bool {
        self.suspended_frees_place
    }

    /// Whether a machine in this state holds a place.
    pub const fn is_held_in(&self, state: MachineState) -> bool {
        holds_place(state, self.suspended_frees_place)
    }

    /// The sizes of the pools at `now`; nothing where there is no pool.
    pub fn sizes(&self, now: Instant) -> Option<PoolSizes> {
        if self.pools.is_empty() {
            return None;
        }
        let mut sizes = PoolSizes { sizes: BTreeMap::new(), suspended_frees_place: self.suspended_frees_place };
        for pool in &self.pools {
            let of_region = sizes.sizes.entry(pool.region_code.clone()).or_default();
            of_region.insert(pool.machine_type.clone(), pool.size_at(now));
        }
        Some(sizes)
    }
}

/// A capacity as it is read, before it is checked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    pools: Vec<Pool>,
    suspended_frees_place: bool,
}

#[cfg(feature = "serde")]
impl TryFrom<Stored> for Capacity {
    type Error = InvalidCapacity;

    fn try_from(stored: Stored) -> Result<Self, InvalidCapacity> {
        Self::new(stored.pools, stored.suspended_frees_place)
    }
}

fn check(number: usize, pool: &Pool, before: &[Pool]) -> Result<(), InvalidCapacity> {
    if before.iter().any(|other| other.is_of(&pool.region_code, &pool.machine_type)) {
        return Err(InvalidCapacity::Twice(number));
    }
    if std::iter::once(pool.size).chain(pool.refills.iter().map(|one| one.size)).any(|size| size > Pool::MAX_SIZE) {
        return Err(InvalidCapacity::Size(number));
    }
    let in_order = pool.refills.windows(2).all(|two| two[0].at < two[1].at);
    if in_order { Ok(()) } else { Err(InvalidCapacity::Order(number)) }
}

/// The sizes of pools at an instant, and what holds a place in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSizes {
    sizes: BTreeMap<Code, BTreeMap<Code, u32>>,
    suspended_frees_place: bool,
}

const fn holds_place(state: MachineState, suspended_frees_place: bool) -> bool {
    match state {
        MachineState::Stopped | MachineState::Terminated => false,
        MachineState::Suspended => !suspended_frees_place,
        _ => true,
    }
}

/// What asks for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceAsked {
    /// The machine type in whose pool.
    pub machine_type: Code,
    /// What it is asked for.
    pub cause: Cause,
    /// Whether who asks held a place there before: it gives that one back.
    pub holds: bool,
}

impl PoolSizes {
    /// How many places a pool has; nothing where there is room for any number.
    pub fn size(&self, region: &Code, machine_type: &Code) -> Option<u32> {
        self.sizes.get(region)?.get(machine_type).copied()
    }

    /// The machine types that have a pool in a region, with its size.
    pub fn of_region(&self, region: &Code) -> impl Iterator<Item = (&Code, u32)> {
        self.sizes.get(region).into_iter().flatten().map(|(machine_type, size)| (machine_type, *size))
    }

    /// Whether a machine in this state holds a place.
    pub const fn is_held_in(&self, state: MachineState) -> bool {
        holds_place(state, self.suspended_frees_place)
    }

    /// Whether there is a place for who asks, where so many are held, with its own.
    pub fn has_place(&self, region: &Code, asked: &PlaceAsked, held: u64) -> bool {
        let others = held.saturating_sub(u64::from(asked.holds));
        self.has_room_for(region, &asked.machine_type, (others, 1))
    }

    /// Whether there is room for so many more where `held` places are. For none there always is.
    pub fn has_room_for(&self, region: &Code, machine_type: &Code, (held, more): (u64, u64)) -> bool {
        let size = self.size(region, machine_type);
        more == 0 || size.is_none_or(|size| held.saturating_add(more) <= u64::from(size))
    }

    /// The place that these events of a machine ask for, which was so before them; for its creation, nothing was. Its end asks for
    /// none, also where it had none before.
    pub fn asked(&self, before: Option<&Machine>, events: &[MachineEvent]) -> Option<PlaceAsked> {
        let Some(before) = before else {
            return events.iter().find_map(|event| match &event.change {
                Change::Created(created) => Some(asked_by(created)),
                _ => None,
            });
        };
        let mut machine = before.clone();
        let holds = |machine_type: &Code| before.machine_type == *machine_type && self.is_held_in(before.state);
        for event in events {
            let held = self.is_held_in(machine.state);
            machine.apply(event).ok()?;
            if let Change::Entered(entered) = &event.change
                && !held
                && entered.cause != Cause::Terminate
                && self.is_held_in(entered.state)
            {
                let machine_type = machine.machine_type.clone();
                return Some(PlaceAsked { holds: holds(&machine_type), machine_type, cause: entered.cause });
            }
        }
        None
    }
}

fn asked_by(created: &Created) -> PlaceAsked {
    PlaceAsked { machine_type: created.machine_type.clone(), cause: Cause::Create, holds: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{NewMachine, Protection};
    use crate::request::Command;
    use crate::{ClusterId, MachineId, Preset, Rules, Seed, Span, Tags};

    fn pool(region: &str, machine_type: &str, size: u32) -> Pool {
        let (region_code, machine_type) = (region.parse().unwrap(), machine_type.parse().unwrap());
        Pool { region_code, machine_type, size, refills: Vec::new() }
    }

    fn after(secs: u64) -> Instant {
        Instant::DEFAULT_START.plus(Span::from_secs(secs))
    }

    fn sizes(suspended_frees_place: bool) -> PoolSizes {
        Capacity::new(vec![pool("A", "small", 1)], suspended_frees_place).unwrap().sizes(after(0)).unwrap()
    }

    fn rules() -> Rules {
        Rules::new(Seed::new(1).unwrap(), Preset::Instant.behaviour())
    }

    fn made(start: bool) -> (Machine, Vec<MachineEvent>) {
        let new = NewMachine {
            id: MachineId::from_bytes([1; 12]),
            cluster_id: ClusterId::from_bytes([2; 12]),
            name: "web-1".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start,
        };
        let made = Machine::create(new, after(0), &rules());
        (made.machine, made.events)
    }

    #[test]
    fn a_pool_is_as_large_as_its_last_refill_says() {
        let refills = vec![Refill { at: after(10), size: 5 }, Refill { at: after(20), size: 0 }];
        let pool = Pool { refills, ..pool("A", "small", 1) };
        assert_eq!([0, 9, 10, 19, 20, 99].map(|secs| pool.size_at(after(secs))), [1, 1, 5, 5, 0, 0]);
    }

    #[test]
    fn every_mistake_is_told_with_its_pool() {
        let twice = vec![pool("A", "small", 1), pool("A", "large", 1), pool("A", "small", 2)];
        assert_eq!(Capacity::new(twice, false), Err(InvalidCapacity::Twice(2)));
        let large = vec![pool("A", "small", Pool::MAX_SIZE + 1)];
        assert_eq!(Capacity::new(large, false), Err(InvalidCapacity::Size(0)));
        let at = |secs| Refill { at: after(secs), size: 1 };
        let back = Pool { refills: vec![at(2), at(2)], ..pool("A", "small", 1) };
        assert_eq!(Capacity::new(vec![back], false), Err(InvalidCapacity::Order(0)));
        let many = (0..=Capacity::MAX_POOLS).map(|n| pool("A", &format!("t{n}"), 1)).collect();
        assert_eq!(Capacity::new(many, false), Err(InvalidCapacity::TooManyPools));
        let refills = (0..=Capacity::MAX_REFILLS as u64).map(at).collect();
        let refilled = vec![Pool { refills, ..pool("A", "small", 1) }];
        assert_eq!(Capacity::new(refilled, false), Err(InvalidCapacity::TooManyRefills));
    }

    #[test]
    fn room_ends_with_the_size_and_is_endless_without_a_pool() {
        let (a, b) = ("A".parse().unwrap(), "B".parse().unwrap());
        let sizes = sizes(false);
        let other = PlaceAsked { machine_type: "small".parse().unwrap(), cause: Cause::Start, holds: false };
        let holder = PlaceAsked { holds: true, ..other.clone() };
        assert_eq!([0, 1, 2].map(|held| sizes.has_place(&a, &other, held)), [true, false, false]);
        assert_eq!([0, 1, 2].map(|held| sizes.has_place(&a, &holder, held)), [true, true, false]);
        assert!(sizes.has_place(&b, &other, u64::MAX));
        assert_eq!(Capacity::default().sizes(after(0)), None);
    }

    #[test]
    fn a_place_is_held_from_provisioning_until_stopped_or_terminated() {
        let free = |frees| MachineState::ALL.iter().copied().filter(move |state| !sizes(frees).is_held_in(*state));
        use MachineState::{Stopped, Suspended, Terminated};
        assert_eq!(free(false).collect::<Vec<_>>(), [Stopped, Terminated]);
        assert_eq!(free(true).collect::<Vec<_>>(), [Stopped, Suspended, Terminated]);
    }

    #[test]
    fn creations_starts_and_resizes_ask_for_a_place_and_what_goes_on_does_not() {
        let asked = |before: Option<&Machine>, events: &[MachineEvent]| {
            sizes(true).asked(before, events).map(|asked| (asked.cause, asked.machine_type.to_string()))
        };
        let ask = |machine: &Machine, command: Command| {
            let outcome = machine.clone().request(&command.into(), after(1), &rules()).unwrap();
            (asked(Some(machine), &outcome.events), outcome.machine)
        };
        for start in [true, false] {
            assert_eq!(
                asked(None, &made(start).1),
                Some((Cause::Create, "small".into())),
                "also one that is not started"
            );
        }
        let (stopped, _) = made(false);
        let (resized, large) = ask(&stopped, Command::Resize("large".parse().unwrap()));
        assert_eq!(resized, Some((Cause::Resize, "small".into())));
        let (started, running) = ask(&large, Command::Start);
        assert_eq!(started, Some((Cause::Start, "large".into())));
        assert_eq!(ask(&running, Command::Reboot).0, None);
        assert_eq!(ask(&large, Command::Terminate).0, None, "whoever ends needs no place for it");
        let (suspended, asleep) = ask(&running, Command::Suspend);
        assert_eq!(suspended, None);
        assert_eq!(ask(&asleep, Command::Resume).0, Some((Cause::Resume, "large".into())));
        let kept = asleep.clone().request(&Command::Resume.into(), after(1), &rules()).unwrap();
        assert_eq!(sizes(false).asked(Some(&asleep), &kept.events), None, "where SUSPENDED keeps its place");
    }
}
