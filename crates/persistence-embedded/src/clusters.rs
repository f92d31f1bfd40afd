//! The clusters of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, GoneCluster, StoreError,
};
use cloudm_domain::{Cluster, ClusterId, Instant, Name};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::columns::{Columns, version};
use crate::error::DbError;
use crate::group::Group;
use crate::world::OpenWorld;
use crate::writer::{Undo, millis};
use crate::{answers, places, sql};

/// The clusters of one world.
pub(crate) struct Clusters(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl ClusterStore for Clusters {
    async fn get(&self, id: ClusterId) -> Result<Option<Arc<Cluster>>, StoreError> {
        self.0.look(|known| known.get(id), |db| get(db, id))
    }

    async fn find(&self, name: &Name) -> Result<Option<Arc<Cluster>>, StoreError> {
        self.0.look(|known| known.find(name), |db| find(db, name))
    }

    async fn gone(&self, id: ClusterId) -> Result<Option<GoneCluster>, StoreError> {
        self.0.read(|db| gone(db, id))
    }

    async fn all(&self) -> Result<Vec<Arc<Cluster>>, StoreError> {
        self.0.read_on_thread(|readers| readers.read(|db| select(db, sql::CLUSTER_ALL, []))).await
    }

    async fn id_used(&self, id: ClusterId) -> Result<bool, StoreError> {
        self.0.read(|db| id_used(db, id))
    }

    async fn commit(&self, commit: ClusterCommit) -> Result<(), ClusterCommitError> {
        let instant = match &commit.write {
            ClusterWrite::Create(cluster) | ClusterWrite::Update { cluster, .. } => cluster.updated_at,
            ClusterWrite::Delete { at, .. } => *at,
        };
        let (base, known) = (self.0.base(), self.0.known().clone());
        // The change is told until what came of it is answered, which is after the commit.
        let write = move |db: &Group<'_>| {
            let change = known.change();
            write(db, &commit, base.wall.now()).map(|()| change)
        };
        self.0.write(Some(instant), Undo::Savepoint, write).await.map(drop)
    }
}

pub(crate) fn get(db: &Connection, id: ClusterId) -> Result<Option<Arc<Cluster>>, DbError> {
    one(db, sql::CLUSTER_GET, [id.as_bytes()])
}

pub(crate) fn find(db: &Connection, name: &Name) -> Result<Option<Arc<Cluster>>, DbError> {
    one(db, sql::CLUSTER_FIND, [name.as_str()])
}

fn gone(db: &Connection, id: ClusterId) -> Result<Option<GoneCluster>, DbError> {
    let mut statement = db.prepare_cached(sql::CLUSTER_GONE)?;
    let mut rows = statement.query([id.as_bytes()])?;
    rows.next()?.map(read_gone).transpose()
}

/// Reads a deleted cluster.
pub(crate) fn read_gone(row: &Row<'_>) -> Result<GoneCluster, DbError> {
    Ok(GoneCluster { cluster: read(row, 0)?, at: Columns(row).instant(6)? })
}

/// Adds a cluster and its id.
pub(crate) fn insert(db: &Connection, cluster: &Cluster) -> Result<(), DbError> {
    put(db, sql::CLUSTER_INSERT, cluster)?;
    insert_id(db, cluster.id)
}

/// Adds an id that a cluster had.
pub(crate) fn insert_id(db: &Connection, id: ClusterId) -> Result<(), DbError> {
    execute(db, sql::CLUSTER_ID_INSERT, id)
}

fn one(db: &Connection, sql: &str, values: impl Params) -> Result<Option<Arc<Cluster>>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(|row| read(row, 0)).transpose()
}

/// All clusters that a statement finds.
pub(crate) fn select(db: &Connection, sql: &str, values: impl Params) -> Result<Vec<Arc<Cluster>>, DbError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut clusters = Vec::new();
    while let Some(row) = rows.next()? {
        clusters.push(read(row, 0)?);
    }
    Ok(clusters)
}

/// Reads a cluster from the columns that begin at `first`.
pub(crate) fn read(row: &Row<'_>, first: usize) -> Result<Arc<Cluster>, DbError> {
    let columns = Columns(row);
    Ok(Arc::new(Cluster {
        id: ClusterId::from_bytes(columns.id(first)?),
        name: columns.parsed(first + 1)?,
        region_code: columns.parsed(first + 2)?,
        version: columns.number(first + 3)?,
        created_at: columns.instant(first + 4)?,
        updated_at: columns.instant(first + 5)?,
    }))
}

