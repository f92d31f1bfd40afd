//! The machines of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    Commit, CommitError, MachineCount, MachinePage, MachineQuery, MachineStore, MachineWalk, MachineWrite, PageByPage,
    PlacedMachine, StoreError,
};
use cloudm_domain::{ClusterId, Instant, Machine, MachineId, Name, PoolSizes};
use rusqlite::{Connection, Params, params};

use crate::bulk::Bulk;
use crate::columns::Columns;
use crate::error::DbError;
use crate::group::Group;
use crate::known::Known;
use crate::world::OpenWorld;
use crate::writer::{Undo, millis};
use crate::{answers, bulk, clusters, counts, events, list, record, sql};

/// The machines of one world.
pub(crate) struct Machines(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl MachineStore for Machines {
    async fn get(&self, id: MachineId) -> Result<Option<PlacedMachine>, StoreError> {
        if let Some(placed) = self.0.recall(|known| recalled(known, id))? {
            return Ok(Some(placed));
        }
        self.0.read(|db| placed(db, self.0.known(), id))
    }

    async fn holder(&self, cluster: ClusterId, name: &Name) -> Result<Option<Machine>, StoreError> {
        self.0.read(|db| one(db, sql::MACHINE_HOLDER, params![cluster.as_bytes(), name.as_str()]))
    }

    async fn id_used(&self, id: MachineId) -> Result<bool, StoreError> {
        self.0.read(|db| events::id_used(db, id))
    }

    async fn list(&self, query: &MachineQuery) -> Result<MachinePage, StoreError> {
        let (query, incarnation) = (query.clone(), self.0.incarnation());
        self.0.read_on_thread(move |readers| readers.read_moment(|db| list::page(db, incarnation, &query))).await
    }

    fn walk(&self, query: MachineQuery) -> Box<dyn MachineWalk> {
        // To find a page by its key takes no longer than to go on from an open place.
        Box::new(PageByPage::new(Arc::new(Self(self.0.clone())), query))
    }

    async fn due(&self, until: Instant, limit: usize) -> Result<Vec<Machine>, StoreError> {
        self.0.read_on_thread(move |readers| readers.read(|db| due(db, until, limit))).await
    }

    async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        self.0.read(next_due)
    }

    async fn counts(&self) -> Result<Vec<MachineCount>, StoreError> {
        self.0.read_on_thread(|readers| readers.read(counts::all)).await
    }

    async fn commit_all(
        &self,
        writes: Vec<MachineWrite>,
        sizes: Option<Arc<PoolSizes>>,
    ) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        if writes.len() > MachineQuery::MAX_EXAMINED {
            return Err(DbError::Misused("so many machines are not written at once").into());
        }
        let instant = writes.iter().flat_map(|write| &write.events).map(|event| event.at).max();
        let known = self.0.known().clone();
        let write = move |group: &Group<'_>| Ok(bulk::write_all(group, &writes, (&known, sizes.as_deref()))?);
        self.0.write(instant, Undo::Nothing, write).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let (base, known) = (self.0.base(), self.0.known().clone());
        let instant = commit.write.events.iter().map(|event| event.at).max();
        self.0.write(instant, Undo::Nothing, move |group| write(group, &commit, (&known, base.wall.now()))).await
    }
}

/// A machine that is known without reading it. What cannot be parsed is read, which says what is wrong with it.
fn recalled(known: &Known, id: MachineId) -> Option<PlacedMachine> {
    let changes = known.still()?;
    let machine = known.cache().get(known.numbers().guess(id)?, id, record::parse)?.ok()?;
    let cluster = known.at(changes, |known| known.get(machine.cluster_id))?;
    (known.still() == Some(changes)).then_some(PlacedMachine { machine, cluster })
}

fn placed(db: &Connection, known: &Known, id: MachineId) -> Result<Option<PlacedMachine>, DbError> {
    if let Some(changes) = known.still() {
        let Some(machine) = get(db, known, id)? else { return Ok(None) };
        let id = machine.cluster_id;
        let cluster = known.look_or_read(|known| known.get(id), || clusters::get(db, id))?;
        if known.still() == Some(changes) {
            return Ok(cluster.map(|cluster| PlacedMachine { machine, cluster }));
        }
    }
    // A cluster changes meanwhile: both are read at one moment.
    let moment = db.unchecked_transaction()?;
    let Some(machine) = get(&moment, known, id)? else { return Ok(None) };
    let cluster = clusters::get(&moment, machine.cluster_id)?;
    Ok(cluster.map(|cluster| PlacedMachine { machine, cluster }))
}

