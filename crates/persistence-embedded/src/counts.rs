//! How many machines there are of each cluster, machine type and state.

use std::collections::BTreeMap;

use cloudm_application::ports::MachineCount;
use cloudm_domain::{ClusterId, Code, Machine, MachineState, PoolSizes};
use rusqlite::{Connection, params};

use crate::columns::Columns;
use crate::error::DbError;
use crate::{clusters, sql};

/// By how much counts change: summed up over many machines, and written once.
#[derive(Debug, Default)]
pub(crate) struct Deltas(BTreeMap<(ClusterId, Code, MachineState), i64>);

impl Deltas {
    /// One more machine like this.
    pub(crate) fn more(&mut self, machine: &Machine) {
        self.add(machine, 1);
    }

    /// One machine like this less.
    pub(crate) fn less(&mut self, machine: &Machine) {
        self.add(machine, -1);
    }

    /// A machine that is like `new` now.
    pub(crate) fn moved(&mut self, old: &Machine, new: &Machine) {
        if old.state != new.state || old.machine_type != new.machine_type {
            self.less(old);
            self.more(new);
        }
    }

    fn add(&mut self, machine: &Machine, number: i64) {
        *self.0.entry((machine.cluster_id, machine.machine_type.clone(), machine.state)).or_default() += number;
    }

    /// Adds others.
    pub(crate) fn add_all(&mut self, others: Self) {
        for (kind, number) in others.0 {
            *self.0.entry(kind).or_default() += number;
        }
    }

    /// By how much they change the places that are held in a pool: by the regions that clusters have now.
    pub(crate) fn held(
        &self,
        db: &Connection,
        sizes: &PoolSizes,
        (region, machine_type): &(Code, Code),
    ) -> Result<i64, DbError> {
        let mut held = 0;
        for ((cluster, code, state), number) in &self.0 {
            if code == machine_type && sizes.is_held_in(*state) {
                let cluster = clusters::get(db, *cluster)?;
                held += if cluster.is_some_and(|cluster| cluster.region_code == *region) { *number } else { 0 };
            }
        }
        Ok(held)
    }

    /// By how much they change the places that machines of a type in a cluster hold.
    pub(crate) fn held_in_cluster(&self, sizes: &PoolSizes, cluster: ClusterId, machine_type: &Code) -> i64 {
        let held = self
            .0
            .iter()
            .filter(|((of, code, state), _)| *of == cluster && code == machine_type && sizes.is_held_in(*state));
        held.map(|(_, number)| number).sum()
    }

    /// Writes them, in the transaction of the machines.
    pub(crate) fn write(self, db: &Connection) -> Result<(), DbError> {
        for ((cluster, machine_type, state), delta) in self.0 {
            let kind = (cluster.as_bytes(), machine_type.as_str(), state.number());
            match delta {
                0 => {}
                1.. => drop(db.prepare_cached(sql::COUNT_ADD)?.execute(params![kind.0, kind.1, kind.2, delta])?),
                _ => take(db, kind, -delta)?,
            }
        }
        Ok(())
    }
}

fn take(db: &Connection, (cluster, machine_type, state): (&[u8; 12], &str, u8), number: i64) -> Result<(), DbError> {
    let values = params![cluster, machine_type, state, number];
    if db.prepare_cached(sql::COUNT_TAKE)?.execute(values)? == 0
        && db.prepare_cached(sql::COUNT_DROP)?.execute(values)? == 0
    {
        return Err(DbError::damaged("a count", "there are fewer machines than are taken away"));
    }
    Ok(())
}

