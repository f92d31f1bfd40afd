//! The places that machines hold in pools.
//!
//! They are not kept by themselves: the counts say how many machines there are of each kind, and the one writer of a world knows
//! what it has not written of them yet.

use std::collections::BTreeMap;

use cloudm_application::ports::MachineWrite;
use cloudm_domain::{Cluster, Code, PoolSizes};
use rusqlite::{Connection, Params, params};

use crate::columns::Columns;
use crate::counts::Deltas;
use crate::error::DbError;
use crate::group::Group;
use crate::{clusters, sql};

/// Decides who gets a place, while counts are not written.
pub(crate) struct Places<'a, 'db> {
    group: &'a Group<'db>,
    sizes: &'a PoolSizes,
    /// What the stored counts say of the pools that were asked about.
    stored: BTreeMap<(Code, Code), i64>,
}

impl<'a, 'db> Places<'a, 'db> {
    pub(crate) fn new(group: &'a Group<'db>, sizes: &'a PoolSizes) -> Self {
        Self { group, sizes, stored: BTreeMap::new() }
    }

    /// Whether a write asks for a place and there is none; `pending` is what was written before it and not counted yet.
    pub(crate) fn refuse(&mut self, write: &MachineWrite, pending: &Deltas) -> Result<bool, DbError> {
        let Some(asked) = self.sizes.asked(write.before.as_ref(), &write.events) else { return Ok(false) };
        let Some(machine) = write.before.as_ref().or(write.after.as_ref()) else { return Ok(false) };
        let Some(cluster) = clusters::get(self.group, machine.cluster_id)? else { return Ok(false) };
        let region = &cluster.region_code;
        if self.sizes.size(region, &asked.machine_type).is_none() {
            return Ok(false);
        }
        let held = self.held(&(region.clone(), asked.machine_type.clone()), pending)?;
        Ok(!self.sizes.has_place(region, &asked, u64::try_from(held).unwrap_or_default()))
    }

    fn held(&mut self, pool: &(Code, Code), pending: &Deltas) -> Result<i64, DbError> {
        let stored = match self.stored.get(pool) {
            Some(stored) => *stored,
            None => {
                let values = params![pool.0.as_str(), pool.1.as_str()];
                stored(self.group, self.sizes, sql::COUNT_OF_POOL, values)?
            }
        };
        self.stored.insert(pool.clone(), stored);
        Ok(stored + self.group.held(self.sizes, pool)? + pending.held(self.group, self.sizes, pool)?)
    }
}

/// How many places the counts that a statement finds say are held.
fn stored(db: &Connection, sizes: &PoolSizes, sql: &str, values: impl Params) -> Result<i64, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
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
        let values = params![cluster.id.as_bytes(), machine_type.as_str()];
        let own = stored(group, sizes, sql::COUNT_OF_CLUSTER, values)?;
        let own = own + group.held_in_cluster(sizes, cluster.id, machine_type);
        let there = places.held(&(cluster.region_code.clone(), machine_type.clone()), &Deltas::default())?;
        let places = (u64::try_from(there).unwrap_or_default(), u64::try_from(own).unwrap_or_default());
        if !sizes.has_room_for(&cluster.region_code, machine_type, places) {
            return Ok(Some(machine_type.clone()));
        }
    }
    Ok(None)
}
