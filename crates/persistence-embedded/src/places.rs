//! The places that machines hold in pools.
//!
//! They are not kept by themselves: the counts say how many machines there are of each kind, and the one writer of a world knows
//! what it has not written of them yet.

use std::collections::BTreeMap;

use cloudm_application::ports::MachineWrite;
use cloudm_domain::{Cluster, ClusterId, Code, PoolSizes};
use rusqlite::{Connection, params};

use crate::counts::Deltas;
use crate::error::DbError;
use crate::group::Group;
use crate::machine_row::Columns;
use crate::{clusters, sql};

/// Decides who gets a place, while counts are not written.
pub(crate) struct Places<'a> {
    group: &'a Group<'a>,
    sizes: &'a PoolSizes,
    /// What the stored counts say of the pools that were asked about.
    stored: BTreeMap<(Code, Code), i64>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(group: &'a Group<'a>, sizes: &'a PoolSizes) -> Self {
        Self { group, sizes, stored: BTreeMap::new() }
    }

    /// Whether a write asks for a place and there is none; `pending` is what was written before it and not counted yet.
    pub(crate) fn refuse(&mut self, write: &MachineWrite, pending: &Deltas) -> Result<bool, DbError> {
        let before = write.before.as_ref();
        let Some(asked) = self.sizes.asked(before, &write.events) else { return Ok(false) };
        let Some(machine) = before.or(write.after.as_ref()) else { return Ok(false) };
        let Some(cluster) = clusters::get(self.group, machine.cluster_id)? else { return Ok(false) };
        let pool = (cluster.region_code.clone(), asked.machine_type);
        if self.sizes.size(&pool.0, &pool.1).is_none() {
            return Ok(false);
        }
        let own = before.is_some_and(|one| one.machine_type == pool.1 && self.sizes.is_held_in(one.state));
        let held = self.held(&pool, pending)? - i64::from(own);
        Ok(!self.sizes.has_room(&pool.0, &pool.1, u64::try_from(held).unwrap_or_default()))
    }

    fn held(&mut self, pool: &(Code, Code), pending: &Deltas) -> Result<i64, DbError> {
        let stored = match self.stored.get(pool) {
            Some(stored) => *stored,
            None => stored(self.group, self.sizes, pool)?,
        };
        self.stored.insert(pool.clone(), stored);
        Ok(stored + self.group.held(self.sizes, pool)? + pending.held(self.group, self.sizes, pool)?)
    }
}

/// How many places of a pool the stored counts say are held.
fn stored(db: &Connection, sizes: &PoolSizes, (region, machine_type): &(Code, Code)) -> Result<i64, DbError> {
    let mut statement = db.prepare_cached(sql::COUNT_OF_POOL)?;
    let mut rows = statement.query(params![region.as_str(), machine_type.as_str()])?;
    let mut held = 0;
    while let Some(row) = rows.next()? {
        let columns = Columns(row);
        if sizes.is_held_in(columns.state(0)?) {
            held += columns.number::<i64>(1)?;
        }
    }
    Ok(held)
}

/// The first machine type of a cluster for whose machines the region that it moves to has no room.
pub(crate) fn without_room(
    group: &Group<'_>,
    sizes: &PoolSizes,
    (cluster, before): (&Cluster, &Cluster),
) -> Result<Option<Code>, DbError> {
    if cluster.region_code == before.region_code {
        return Ok(None);
    }
    let mut places = Places::new(group, sizes);
    for (machine_type, _) in sizes.of_region(&cluster.region_code) {
        let own = own(group, sizes, cluster.id, machine_type)?;
        let there = places.held(&(cluster.region_code.clone(), machine_type.clone()), &Deltas::default())?;
        let places = (u64::try_from(there).unwrap_or_default(), u64::try_from(own).unwrap_or_default());
        if !sizes.has_room_for(&cluster.region_code, machine_type, places) {
            return Ok(Some(machine_type.clone()));
        }
    }
    Ok(None)
}

/// How many places the machines of a type in a cluster hold.
fn own(group: &Group<'_>, sizes: &PoolSizes, cluster: ClusterId, machine_type: &Code) -> Result<i64, DbError> {
    let mut statement = group.prepare_cached(sql::COUNT_OF_CLUSTER)?;
    let mut rows = statement.query(params![cluster.as_bytes(), machine_type.as_str()])?;
    let mut held = group.held_in_cluster(sizes, cluster, machine_type);
    while let Some(row) = rows.next()? {
        let columns = Columns(row);
        if sizes.is_held_in(columns.state(0)?) {
            held += columns.number::<i64>(1)?;
        }
    }
    Ok(held)
}
