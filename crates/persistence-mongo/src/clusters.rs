//! The clusters of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    ClusterCommit, ClusterCommitError, ClusterStore, ClusterWrite, GoneCluster, StoreError,
};
use cloudm_domain::{Cluster, ClusterId, Instant, Name, PoolSizes};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc, serialize_to_document};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::{Deserialize, Serialize};

use crate::document::{date, id_of, instant, key, limit, long, number, parsed};
use crate::numbers::Numbers;
use crate::room::Room;
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;
use crate::{answers, collections, counting, guards};

/// A cluster as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClusterDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    name: String,
    region: String,
    version: i64,
    created_at: DateTime,
    updated_at: DateTime,
}

impl ClusterDoc {
    pub(crate) fn of(world: ObjectId, cluster: &Cluster) -> Result<Self, StoreError> {
        Ok(Self {
            key: key(world, cluster.id),
            w: world,
            name: cluster.name.to_string(),
            region: cluster.region_code.to_string(),
            version: long(cluster.version)?,
            created_at: date(cluster.created_at),
            updated_at: date(cluster.updated_at),
        })
    }

    pub(crate) fn read(&self) -> Result<Arc<Cluster>, StoreError> {
        Ok(Arc::new(Cluster {
            id: id_of(&self.key)?,
            name: parsed("a cluster's name", &self.name)?,
            region_code: parsed("a cluster's region", &self.region)?,
            version: number("a cluster's version", self.version)?,
            created_at: instant(self.created_at)?,
            updated_at: instant(self.updated_at)?,
        }))
    }
}

/// An id that a cluster had, as it is stored.
#[derive(Debug, Deserialize)]
pub(crate) struct Id {
    #[serde(default)]
    pub(crate) gone: Option<Gone>,
}

/// What a cluster was when it was deleted. Its `_id` and `w` are those of the world that it was deleted in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Gone {
    pub(crate) cluster: ClusterDoc,
    pub(crate) at: DateTime,
}

impl Gone {
    pub(crate) fn read(&self) -> Result<GoneCluster, StoreError> {
        Ok(GoneCluster { cluster: self.cluster.read()?, at: instant(self.at)? })
    }
}

/// The clusters of one world.
pub(crate) struct Clusters(pub(crate) Arc<OpenWorld>);

impl Clusters {
    async fn one(&self, filter: Document) -> Result<Option<Arc<Cluster>>, StoreError> {
        let clusters: Collection<ClusterDoc> = self.0.collection(collections::CLUSTERS);
        let found = self.0.base().ask(async { clusters.find_one(filter).await }).await?;
        found.map(|cluster| cluster.read()).transpose()
    }
}

#[async_trait]
impl ClusterStore for Clusters {
    async fn get(&self, id: ClusterId) -> Result<Option<Arc<Cluster>>, StoreError> {
        self.one(doc! { "_id": key(self.0.id(), id) }).await
    }

    async fn find(&self, name: &Name) -> Result<Option<Arc<Cluster>>, StoreError> {
        self.one(doc! { "w": self.0.id(), "name": name.as_str() }).await
    }

    async fn gone(&self, id: ClusterId) -> Result<Option<GoneCluster>, StoreError> {
        let ids: Collection<Id> = self.0.collection(collections::CLUSTER_IDS);
        let id = doc! { "_id": key(self.0.id(), id) };
        let found = self.0.base().ask(async { ids.find_one(id).await }).await?;
        found.and_then(|id| id.gone).map(|gone| gone.read()).transpose()
    }

    async fn all(&self) -> Result<Vec<Arc<Cluster>>, StoreError> {
        self.0.read_moment(All(self.0.clone())).await
    }

    async fn id_used(&self, id: ClusterId) -> Result<bool, StoreError> {
        let ids: Collection<Document> = self.0.collection(collections::CLUSTER_IDS);
        let id = doc! { "_id": key(self.0.id(), id) };
        Ok(self.0.base().ask(async { ids.find_one(id).await }).await?.is_some())
    }

