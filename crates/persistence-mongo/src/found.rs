//! What is stored, as far as a batch needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloudm_application::ports::{MachineWrite, StoreError};
use cloudm_domain::{Cluster, ClusterId, MachineId, Name, PoolSizes};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::{Document, doc, rawdoc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::Deserialize;

use crate::batch::Batch;
use crate::document::{id_of, key, number};
use crate::list::any;
use crate::machine_doc::MachineDoc;
use crate::plan::{Asked, Found};
use crate::room::{Room, is_asked_for};
use crate::transaction::Stop;
use crate::{collections, counting, guards};

/// What a machine may be named, and where.
pub(crate) type Place<'a> = (ClusterId, &'a Name);

impl Batch {
    /// What is stored, as far as these writes need it.
    pub(crate) async fn find<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        asked: &[Asked<'_>],
        (trusting, sizes): (bool, Option<&Arc<PoolSizes>>),
    ) -> Result<Found, Stop<R>> {
        let writes: Vec<_> = asked.iter().filter_map(|one| one.write).collect();
        let places: BTreeSet<_> = writes.iter().filter_map(|write| named(write)).collect();
        let mut found = Found::default();
        if let Some(sizes) = sizes.filter(|sizes| is_asked_for(sizes, writes.iter().copied())) {
            found.room = Some(Room::find(&self.world, session, sizes).await?);
        }
        let faults = writes.iter().flat_map(|write| write.numbered()).map(|(fault, _)| fault).collect();
        found.matches = counting::matches_of(&self.world, session, faults).await?;
        if !places.is_empty() {
            // First, so that others who give names there come after it.
            found.clusters = self.touch(session, &places).await?;
            if trusting {
                self.check_free(session, &places).await?;
            } else {
                found.holders = self.holders(session, &places).await?;
            }
            found.used = self.used(session, &writes).await?;
        }
        found.versions = self.versions(session, &writes).await?;
        Ok(found)
    }

    /// Touches the guards of names; gives the clusters that exist.
    async fn touch(
        &self,
        session: &mut ClientSession,
        places: &BTreeSet<Place<'_>>,
    ) -> Result<BTreeSet<ClusterId>, Error> {
        let clusters: BTreeSet<_> = places.iter().map(|(cluster, _)| *cluster).collect();
        let guards = self.collection(collections::GUARDS);
        if guards::touch_all(&guards, session, (self.world.id(), places)).await? {
            return Ok(clusters);
        }
        let stored: Collection<Document> = self.collection(collections::CLUSTERS);
        let ids = doc! { "_id": any(clusters.iter().map(|id| key(self.world.id(), id))) };
        let found = stored.find(ids).projection(doc! { "_id": 1 }).batch_size(Cluster::MAX_IN_WORLD as u32);
        let mut found = found.session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        Ok(found.iter().filter_map(|one| id_of(one.get_str("_id").ok()?).ok()).collect())
    }

    /// Begins again where somebody holds one of these names.
    ///
    /// Each is a question of its own, and all are one command: changes that change nothing, of whoever holds it.
    async fn check_free<R>(&self, session: &mut ClientSession, places: &BTreeSet<Place<'_>>) -> Result<(), Stop<R>> {
        let mut questions = RawArrayBuf::new();
        for (cluster, name) in places {
            let held = rawdoc! { "cluster": key(self.world.id(), cluster), "live": true, "name": name.as_str() };
            questions.push(rawdoc! { "q": held, "u": { "$set": { "live": true } } });
        }
        self.send(session, ("update", "updates"), (questions, places.len()), 0).await
    }

