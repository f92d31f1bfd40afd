//! The machines of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    Commit, CommitError, MachineCount, MachinePage, MachineQuery, MachineStore, MachineWalk, MachineWrite,
    PlacedMachine, StoreError,
};
use cloudm_domain::{ClusterId, Instant, Machine, MachineId, Name, PoolSizes};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::ReadConcern;
use serde::Deserialize;

use crate::batch::turns;
use crate::clusters::ClusterDoc;
use crate::commit::MachineCommit;
use crate::document::{damaged, date, instant, key, limit};
use crate::list::Listing;
use crate::machine_doc::MachineDoc;
use crate::walk::Walk;
use crate::world::{OpenWorld, PATIENCE};
use crate::{bulk, collections, counting, events};

/// The machines of one world.
pub(crate) struct Machines(pub(crate) Arc<OpenWorld>);

/// A machine with its cluster, where that exists.
#[derive(Deserialize)]
struct Placed {
    #[serde(flatten)]
    machine: MachineDoc,
    place: Vec<ClusterDoc>,
}

impl Machines {
    fn collection(&self) -> Collection<MachineDoc> {
        self.0.collection(collections::MACHINES)
    }

    fn key(&self, id: MachineId) -> String {
        key(self.0.id(), id)
    }
}

#[async_trait]
impl MachineStore for Machines {
    async fn get(&self, id: MachineId) -> Result<Option<PlacedMachine>, StoreError> {
        let machines = self.collection();
        let read = async {
            let place = doc! {
                "from": collections::CLUSTERS, "localField": "cluster", "foreignField": "_id", "as": "place",
            };
            let pipeline = [doc! { "$match": { "_id": self.key(id) } }, doc! { "$lookup": place }];
            // Both as they were at one moment.
            let found = machines.aggregate(pipeline).read_concern(ReadConcern::snapshot()).with_type::<Placed>();
            found.await?.try_next().await
        };
        let Some(Placed { machine, place }) = self.0.base().ask(read).await? else { return Ok(None) };
        let Some(cluster) = place.first() else { return Ok(None) };
        Ok(Some(PlacedMachine { machine: machine.read()?, cluster: cluster.read()? }))
    }

    async fn holder(&self, cluster: ClusterId, name: &Name) -> Result<Option<Machine>, StoreError> {
        let machines = self.collection();
        let place = key(self.0.id(), cluster);
        let held = doc! { "cluster": place, "live": true, "name": name.as_str() };
        let found = self.0.base().ask(async { machines.find_one(held).await }).await?;
        found.map(|machine| machine.read()).transpose()
    }

    async fn id_used(&self, id: MachineId) -> Result<bool, StoreError> {
        let events: Collection<Document> = self.0.collection(collections::EVENTS);
        let filter = events::of_machine(&self.0, id);
        Ok(self.0.base().ask(async { events.find_one(filter).await }).await?.is_some())
    }

    async fn list(&self, query: &MachineQuery) -> Result<MachinePage, StoreError> {
        self.0.read_moment(Listing { world: self.0.clone(), query: query.clone() }).await
    }

    fn walk(&self, query: MachineQuery) -> Box<dyn MachineWalk> {
        Box::new(Walk::new(self.0.clone(), query))
    }

    async fn due(&self, until: Instant, most: usize) -> Result<Vec<Machine>, StoreError> {
        let machines = self.collection();
        let filter = doc! { "w": self.0.id(), "next.at": { "$lte": date(until) } };
        let order = doc! { "next.at": 1, "_id": 1 };
        let read = async {
            let batch = u32::try_from(most).unwrap_or(u32::MAX);
            let found = machines.find(filter).sort(order).limit(limit(most)).batch_size(batch);
            found.max_time(PATIENCE).await?.try_collect::<Vec<_>>().await
        };
        self.0.base().ask(read).await?.iter().map(MachineDoc::read).collect()
    }

    async fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        let machines: Collection<Document> = self.0.collection(collections::MACHINES);
        let filter = doc! { "w": self.0.id(), "next.at": { "$gte": DateTime::MIN } };
        let order = doc! { "next.at": 1, "_id": 1 };
        let fields = doc! { "next.at": 1, "_id": 0 };
        let read = async { machines.find_one(filter).sort(order).projection(fields).await };
        let Some(found) = self.0.base().ask(read).await? else { return Ok(None) };
        let at = found.get_document("next").and_then(|next| next.get_datetime("at"));
        at.map_err(|why| damaged("what is due", why)).and_then(|at| instant(*at)).map(Some)
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        bulk::check_whole([&commit.write])?;
        // In one process, those who would be in each other's way take turns and do not undo each other.
        let _turns = turns(&self.0, commit.sizes.as_deref(), std::iter::once(&commit.write)).await?;
        self.0.write(MachineCommit::new(self.0.clone(), commit)).await
    }

    async fn commit_all(
        &self,
        writes: Vec<MachineWrite>,
        sizes: Option<Arc<PoolSizes>>,
    ) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        bulk::commit_all(&self.0, writes, sizes).await
    }

    async fn counts(&self) -> Result<Vec<MachineCount>, StoreError> {
        counting::read(&self.0).await
    }
}
