//! Many writes in one transaction, with as many commands for a thousand machines as for two.
//!
//! What is stored is found with one command a kind, what becomes of each write is decided in memory ([`crate::plan`]), and all
//! changes of machines are sent as one command. What another transaction changes meanwhile is in conflict with this one: it
//! begins again, and finds what that did.
//!
//! The first attempt takes for granted what is nearly always so, that new names are free and that nothing is written for a
//! second time. Where that does not hold it begins again too, and asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloudm_application::ports::{BulkWrite, StoreError};
use cloudm_domain::{Cluster, ClusterId, MachineId, Name, OperationId};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{CString, RawArrayBuf};
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc, rawdoc, serialize_to_raw_document_buf};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::Deserialize;
use tokio::sync::MutexGuard;

use crate::append::Entry;
use crate::document::{id_of, key, number};
use crate::list::any;
use crate::machine_doc::MachineDoc;
use crate::numbers::Numbers;
use crate::plan::{Asked, Change, Found, Plan};
use crate::transaction::Stop;
use crate::world::OpenWorld;
use crate::{collections, counting, guards};

/// Many writes that are tried until they are committed.
pub(crate) struct Batch {
    world: Arc<OpenWorld>,
    pub(crate) numbers: Numbers,
    /// Whether what is nearly always so is taken for granted.
    trusting: AtomicBool,
}

/// What a machine may be named, and where.
type Place<'a> = (ClusterId, &'a Name);

/// What is put into the history with a batch.
pub(crate) struct Mark {
    pub(crate) operation: Option<OperationId>,
    /// When it happens, where there is no event.
    pub(crate) at: DateTime,
}

impl Batch {
    pub(crate) fn new(world: Arc<OpenWorld>) -> Self {
        Self { numbers: Numbers::new(world.sequence.clone()), world, trusting: AtomicBool::new(true) }
    }

    /// Whether this attempt takes that for granted; the next one does not.
    pub(crate) fn is_trusting(&self) -> bool {
        self.trusting.swap(false, Ordering::Relaxed)
    }

    /// Told in the end.
    pub(crate) fn end(&self, committed: bool) {
        if let Some(last) = self.numbers.tidy(committed) {
            counting::committed(&self.world, last);
        }
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.world.collection(name)
    }

    /// What is stored, as far as these writes need it.
    pub(crate) async fn find<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        asked: &[Asked<'_>],
        trusting: bool,
    ) -> Result<Found, Stop<R>> {
        let writes: Vec<_> = asked.iter().filter_map(|one| one.write).collect();
        let places: BTreeSet<_> = writes.iter().filter_map(|write| named(write)).collect();
        let mut found = Found::default();
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
    async fn used(&self, session: &mut ClientSession, writes: &[&BulkWrite]) -> Result<BTreeSet<MachineId>, Error> {
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
        writes: &[&BulkWrite],
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

    /// Writes the machines of a plan.
    pub(crate) async fn put_machines<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        plan: &Plan<'_>,
    ) -> Result<(), Stop<R>> {
        let (mut made, mut replaced, mut deleted) = (Vec::new(), RawArrayBuf::new(), RawArrayBuf::new());
        let (mut replacing, mut deleting) = (0_usize, 0_usize);
        for change in plan.changes() {
            match change {
                Change::Insert(machine) => made.push(MachineDoc::of(self.world.id(), machine)?),
                Change::Replace(machine) => {
                    let after = MachineDoc::of(self.world.id(), machine)?;
                    let place = rawdoc! { "_id": after.key() };
                    let after = serialize_to_raw_document_buf(&after).map_err(Error::from)?;
                    replaced.push(rawdoc! { "q": place, "u": after });
                    replacing += 1;
                }
                Change::Delete(id) => {
                    deleted.push(rawdoc! { "q": { "_id": key(self.world.id(), id) }, "limit": 1 });
                    deleting += 1;
                }
            }
        }
        self.send(session, ("delete", "deletes"), (deleted, deleting), deleting).await?;
        self.send(session, ("update", "updates"), (replaced, replacing), replacing).await?;
        if !made.is_empty() {
            self.collection(collections::MACHINES).insert_many(made).session(session).await?;
        }
        Ok(())
    }

    /// Sends so many changes of machines at once, and begins again where another number of machines is met than expected.
    async fn send<R>(
        &self,
        session: &mut ClientSession,
        (command, field): (&str, &str),
        (changes, count): (RawArrayBuf, usize),
        expected: usize,
    ) -> Result<(), Stop<R>> {
        if count == 0 {
            return Ok(());
        }
        let mut sent = RawDocumentBuf::new();
        let name = |name: &str| CString::try_from(name).map_err(Error::from);
        sent.append(name(command)?, collections::MACHINES);
        sent.append(name(field)?, changes);
        let answer = self.world.base().database.run_raw_command(sent).session(session).await?;
        let met = answer.get_i32("n").ok().and_then(|met| usize::try_from(met).ok());
        if met == Some(expected) && !answer.contains_key("writeErrors") {
            return Ok(());
        }
        match answer.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
            // One that others are in the way of is tried again like one that does not hold.
            Some(error) if error.as_document().and_then(|error| error.get_i32("code").ok()) != Some(CONFLICT) => {
                Err(Stop::Failed(Error::custom(format!("machines are not written: {error}"))))
            }
            _ => Err(Stop::Again),
        }
    }

    /// Writes what happens in a plan into the history.
    pub(crate) async fn put_events<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        plan: &mut Plan<'_>,
        mark: Mark,
    ) -> Result<(), Stop<R>> {
        let tally = std::mem::take(&mut plan.tally);
        let entry = Entry { events: &plan.events, tally, operation: mark.operation, at: mark.at };
        entry.append(&self.world, session, &self.numbers).await.map(drop)
    }
}

/// `WriteConflict`.
const CONFLICT: i32 = 112;

/// The name that a write gives, and where: a creation or another name.
fn named(write: &BulkWrite) -> Option<Place<'_>> {
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

/// The turns of those who give names there, in one process.
pub(crate) async fn turns<'w>(
    world: &'w OpenWorld,
    writes: impl Iterator<Item = &BulkWrite>,
) -> Vec<MutexGuard<'w, ()>> {
    let turns = &world.guard_turns;
    let turn = |(cluster, name): Place<'_>| guards::turn(cluster, name, turns.len());
    let wanted: BTreeSet<_> = writes.filter_map(named).map(turn).collect();
    let mut taken = Vec::with_capacity(wanted.len());
    // In one order, so that nobody waits in a circle.
    for turn in wanted {
        taken.push(turns[turn].lock().await);
    }
    taken
}