    /// Who holds these names.
    async fn holders<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        places: &BTreeSet<Place<'_>>,
    ) -> Result<BTreeMap<(ClusterId, Name), MachineId>, Stop<R>> {
        let machines: Collection<MachineDoc> = self.collection(collections::MACHINES);
        let mut found = Vec::new();
        for (clusters, names) in groups(places) {
            let clusters = any(clusters.iter().map(|id| key(self.world.id(), id)));
            let held = doc! { "cluster": clusters, "live": true, "name": any(names.iter().map(|name| name.as_str())) };
            let held = machines.find(held).batch_size(MOST_SEEKS as u32);
            let mut held = held.session(&mut *session).await?;
            found.extend(held.stream(session).try_collect::<Vec<_>>().await?);
        }
        let holder = |machine: &MachineDoc| {
            let machine = machine.read()?;
            Ok(((machine.cluster_id, machine.name.clone()), machine.id))
        };
        Ok(found.iter().map(holder).collect::<Result<_, StoreError>>()?)
    }

    /// The ids of creations that were used before.
    async fn used(&self, session: &mut ClientSession, writes: &[&MachineWrite]) -> Result<BTreeSet<MachineId>, Error> {
        let made = writes.iter().filter(|write| write.before.is_none()).filter_map(|write| write.machine());
        let ids: BTreeSet<_> = made.collect();
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids = any(ids.iter().map(|id| ObjectId::from_bytes(*id.as_bytes())));
        // A machine that ever was had events then, which stay.
        let happened = doc! { "w": self.world.id(), "event.machine": ids };
        let events: Collection<Document> = self.collection(collections::EVENTS);
        let found = events.find(happened).projection(doc! { "_id": 0, "event.machine": 1 });
        let mut found = found.session(&mut *session).await?;
        let found: Vec<Document> = found.stream(session).try_collect().await?;
        let id = |found: &Document| found.get_document("event").and_then(|event| event.get_object_id("machine"));
        Ok(found.iter().filter_map(|one| id(one).ok()).map(|id| MachineId::from_bytes(id.bytes())).collect())
    }

    /// The versions of the machines that are to change.
    async fn versions<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        writes: &[&MachineWrite],
    ) -> Result<BTreeMap<MachineId, u64>, Stop<R>> {
        let ids: BTreeSet<_> = writes.iter().filter_map(|write| write.before.as_ref()).map(|one| one.id).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let machines: Collection<Version> = self.collection(collections::MACHINES);
        let stored = doc! { "_id": any(ids.iter().map(|id| key(self.world.id(), id))) };
        let found = machines.find(stored).projection(doc! { "version": 1 }).batch_size(ids.len() as u32);
        let found: Vec<_> = found.session(&mut *session).await?.stream(session).try_collect().await?;
        let version = |one: &Version| Ok((id_of(&one.key)?, number("a version", one.version)?));
        Ok(found.iter().map(version).collect::<Result<_, StoreError>>()?)
    }
}

/// The name that a write gives, and where: a creation, also one that is refused, or another name.
pub(crate) fn named(write: &MachineWrite) -> Option<Place<'_>> {
    if let Some(created) = write.unmade() {
        return Some((created.cluster_id, &created.name));
    }
    let after = write.after.as_ref()?;
    let gives = write.before.as_ref().is_none_or(|before| after.holds_name() && before.name != after.name);
    gives.then_some((after.cluster_id, &after.name))
}

/// The most places that are looked at in one question for holders of names: every name in every cluster of the question.
const MOST_SEEKS: usize = 2_000;

/// Clusters and names that are asked for together. They are those of one question, unless names are given in many clusters.
fn groups<'a>(places: &BTreeSet<Place<'a>>) -> Vec<(BTreeSet<ClusterId>, BTreeSet<&'a Name>)> {
    let mut groups: Vec<(BTreeSet<ClusterId>, BTreeSet<&Name>)> = vec![Default::default()];
    for (cluster, name) in places {
        let full = |(clusters, names): &(BTreeSet<ClusterId>, BTreeSet<&Name>)| {
            !clusters.contains(cluster) && !clusters.is_empty() && (clusters.len() + 1) * (names.len() + 1) > MOST_SEEKS
        };
        if groups.last().is_none_or(full) {
            groups.push(Default::default());
        }
        if let Some((clusters, names)) = groups.last_mut() {
            clusters.insert(*cluster);
            names.insert(name);
        }
    }
    groups
}

/// The version of a machine that is stored.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "_id")]
    key: String,
    version: i64,
}