    async fn commit(&self, commit: ClusterCommit) -> Result<(), ClusterCommitError> {
        let (world, numbers) = (self.0.clone(), Numbers::new(self.0.sequence.clone()));
        // There are few of these, and they all count in the record of the world.
        let _turn = self.0.cluster_turn.lock().await;
        if matches!(commit.write, ClusterWrite::Update { sizes: Some(_), .. }) {
            counting::begin(&world).await?;
        }
        self.0.write(Writing { world, commit, numbers }).await
    }
}

/// The clusters that a filter finds, in a transaction.
pub(crate) async fn select(
    world: &OpenWorld,
    session: &mut ClientSession,
    filter: Document,
) -> Result<Vec<ClusterDoc>, Error> {
    let clusters: Collection<ClusterDoc> = world.collection(collections::CLUSTERS);
    let most = Cluster::MAX_IN_WORLD;
    let order = doc! { "created_at": 1, "_id": 1 };
    let mut found = clusters.find(filter).sort(order).batch_size(most as u32).session(&mut *session).await?;
    found.stream(session).try_collect().await
}

struct All(Arc<OpenWorld>);

#[async_trait]
impl Work for All {
    type Output = Vec<Arc<Cluster>>;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Self::Output, Stop<StoreError>> {
        let found = select(&self.0, session, doc! { "w": self.0.id() }).await?;
        Ok(found.iter().map(ClusterDoc::read).collect::<Result<_, _>>()?)
    }
}

/// A write of one cluster.
struct Writing {
    world: Arc<OpenWorld>,
    commit: ClusterCommit,
    numbers: Numbers,
}

type Refused = Stop<ClusterCommitError>;

#[async_trait]
impl Work for Writing {
    type Output = ();
    type Refusal = ClusterCommitError;

    async fn run(&self, session: &mut ClientSession) -> Result<(), Refused> {
        let keep = self.commit.keep.as_ref();
        if let Some(answer) = keep
            && answers::is_kept(&self.world, session, &answer.key).await?
        {
            return Err(Stop::Refused(ClusterCommitError::KeyTaken));
        }
        match &self.commit.write {
            ClusterWrite::Create(cluster) => self.create(session, cluster).await?,
            ClusterWrite::Update { expected, cluster, sizes } => {
                self.update(session, *expected, cluster, sizes.as_ref()).await?;
            }
            ClusterWrite::Delete { id, expected, at } => self.delete(session, (*id, *expected), *at).await?,
        }
        self.number(session).await?;
        if let Some(answer) = keep {
            answers::put(&self.world, session, answer).await?;
        }
        Ok(())
    }

    async fn took_effect(&self) -> Result<Option<()>, Error> {
        Ok(self.numbers.are_committed().await?.then_some(()))
    }

    fn end(&self, committed: bool) {
        self.numbers.tidy(committed);
    }
}

impl Writing {
    fn clusters(&self) -> Collection<ClusterDoc> {
        self.world.collection(collections::CLUSTERS)
    }

    fn key(&self, id: ClusterId) -> String {
        key(self.world.id(), id)
    }

    async fn create(&self, session: &mut ClientSession, cluster: &Cluster) -> Result<(), Refused> {
        let ids: Collection<Document> = self.world.collection(collections::CLUSTER_IDS);
        let id = doc! { "_id": self.key(cluster.id) };
        if ids.find_one(id.clone()).session(&mut *session).await?.is_some() {
            return Err(Stop::Refused(ClusterCommitError::IdUsed));
        }
        self.check_name(session, cluster).await?;
        let room = doc! { "clusters": { "$lt": limit(Cluster::MAX_IN_WORLD) } };
        if !self.record(session, room, 1).await? {
            return Err(Stop::Refused(ClusterCommitError::TooMany));
        }
        let made = ClusterDoc::of(self.world.id(), cluster)?;
        self.clusters().insert_one(made).session(&mut *session).await?;
        ids.insert_one(id).session(&mut *session).await?;
        let guards: Collection<Document> = self.world.collection(collections::GUARDS);
        guards.insert_many(guards::of_new(self.world.id(), cluster.id)).session(&mut *session).await?;
        Ok(())
    }