fn id_used(db: &Connection, id: ClusterId) -> Result<bool, DbError> {
    Ok(db.prepare_cached(sql::CLUSTER_ID_USED)?.query_row([id.as_bytes()], |row| row.get(0))?)
}

fn write(db: &Group<'_>, commit: &ClusterCommit, wall: u64) -> Result<(), ClusterCommitError> {
    if let Some(answer) = &commit.keep
        && answers::is_kept(db, &answer.key, wall)?
    {
        return Err(ClusterCommitError::KeyTaken);
    }
    match &commit.write {
        ClusterWrite::Create(cluster) => create(db, cluster)?,
        ClusterWrite::Update { expected, cluster, sizes } => {
            check_version(db, cluster.id, *expected)?;
            check_name(db, cluster)?;
            if let Some(sizes) = sizes
                && let Some(before) = get(db, cluster.id)?
                && let Some(full) = places::without_room(db, sizes, (cluster, &before))?
            {
                return Err(ClusterCommitError::NoPlace(full));
            }
            put(db, sql::CLUSTER_UPDATE, cluster)?;
        }
        ClusterWrite::Delete { id, expected, at } => delete(db, *id, *expected, *at)?,
    }
    commit.keep.iter().try_for_each(|answer| answers::put(db, answer))?;
    Ok(())
}

fn create(db: &Connection, cluster: &Cluster) -> Result<(), ClusterCommitError> {
    if id_used(db, cluster.id)? {
        return Err(ClusterCommitError::IdUsed);
    }
    check_name(db, cluster)?;
    if count(db)? >= Cluster::MAX_IN_WORLD {
        return Err(ClusterCommitError::TooMany);
    }
    Ok(insert(db, cluster)?)
}

fn delete(db: &Connection, id: ClusterId, expected: u64, at: Instant) -> Result<(), ClusterCommitError> {
    check_version(db, id, expected)?;
    if has_machines(db, id)? {
        return Err(ClusterCommitError::NotEmpty);
    }
    let gone = params![id.as_bytes(), millis(at)];
    db.prepare_cached(sql::CLUSTER_GONE_INSERT).and_then(|mut keep| keep.execute(gone)).map_err(DbError::from)?;
    execute(db, sql::CLUSTER_DELETE, id)?;
    Ok(())
}

fn check_version(db: &Connection, id: ClusterId, expected: u64) -> Result<(), ClusterCommitError> {
    if stored_version(db, id)? == Some(version(expected)?) { Ok(()) } else { Err(ClusterCommitError::Conflict) }
}

fn check_name(db: &Connection, cluster: &Cluster) -> Result<(), ClusterCommitError> {
    match find(db, &cluster.name)? {
        Some(holder) if holder.id != cluster.id => Err(ClusterCommitError::NameTaken),
        _ => Ok(()),
    }
}

fn stored_version(db: &Connection, id: ClusterId) -> Result<Option<i64>, DbError> {
    Ok(db.prepare_cached(sql::CLUSTER_VERSION)?.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
}

fn count(db: &Connection) -> Result<usize, DbError> {
    db.prepare_cached(sql::CLUSTER_COUNT)?.query_row([], |row| Ok(Columns(row).number(0)))?
}

fn has_machines(db: &Connection, id: ClusterId) -> Result<bool, DbError> {
    Ok(db.prepare_cached(sql::CLUSTER_HAS_MACHINES)?.query_row([id.as_bytes()], |row| row.get(0))?)
}

fn execute(db: &Connection, sql: &str, id: ClusterId) -> Result<(), DbError> {
    db.prepare_cached(sql)?.execute([id.as_bytes()])?;
    Ok(())
}

fn put(db: &Connection, sql: &str, cluster: &Cluster) -> Result<(), DbError> {
    db.prepare_cached(sql)?.execute(params![
        cluster.id.as_bytes(),
        cluster.name.as_str(),
        cluster.region_code.as_str(),
        version(cluster.version)?,
        millis(cluster.created_at),
        millis(cluster.updated_at),
    ])?;
    Ok(())
}
