//! What a world has room for.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_domain::{Capacity, Catalogue, Code, Instant, InvalidCapacity, Pool, PoolSizes, Refill};

use crate::clusters::check_region;
use crate::error::Error;
use crate::machines::check_machine_type;
use crate::ports::{MachineCount, MachineStore, World, WorldStore, WorldView};
use crate::records::Records;
use crate::settler::Settler;

/// The pools of a world, with their use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapacityView {
    /// The virtual time at which it is so.
    pub as_of: Instant,
    /// Whether a machine that is SUSPENDED holds no place.
    pub suspended_frees_place: bool,
    /// Those with a size, and those in which a machine holds a place, in the order of region and machine type.
    pub pools: Vec<PoolView>,
}

/// A pool with its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// The region.
    pub region_code: Code,
    /// The machine type.
    pub machine_type: Code,
    /// How many places it has now; none where there is room for any number.
    pub size: Option<u32>,
    /// How many of them are held. It may be more than there are: a pool can be made smaller than it is full.
    pub held: u64,
    /// How many places it has later, the earliest first.
    pub refills: Vec<Refill>,
}

/// A change of one pool; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEdit {
    /// The region.
    pub region_code: Code,
    /// The machine type.
    pub machine_type: Code,
    /// How many places it has from now on; none for room for any number.
    pub size: Option<Option<u32>>,
    /// How many it has later.
    pub refills: Option<Vec<Refill>>,
}

/// Reads what a world has room for.
#[derive(Clone)]
pub struct GetCapacity {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) settler: Settler,
}

impl GetCapacity {
    /// The pools as they are now, with their use. What was due before is settled. The cost does not grow with the fleet.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self) -> Result<CapacityView, Error> {
        let view = self.world.read().await?;
        self.settler.settle_all(&view).await?;
        Ok(shown(&view, &self.machines.counts().await?))
    }
}

fn shown(view: &WorldView, counts: &[MachineCount]) -> CapacityView {
    let (capacity, now) = (&view.world.capacity, view.now);
    let mut pools: BTreeMap<(Code, Code), PoolView> = BTreeMap::new();
    for pool in capacity.pools() {
        let Pool { region_code, machine_type, size, refills } = pool.clone().from(now);
        let key = (region_code.clone(), machine_type.clone());
        pools.insert(key, PoolView { region_code, machine_type, size: Some(size), held: 0, refills });
    }
    for count in counts.iter().filter(|count| capacity.is_held_in(count.state)) {
        let (region_code, machine_type) = (count.cluster.region_code.clone(), count.machine_type.clone());
        let key = (region_code.clone(), machine_type.clone());
        let unlimited = || PoolView { region_code, machine_type, size: None, held: 0, refills: Vec::new() };
        pools.entry(key).or_insert_with(unlimited).held += count.count;
    }
    let pools = pools.into_values().collect();
    CapacityView { as_of: now, suspended_frees_place: capacity.suspended_frees_place(), pools }
}

/// Changes what a world has room for, from now on. Whoever holds a place keeps it.
pub struct SetCapacity {
    pub(crate) records: Arc<Records>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) get: GetCapacity,
}

impl SetCapacity {
    /// Replaces all pools; gives them with their use.
    ///
    /// # Errors
    /// [`Error::UnknownRegion`], [`Error::UnknownMachineType`], [`Error::InvalidCapacity`], [`Error::Contention`],
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self, pools: Vec<Pool>, suspended_frees_place: bool) -> Result<CapacityView, Error> {
        for pool in &pools {
            check_pool(&self.catalogue, &pool.region_code, &pool.machine_type)?;
        }
        let capacity = Capacity::new(pools, suspended_frees_place)?;
        let from = |view: &WorldView| {
            let pools = capacity.pools().iter().map(|pool| pool.clone().from(view.now)).collect();
            Capacity::new(pools, suspended_frees_place)
        };
        self.write(from).await
    }

    /// Changes one pool; gives all of them with their use.
    ///
    /// # Errors
    /// As [`SetCapacity::run`].
    pub async fn edit(&self, edit: PoolEdit) -> Result<CapacityView, Error> {
        check_pool(&self.catalogue, &edit.region_code, &edit.machine_type)?;
        self.write(|view| edited(&view.world.capacity, &edit, view.now)).await
    }

    async fn write(
        &self,
        decide: impl Fn(&WorldView) -> Result<Capacity, InvalidCapacity> + Sync,
    ) -> Result<CapacityView, Error> {
        // Before: what cannot be answered is not done.
        self.get.settler.settle_all(&self.records.read().await?).await?;
        let write = |view: &WorldView, _| Ok(World { capacity: decide(view)?, ..World::clone(&view.world) }.into());
        let view = self.records.change(write).await?;
        Ok(shown(&view, &self.get.machines.counts().await?))
    }
}

/// Fails where the catalogue does not have the region or the machine type of a pool.
pub(crate) fn check_pool(catalogue: &Catalogue, region: &Code, machine_type: &Code) -> Result<(), Error> {
    check_region(catalogue, region)?;
    check_machine_type(catalogue, machine_type)
}

