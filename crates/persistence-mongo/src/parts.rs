//! Worlds part by part: read whole in one transaction, and made of parts under an incarnation that has no name yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use cloudm_application::ports::{GoneCluster, Part, Parts, PartsToLoad, StoreError, World, WorldsError};
use cloudm_domain::{Cluster, Incarnation, Machine, MachineEvent};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc, serialize_to_document};
use mongodb::error::Error;
use mongodb::options::FindOptions;
use mongodb::{ClientSession, Collection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::clusters::{ClusterDoc, Gone, Id};
use crate::counts::{Kind, Tally};
use crate::document::{date, key, limit, world_id};
use crate::error::{overdue, store_error};
use crate::events::EventDoc;
use crate::fork::{self, Draft};
use crate::machine_doc::MachineDoc;
use crate::sequence::Counter;
use crate::transaction::{Stop, Work, transact};
use crate::world::{Base, Stored, living, records};
use crate::{collections, counting, guards, sweep};

/// Documents that are read at once, and those of a part.
const BATCH: usize = 1_000;

/// After how many parts a draft is kept from being swept: some seconds.
const KEPT: usize = 100;

/// Reads a world whole.
pub(crate) struct Reading {
    base: Arc<Base>,
    incarnation: Incarnation,
    to: Parts,
    begun: AtomicBool,
}

/// Whoever takes the parts takes no more.
struct Left;

impl Reading {
    pub(crate) fn new(base: &Arc<Base>, incarnation: Incarnation, to: Parts) -> Self {
        Self { base: base.clone(), incarnation, to, begun: AtomicBool::new(false) }
    }

    /// Gives the parts away; says whether the world was there.
    pub(crate) async fn run(self) -> Result<bool, StoreError> {
        timeout(fork::PATIENCE, transact(&self.base.database(), &self)).await.map_err(|_| overdue())?
    }

    /// Sends what a query finds, where it is one part each.
    async fn send<D: DeserializeOwned + Send + Sync, T: Send>(
        &self,
        session: &mut ClientSession,
        (name, filter, order): (&str, Document, Document),
        read: impl Fn(D) -> Result<Option<T>, StoreError>,
        part: impl Fn(Vec<T>) -> Part,
    ) -> Result<Result<(), Left>, Stop<StoreError>> {
        let collection: Collection<D> = self.base.database().collection(name);
        let options = FindOptions::builder().sort(order).batch_size(BATCH as u32).build();
        let mut found = collection.find(filter).with_options(options).session(&mut *session).await?;
        let mut some = Vec::new();
        while found.advance(session).await? {
            some.extend(read(found.deserialize_current()?)?);
            if some.len() == BATCH && self.to.send(part(std::mem::take(&mut some))).await.is_err() {
                return Ok(Err(Left));
            }
        }
        let sent = some.is_empty() || self.to.send(part(some)).await.is_ok();
        Ok(if sent { Ok(()) } else { Err(Left) })
    }

    async fn everything(
        &self,
        session: &mut ClientSession,
        world: &Stored,
    ) -> Result<Result<(), Left>, Stop<StoreError>> {
        let w = world_id(self.incarnation);
        let counters: Collection<Counter> = self.base.database().collection(collections::SEQUENCES);
        let counter = counters.find_one(doc! { "_id": w }).session(&mut *session).await?.unwrap_or_default();
        let record = world.world()?;
        let now = record.clock.now(self.base.wall.now()).max(world.reached(&counter)?);
        if self.to.send(Part::World(Box::new(record), now)).await.is_err() {
            return Ok(Err(Left));
        }
        let by_age = doc! { "created_at": 1, "_id": 1 };
        let clusters = (collections::CLUSTERS, doc! { "w": w }, by_age);
        let cluster = |cluster: ClusterDoc| cluster.read().map(Some);
        let ids = (collections::CLUSTER_IDS, sweep::ids(w), doc! { "_id": 1 });
        let gone = |id: Id| id.gone.map(|gone| gone.read()).transpose();
        let machines = (collections::MACHINES, sweep::ids(w), doc! { "_id": 1 });
        let events = (collections::EVENTS, doc! { "w": w }, doc! { "seq": 1 });
        let event = |numbered: EventDoc| numbered.event();
        if self.send(session, clusters, cluster, Part::Clusters).await?.is_err()
            || self.send(session, ids, gone, Part::GoneClusters).await?.is_err()
        {
            return Ok(Err(Left));
        }
        let places = self.places(session, w).await?;
        // Records whose cluster was deleted are no machines any more.
        let machine = |machine: MachineDoc| if machine.is_in(&places) { machine.read().map(Some) } else { Ok(None) };
        if self.send(session, machines, machine, Part::Machines).await?.is_err()
            || self.send(session, events, event, Part::Events).await?.is_err()
        {
            return Ok(Err(Left));
        }
        Ok(Ok(()))
    }

    /// The `_id`s of all clusters.
    async fn places(&self, session: &mut ClientSession, w: ObjectId) -> Result<BTreeSet<String>, Error> {
        let clusters: Collection<Document> = self.base.database().collection(collections::CLUSTERS);
        let found = clusters.find(doc! { "w": w }).projection(doc! { "_id": 1 }).sort(doc! { "name": 1 });
        let mut found = found.batch_size(Cluster::MAX_IN_WORLD as u32).session(&mut *session).await?;
        let mut places = BTreeSet::new();
        while found.advance(session).await? {
            places.extend(found.current().get_str("_id").ok().map(str::to_owned));
        }
        Ok(places)
    }
}

#[async_trait]
impl Work for Reading {
    type Output = bool;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<bool, Stop<StoreError>> {
        if self.begun.swap(true, Ordering::Relaxed) {
            // What was given away cannot be taken back.
            return Err(StoreError::Unavailable("a world was not read to its end".into()).into());
        }
        let source = living(world_id(self.incarnation));
        let Some(world) = records(&self.base.database()).find_one(source).session(&mut *session).await? else {
            return Ok(false);
        };
        if self.everything(session, &world).await?.is_ok() {
            let _ = self.to.send(Part::End).await;
        }
        Ok(true)
    }
}

/// Writes a world from its parts, without a name; gives its record for whoever names it.
pub(crate) async fn load(base: &Arc<Base>, world: &World, from: PartsToLoad) -> Result<Stored, WorldsError> {
    let draft = Draft::begin(base, world.incarnation).await?;
    let id = world_id(world.incarnation);
    let loading = Loading { base, world: id, clusters: 0, events: 0, tally: Tally::default() };
    let loaded = loading.run(world, &draft, from).await;
    if loaded.is_err() {
        draft.drop();
    }
    loaded
}

struct Loading<'a> {
    base: &'a Arc<Base>,
    world: ObjectId,
    clusters: i64,
    events: i64,
    tally: Tally,
}