/// All counts of clusters that exist.
pub(crate) fn all(db: &Connection) -> Result<Vec<MachineCount>, DbError> {
    let mut statement = db.prepare_cached(sql::COUNT_ALL)?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns(row);
        counts.push(MachineCount {
            machine_type: columns.parsed(0)?,
            state: columns.state(1)?,
            count: columns.number(2)?,
            cluster: clusters::read(row, 3)?,
        });
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{MachineData, MachineId, NewMachine, Preset, Protection, Rules, Seed, Tags};

    use super::*;
    use crate::file::{self, Durability, Kind};
    use crate::rows::Rows;
    use crate::runs::Runs;

    fn cluster(number: u8) -> ClusterId {
        ClusterId::from_bytes([number; 12])
    }

    fn machine(number: u8, state: MachineState) -> Machine {
        let new = NewMachine {
            id: MachineId::from_bytes([number; 12]),
            cluster_id: cluster(1),
            name: format!("m-{number}").parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start: false,
        };
        let rules = Rules::new(Seed::new(1).unwrap(), Preset::Instant.behaviour());
        let made = Machine::create(new, cloudm_domain::Instant::DEFAULT_START, &rules).machine;
        Machine::try_from(MachineData { state, ..made.into() }).unwrap()
    }

    fn counted(db: &Connection) -> Vec<(MachineState, u64)> {
        all(db).unwrap().into_iter().map(|one| (one.state, one.count)).collect()
    }

    fn file(kind: Kind) -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), kind, Durability::None).unwrap();
        db.execute(sql::CLUSTER_INSERT, (cluster(1).as_bytes(), "web", "A", 1, 0, 0)).unwrap();
        (directory, db)
    }

    #[test]
    fn the_machines_of_an_older_file_are_counted() {
        let old = Kind { upgrades: &file::WORLD.upgrades[..2], ..file::WORLD };
        let (directory, db) = file(old);
        let insert = "INSERT INTO machines (id, cluster_id, name, machine_type, protect_stop, protect_terminate, state, \
            state_changed_at, deleted, ordinal, version, created_at, updated_at, live) \
            VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, 0, 0, 1, 1, 0, 0, ?6)";
        let (stopped, terminated) = (MachineState::Stopped, MachineState::Terminated);
        // The last one is of a cluster that exists no more.
        let kinds = [(1, "small", stopped), (1, "small", stopped), (1, "large", stopped), (1, "small", terminated)];
        for (number, (of, code, state)) in (1_u8..).zip(kinds.into_iter().chain([(2, "small", terminated)])) {
            let (id, of, name) = ([number; 12], cluster(of), format!("m-{number}"));
            let values = (id, of.as_bytes(), name, code, state.number(), state == stopped);
            db.execute(insert, values).unwrap();
        }
        drop(db);
        let db = file::open(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        let mut counts: Vec<_> =
            all(&db).unwrap().into_iter().map(|one| (one.machine_type.to_string(), one.state, one.count)).collect();
        counts.sort();
        let small = |state, count| ("small".to_owned(), state, count);
        assert_eq!(counts, [("large".into(), stopped, 1), small(stopped, 2), small(terminated, 1)]);
        let kinds: i64 = db.query_row("SELECT COUNT(*) FROM counts", [], |row| row.get(0)).unwrap();
        assert_eq!(kinds, 4, "those of a deleted cluster are kept until they are forgotten");
    }

    #[test]
    fn nothing_is_kept_of_which_there_is_none() {
        let (_directory, db) = file(file::WORLD);
        let (stopped, failed) = (machine(1, MachineState::Stopped), machine(1, MachineState::Failed));
        let mut rows = Rows::new(&db);
        let runs = Runs { first: 1, last: 1 };
        for machine in [&stopped, &machine(2, MachineState::Stopped)] {
            assert!(rows.insert(machine, runs).unwrap().is_some());
        }
        let stored = rows.find(stopped.id).unwrap().unwrap();
        rows.update((&stopped, stored), &failed, 2).unwrap();
        rows.finish().write(&db).unwrap();
        let mut counts = counted(&db);
        counts.sort_unstable();
        let mut expected = [(MachineState::Stopped, 1), (MachineState::Failed, 1)];
        expected.sort_unstable();
        assert_eq!(counts, expected);
        let mut rows = Rows::new(&db);
        rows.delete((&failed, stored), 3).unwrap();
        rows.finish().write(&db).unwrap();
        assert_eq!(counted(&db), [(MachineState::Stopped, 1)]);
        let kinds: i64 = db.query_row("SELECT COUNT(*) FROM counts", [], |row| row.get(0)).unwrap();
        assert_eq!(kinds, 1);
    }

    #[test]
    fn a_count_that_does_not_fit_its_machines_is_damage() {
        let (_directory, db) = file(file::WORLD);
        let mut deltas = Deltas::default();
        deltas.less(&machine(1, MachineState::Stopped));
        assert!(matches!(deltas.write(&db), Err(DbError::Damaged(_))));
    }
}