/// A capacity with one pool changed.
fn edited(capacity: &Capacity, edit: &PoolEdit, now: Instant) -> Result<Capacity, InvalidCapacity> {
    let PoolEdit { region_code, machine_type, size, refills } = edit;
    let is_it = |pool: &&Pool| pool.is_of(region_code, machine_type);
    let before = capacity.pools().iter().find(is_it).map(|pool| pool.clone().from(now));
    let kept = before.as_ref().map(|pool| pool.size);
    let mut pools: Vec<_> = capacity.pools().iter().filter(|pool| !is_it(pool)).cloned().collect();
    if let Some(size) = size.unwrap_or(kept) {
        let (region_code, machine_type) = (region_code.clone(), machine_type.clone());
        let refills = refills.clone().or(before.map(|pool| pool.refills)).unwrap_or_default();
        pools.push(Pool { region_code, machine_type, size, refills });
    } else if refills.as_ref().is_some_and(|refills| !refills.is_empty()) {
        return Err(InvalidCapacity::NoSize);
    }
    Capacity::new(pools, capacity.suspended_frees_place())
}

/// How many places are held in a region, by machine types.
pub(crate) fn held(counts: &[MachineCount], sizes: &PoolSizes, region: &Code) -> BTreeMap<Code, u64> {
    let mut held = BTreeMap::new();
    for count in counts.iter().filter(|count| count.cluster.region_code == *region && sizes.is_held_in(count.state)) {
        *held.entry(count.machine_type.clone()).or_default() += count.count;
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockMachineStore, MockWorldStore};
    use cloudm_domain::{MachineState, Preset, Span};

    fn pool(region: &str, size: u32) -> Pool {
        let (region_code, machine_type) = (region.parse().unwrap(), "small".parse().unwrap());
        Pool { region_code, machine_type, size, refills: Vec::new() }
    }

    /// A world with these pools, ten seconds after its start.
    fn view(pools: Vec<Pool>) -> WorldView {
        let view = fixtures::view(Preset::Instant, "10s");
        let capacity = Capacity::new(pools, false).unwrap();
        WorldView { world: Arc::new(World { capacity, ..World::clone(&view.world) }), ..view }
    }

    fn at(secs: u64, size: u32) -> Refill {
        Refill { at: Instant::DEFAULT_START.plus(Span::from_secs(secs)), size }
    }

    fn count(state: MachineState, count: u64) -> MachineCount {
        let (cluster, machine_type) = (Arc::new(fixtures::cluster()), "small".parse().unwrap());
        MachineCount { cluster, machine_type, state, count }
    }

    #[test]
    fn pools_are_shown_as_they_are_now_with_who_holds_a_place() {
        let refilled = Pool { refills: vec![at(5, 7), at(20, 9)], ..pool("B", 1) };
        let counts = [count(MachineState::Running, 2), count(MachineState::Failed, 1), count(MachineState::Stopped, 4)];
        let shown = shown(&view(vec![refilled]), &counts);
        let told: Vec<_> = shown.pools.iter().map(|pool| (pool.region_code.as_str(), pool.size, pool.held)).collect();
        assert_eq!(told, [("A", None, 3), ("B", Some(7), 0)]);
        assert_eq!(shown.pools[1].refills, [at(20, 9)]);
    }

    #[test]
    fn an_edit_changes_one_pool_and_keeps_what_it_does_not_name() {
        let now = Instant::DEFAULT_START.plus(Span::from_secs(10));
        let before =
            Capacity::new(vec![Pool { refills: vec![at(5, 7), at(20, 9)], ..pool("A", 1) }, pool("B", 2)], true);
        let before = before.unwrap();
        let edit = |size, refills| {
            let (region_code, machine_type) = ("A".parse().unwrap(), "small".parse().unwrap());
            edited(&before, &PoolEdit { region_code, machine_type, size, refills }, now)
        };
        let first = |size, refills| edit(size, refills).map(|after| after.pools()[0].clone());
        assert_eq!(first(Some(Some(3)), None), Ok(Pool { refills: vec![at(20, 9)], ..pool("A", 3) }));
        assert_eq!(first(None, Some(vec![])), Ok(pool("A", 7)), "the size that it has now");
        assert_eq!(first(Some(None), None), Ok(pool("B", 2)), "there is room for any number");
        assert_eq!(edit(Some(None), Some(vec![at(20, 1)])), Err(InvalidCapacity::NoSize));
        assert!(edit(None, None).unwrap().suspended_frees_place());
    }

    #[tokio::test]
    async fn what_the_catalogue_does_not_have_is_refused_before_anything_is_asked() {
        let (world, machines) = (Arc::new(MockWorldStore::new()), Arc::new(MockMachineStore::new()));
        let settler = Settler::new(world.clone(), machines.clone());
        let get = GetCapacity { world: world.clone(), machines, settler };
        let set = SetCapacity { records: Arc::new(Records::new(world)), catalogue: Arc::default(), get };
        assert!(matches!(set.run(vec![pool("Z", 1)], false).await, Err(Error::UnknownRegion(_))));
        let huge = Pool { machine_type: "huge".parse().unwrap(), ..pool("A", 1) };
        assert!(matches!(set.run(vec![huge], false).await, Err(Error::UnknownMachineType(_))));
        let twice = set.run(vec![pool("A", 1), pool("A", 2)], false).await;
        assert!(matches!(twice, Err(Error::InvalidCapacity(InvalidCapacity::Twice(1)))));
    }
}