    async fn update(
        &self,
        session: &mut ClientSession,
        expected: u64,
        cluster: &Cluster,
        sizes: Option<&Arc<PoolSizes>>,
    ) -> Result<(), Refused> {
        let before = self.check_version(session, cluster.id, expected).await?;
        self.check_name(session, cluster).await?;
        if let Some(sizes) = sizes.filter(|_| before.region != cluster.region_code.as_str())
            && let Some(full) = Room::find(&self.world, session, sizes).await?.without_room(cluster)
        {
            return Err(Stop::Refused(ClusterCommitError::NoPlace(full)));
        }
        let made = ClusterDoc::of(self.world.id(), cluster)?;
        self.clusters().replace_one(doc! { "_id": &made.key }, &made).session(&mut *session).await?;
        self.record(session, doc! {}, 0).await?;
        Ok(())
    }

    async fn delete(
        &self,
        session: &mut ClientSession,
        (id, expected): (ClusterId, u64),
        at: Instant,
    ) -> Result<(), Refused> {
        let cluster = self.check_version(session, id, expected).await?;
        let key = self.key(id);
        let machines: Collection<Document> = self.world.collection(collections::MACHINES);
        let living = doc! { "cluster": &key, "live": true };
        if machines.find_one(living).projection(doc! { "_id": 1 }).session(&mut *session).await?.is_some() {
            return Err(Stop::Refused(ClusterCommitError::NotEmpty));
        }
        let guards: Collection<Document> = self.world.collection(collections::GUARDS);
        guards::delete(&guards, session, (self.world.id(), id)).await?;
        let ids: Collection<Document> = self.world.collection(collections::CLUSTER_IDS);
        let gone = serialize_to_document(&Gone { cluster, at: date(at) }).map_err(Error::from)?;
        ids.update_one(doc! { "_id": &key }, doc! { "$set": { "gone": gone } }).session(&mut *session).await?;
        self.clusters().delete_one(doc! { "_id": key }).session(&mut *session).await?;
        self.record(session, doc! {}, -1).await?;
        Ok(())
    }

    /// Counts in the record of the world, where it is as `condition` says: so many clusters more.
    async fn record(&self, session: &mut ClientSession, condition: Document, more: i64) -> Result<bool, Error> {
        let mut record = doc! { "_id": self.world.id() };
        record.extend(condition);
        let change = doc! { "$inc": { "cluster_writes": 1_i64, "clusters": more } };
        let records: Collection<Document> = self.world.collection(collections::INCARNATIONS);
        Ok(records.update_one(record, change).session(session).await?.matched_count > 0)
    }

    /// Takes a number of the history, in which it is no event.
    async fn number(&self, session: &mut ClientSession) -> Result<(), Error> {
        let (id, at) = match &self.commit.write {
            ClusterWrite::Create(cluster) | ClusterWrite::Update { cluster, .. } => {
                (cluster.id, date(cluster.updated_at))
            }
            ClusterWrite::Delete { id, at, .. } => (*id, date(*at)),
        };
        let seq = self.numbers.take(1, at).await?;
        let world = self.world.id();
        let numbered = doc! { "_id": key(world, seq), "w": world, "seq": seq, "cluster": id.to_string() };
        let events: Collection<Document> = self.world.collection(collections::EVENTS);
        events.insert_one(numbered).session(session).await.map(drop)
    }

    async fn check_version(
        &self,
        session: &mut ClientSession,
        id: ClusterId,
        expected: u64,
    ) -> Result<ClusterDoc, Refused> {
        let expected = long(expected)?;
        let found = self.clusters().find_one(doc! { "_id": self.key(id) }).session(session).await?;
        match found {
            Some(cluster) if cluster.version == expected => Ok(cluster),
            _ => Err(Stop::Refused(ClusterCommitError::Conflict)),
        }
    }

    async fn check_name(&self, session: &mut ClientSession, cluster: &Cluster) -> Result<(), Refused> {
        let named = doc! { "w": self.world.id(), "name": cluster.name.as_str() };
        match self.clusters().find_one(named).session(session).await? {
            Some(holder) if holder.key != self.key(cluster.id) => Err(Stop::Refused(ClusterCommitError::NameTaken)),
            _ => Ok(()),
        }
    }
}