fn get(db: &Connection, known: &Known, id: MachineId) -> Result<Option<Machine>, DbError> {
    // In a transaction, both statements see the moment of the first.
    let since = known.cache().still();
    if let Some(number) = known.numbers().guess(id)
        && let Some(machine) = get_row(db, (known, since), sql::MACHINE_GET_AT, params![number, id.as_bytes()])?
    {
        return Ok(Some(machine));
    }
    get_row(db, (known, since), sql::MACHINE_GET, [id.as_bytes()])
}

/// Reads a machine and the number of its row, and keeps both; the record where nothing was committed `since`.
fn get_row(
    db: &Connection,
    (known, since): (&Known, Option<u64>),
    sql: &str,
    values: impl Params,
) -> Result<Option<Machine>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (bytes, number) = (record::bytes(row)?, row.get(1)?);
    let machine = record::parse(bytes)?;
    known.numbers().learn(machine.id, number);
    known.cache().keep(since, number, bytes);
    Ok(Some(machine))
}

fn one(db: &Connection, sql: &str, values: impl Params) -> Result<Option<Machine>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(record::read).transpose()
}

fn due(db: &Connection, until: Instant, limit: usize) -> Result<Vec<Machine>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_DUE)?;
    let mut rows = statement.query([millis(until), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut machines = Vec::new();
    while let Some(row) = rows.next()? {
        machines.push(record::read(row)?);
    }
    Ok(machines)
}

fn next_due(db: &Connection) -> Result<Option<Instant>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_NEXT_DUE)?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| Columns(row).instant(0)).transpose()
}

fn write(group: &Group<'_>, commit: &Commit, (known, wall): (&Known, u64)) -> Result<(), CommitError> {
    if let Some(answer) = &commit.keep
        && answers::is_kept(group, &answer.key, wall)?
    {
        return Err(CommitError::KeyTaken);
    }
    let mut bulk = Bulk::new(group, known, commit.sizes.as_deref());
    bulk.write(&commit.write)??;
    commit.keep.iter().try_for_each(|answer| answers::put(group, answer))?;
    bulk.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{self, Durability};
    use crate::record::tests::plain_and_rich;
    use crate::rows::Rows;
    use crate::runs::Runs;

    fn name_cluster(db: &Connection, name: &str) {
        let sql = "INSERT OR REPLACE INTO clusters VALUES (x'090909090909090909090909', ?, 'A', 1, 0, 0)";
        db.execute(sql, [name]).unwrap();
    }

    #[test]
    fn a_machine_has_its_cluster_of_the_same_moment() {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        let known = Arc::new(Known::default());
        let [machine, _] = plain_and_rich();
        assert_eq!(placed(&db, &known, machine.id).unwrap(), None);
        assert!(Rows::new(&db).insert(&machine, Runs { first: 1, last: 1 }).unwrap().is_some());
        assert_eq!(placed(&db, &known, machine.id).unwrap(), None, "its cluster is no more");
        let cluster = || placed(&db, &known, machine.id).unwrap().unwrap().cluster.name.to_string();
        name_cluster(&db, "first");
        assert_eq!(cluster(), "first");
        // It is asked for once.
        name_cluster(&db, "second");
        assert_eq!(cluster(), "first");
        // And again while it may change, and once it has.
        let change = known.change();
        assert_eq!(cluster(), "second");
        name_cluster(&db, "third");
        drop(change);
        assert_eq!(cluster(), "third");
    }

    #[test]
    fn a_number_of_a_row_is_only_a_guess() {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        name_cluster(&db, "web");
        let (known, machines) = (Known::default(), plain_and_rich());
        let insert = |machine| Rows::new(&db).insert(machine, Runs { first: 1, last: 1 }).unwrap().unwrap();
        let rows = [insert(&machines[0]), insert(&machines[1])];
        // Right, that of another one, and that of none.
        for number in [rows[0], rows[1], 77] {
            known.numbers().learn(machines[0].id, number);
            assert_eq!(placed(&db, &known, machines[0].id).unwrap().unwrap().machine, machines[0]);
            assert_eq!(known.numbers().guess(machines[0].id), Some(rows[0]), "it is seen where it is");
            known.numbers().learn(machines[0].id, number);
            let group = Group::new(&db);
            let before = Some(machines[0].clone());
            let write = MachineWrite { before: before.clone(), after: before, events: vec![] };
            assert!(Bulk::new(&group, &known, None).write(&write).unwrap().is_ok());
            assert_eq!(known.numbers().guess(machines[0].id), Some(rows[0]));
        }
        db.execute("DELETE FROM machines WHERE number = ?", [rows[0]]).unwrap();
        assert_eq!(placed(&db, &known, machines[0].id).unwrap(), None);
    }
}