impl Loading<'_> {
    async fn run(mut self, world: &World, draft: &Draft, mut from: PartsToLoad) -> Result<Stored, WorldsError> {
        for number in 1_usize.. {
            let part = from.recv().await;
            let part =
                part.ok_or_else(|| StoreError::Failed("the parts of a world stopped before their end".into()))?;
            if part == Part::End {
                break;
            }
            self.put(&part).await?;
            if number.is_multiple_of(KEPT) {
                draft.keep().await?;
            }
        }
        let mut stored = Stored::of(&world.clone().resumed(self.base.wall.now()))?;
        stored.clusters = self.clusters;
        let reached = date(world.clock.now(0));
        let counter = doc! { "_id": self.world, "last": self.events, "reached": reached, "solid": self.events };
        self.insert(collections::SEQUENCES, vec![counter]).await?;
        let tally = std::mem::take(&mut self.tally);
        let counts = counting::whole(self.world, self.events, tally).map_err(|why| store_error(&why))?;
        self.insert(collections::COUNTS, vec![counts]).await?;
        Ok(stored)
    }

    async fn put(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::World(..) | Part::End => Ok(()),
            Part::Clusters(some) => self.put_clusters(some).await,
            Part::GoneClusters(some) => self.put_gone(some).await,
            Part::Machines(some) => self.put_machines(some).await,
            Part::Events(some) => self.put_events(some).await,
        }
    }

    async fn put_clusters(&mut self, some: &[Arc<Cluster>]) -> Result<(), StoreError> {
        self.clusters += limit(some.len());
        let docs = some.iter().map(|cluster| ClusterDoc::of(self.world, cluster)).collect::<Result<Vec<_>, _>>()?;
        self.insert(collections::CLUSTERS, docs).await?;
        let ids = some.iter().map(|cluster| doc! { "_id": key(self.world, cluster.id) }).collect();
        self.insert::<Document>(collections::CLUSTER_IDS, ids).await?;
        for some in some.chunks(16) {
            let guards = some.iter().flat_map(|cluster| guards::of_new(self.world, cluster.id)).collect();
            self.insert::<Document>(collections::GUARDS, guards).await?;
        }
        Ok(())
    }

    async fn put_gone(&self, some: &[GoneCluster]) -> Result<(), StoreError> {
        let gone = |one: &GoneCluster| {
            let cluster = ClusterDoc::of(self.world, &one.cluster)?;
            let gone = serialize_to_document(&Gone { cluster, at: date(one.at) });
            let gone = gone.map_err(|why| StoreError::Failed(why.to_string()))?;
            Ok(doc! { "_id": key(self.world, one.cluster.id), "gone": gone })
        };
        let docs = some.iter().map(gone).collect::<Result<Vec<_>, StoreError>>()?;
        self.insert(collections::CLUSTER_IDS, docs).await
    }

    async fn put_machines(&mut self, some: &[Machine]) -> Result<(), StoreError> {
        some.iter().for_each(|machine| self.tally.change(None, Some(Kind::of(machine))));
        let docs = some.iter().map(|machine| MachineDoc::of(self.world, machine)).collect::<Result<Vec<_>, _>>()?;
        self.insert(collections::MACHINES, docs).await
    }

    async fn put_events(&mut self, some: &[MachineEvent]) -> Result<(), StoreError> {
        let numbered = (self.events + 1..).zip(some);
        let docs = numbered.map(|(seq, event)| EventDoc::of(self.world, seq, event)).collect::<Result<Vec<_>, _>>()?;
        self.events += limit(some.len());
        self.tally.count_matches(some);
        self.insert(collections::EVENTS, docs).await
    }

    async fn insert<D: Serialize + Send + Sync>(&self, name: &str, docs: Vec<D>) -> Result<(), StoreError> {
        if docs.is_empty() {
            return Ok(());
        }
        let collection: Collection<D> = self.base.database().collection(name);
        self.base.ask(async { collection.insert_many(docs).ordered(false).await.map(drop) }).await
    }
}
