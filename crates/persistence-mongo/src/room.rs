//! The room that pools have left.
//!
//! Who holds a place is not kept by itself: the counts say it, as a transaction sees them. Two that take the last place would not see
//! each other, so whoever asks for one in a world with pools writes to the record of the world, as whoever moves a cluster does: of
//! two of them the database lets one have it, and the other begins again and sees what the first did. Who gives a place back
//! is in nobody's way.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_application::ports::{MachineWrite, StoreError};
use cloudm_domain::{Cluster, ClusterId, Code, Machine, PoolSizes};
use mongodb::ClientSession;
use mongodb::bson::doc;

use crate::clusters::{self, ClusterDoc};
use crate::counting;
use crate::transaction::Stop;
use crate::world::OpenWorld;

/// Where clusters are and how many places their machines hold, as a transaction sees it.
#[derive(Debug)]
pub(crate) struct Room {
    sizes: Arc<PoolSizes>,
    regions: BTreeMap<ClusterId, Code>,
    held: BTreeMap<(ClusterId, Code), i64>,
}

/// Whether any of these writes asks for a place.
pub(crate) fn is_asked_for<'a>(sizes: &PoolSizes, mut writes: impl Iterator<Item = &'a MachineWrite>) -> bool {
    writes.any(|write| sizes.asked(write.before.as_ref(), &write.events).is_some())
}

impl Room {
    /// What room there is; whoever else asks that comes after this transaction.
    pub(crate) async fn find<R: From<StoreError>>(
        world: &OpenWorld,
        session: &mut ClientSession,
        sizes: &Arc<PoolSizes>,
    ) -> Result<Self, Stop<R>> {
        counting::take_turn(world, session).await?;
        let places = clusters::select(world, session, doc! { "w": world.id() }).await?;
        let places = places.iter().map(ClusterDoc::read).collect::<Result<Vec<_>, _>>()?;
        let regions = places.iter().map(|cluster| (cluster.id, cluster.region_code.clone())).collect();
        let counted = counting::tally(world, session).await?;
        let mut room = Self { sizes: sizes.clone(), regions, held: BTreeMap::new() };
        for count in counted.into_counts().into_iter().filter(|count| count.kind.fault().is_none()) {
            let (machine_type, state) = count.kind.read()?;
            if sizes.is_held_in(state) {
                room.add(count.kind.cluster(), machine_type, count.number);
            }
        }
        Ok(room)
    }

    fn add(&mut self, cluster: ClusterId, machine_type: Code, number: i64) {
        *self.held.entry((cluster, machine_type)).or_default() += number;
    }

    /// How many places of a pool the machines of clusters hold.
    fn held(&self, region: &Code, machine_type: &Code, of: impl Fn(ClusterId) -> bool) -> i64 {
        let there = |cluster: ClusterId| of(cluster) && self.regions.get(&cluster) == Some(region);
        let held = self.held.iter().filter(|((cluster, code), _)| code == machine_type && there(*cluster));
        held.map(|(_, number)| number).sum()
    }

    /// Whether a write asks for a place and there is none.
    pub(crate) fn refuses(&self, write: &MachineWrite) -> bool {
        let Some(asked) = self.sizes.asked(write.before.as_ref(), &write.events) else { return false };
        let Some(machine) = write.before.as_ref().or(write.after.as_ref()) else { return false };
        let Some(region) = self.regions.get(&machine.cluster_id) else { return false };
        let held = self.held(region, &asked.machine_type, |_| true);
        !self.sizes.has_place(region, &asked, u64::try_from(held).unwrap_or_default())
    }

    /// Takes it that a machine became another one, or was made, or is no more.
    pub(crate) fn change(&mut self, before: Option<&Machine>, after: Option<&Machine>) {
        for (machine, number) in [(before, -1), (after, 1)] {
            if let Some(machine) = machine.filter(|machine| self.sizes.is_held_in(machine.state)) {
                self.add(machine.cluster_id, machine.machine_type.clone(), number);
            }
        }
    }

    /// The first machine type of a cluster for whose machines the region that it moves to has no room.
    pub(crate) fn without_room(&self, cluster: &Cluster) -> Option<Code> {
        let region = &cluster.region_code;
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let full = |machine_type: &&Code| {
            let own = self.held.get(&(cluster.id, (*machine_type).clone())).copied().unwrap_or_default();
            let others = self.held(region, machine_type, |other| other != cluster.id);
            !self.sizes.has_room_for(region, machine_type, (number(others), number(own)))
        };
        self.sizes.of_region(region).map(|(machine_type, _)| machine_type).find(full).cloned()
    }
}
