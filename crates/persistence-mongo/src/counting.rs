//! How many machines there are, without counting them.
//!
//! Each commit says beside its events what it changes of the numbers of machines: a few words, in a document that it writes
//! anyway. What a world has is the sum of all that. A document of the world holds the sum up to a number of the history, and
//! whoever reads adds what came later, in one snapshot. Now and then what came later is **folded** into the document, up to a
//! number where the history is solid, so that nothing can be committed any more that the sum would miss. Commits share
//! nothing for it, and a read looks at a bounded number of events.
//!
//! A new world has such a document. One that has none, because a server made it that knew nothing of this, is counted once; how
//! often faults matched is counted in the same way, and a world without the document has no faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use cloudm_application::ports::{MachineCount, StoreError};
use cloudm_domain::FaultId;
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc, serialize_to_document};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::counts::{Count, Kind, Tally};
use crate::document::number;
use crate::error::overdue;
use crate::transaction::{Stop, Work, transact};
use crate::world::OpenWorld;
use crate::{clusters, collections, fork};

/// Numbers of the history that are left for whoever reads.
const UNFOLDED: i64 = 1_000;

/// Numbers that are folded at once.
const AT_ONCE: i64 = 10_000;

/// The document of a world.
#[derive(Debug, Serialize, Deserialize)]
struct Folded {
    /// The number of the history up to which `counts` is.
    folded: i64,
    counts: Vec<Count>,
}

/// A number of the history, with what it counts for.
#[derive(Debug, Deserialize)]
struct Delta {
    seq: i64,
    #[serde(default)]
    counts: Vec<Count>,
}

/// What a process knows of the counts of a world.
#[derive(Default)]
pub(crate) struct Counting {
    /// Up to where they are folded.
    folded: AtomicI64,
    /// Whether they are being folded.
    folding: AtomicBool,
    /// Whether there is a document to fold them into.
    begun: AtomicBool,
}

fn collection(world: &OpenWorld) -> Collection<Document> {
    world.collection(collections::COUNTS)
}

/// The document of a world that is made whole.
pub(crate) fn whole(world: ObjectId, folded: i64, tally: Tally) -> Result<Document, Error> {
    let mut made = serialize_to_document(&Folded { folded, counts: tally.into_counts() })?;
    made.insert("_id", world);
    Ok(made)
}

/// Told of each commit: the last number of it. Folds beside everything else when there is enough to fold.
pub(crate) fn committed(world: &Arc<OpenWorld>, last: i64) {
    let counting = &world.counting;
    if last - counting.folded.load(Ordering::Acquire) < UNFOLDED || counting.folding.swap(true, Ordering::AcqRel) {
        return;
    }
    let world = world.clone();
    tokio::spawn(async move {
        while let Ok(folded) = fold(&world).await
            && folded >= AT_ONCE
        {}
        world.counting.folding.store(false, Ordering::Release);
    });
}

/// Folds once; says how many numbers.
async fn fold(world: &Arc<OpenWorld>) -> Result<i64, StoreError> {
    let folding = Folding(world.clone());
    let folded = timeout(fork::PATIENCE, transact(&world.base().database(), &folding)).await.map_err(|_| overdue())?;
    let folded = folded.inspect_err(|error| tracing::debug!(%error, "the counts of machines are not folded"))?;
    if folded.is_none() {
        first(world).await?;
    }
    Ok(folded.unwrap_or_default())
}

/// Counts the machines of a world that has no document.
async fn first(world: &Arc<OpenWorld>) -> Result<(), StoreError> {
    let solid = world.base().ask(world.sequence.solid()).await?;
    let first = First { world: world.clone(), solid };
    timeout(fork::PATIENCE, transact(&world.base().database(), &first)).await.map_err(|_| overdue())?
}

/// How many machines there are.
pub(crate) async fn read(world: &Arc<OpenWorld>) -> Result<Vec<MachineCount>, StoreError> {
    Ok(moment(world).await?.machines)
}

/// How often faults matched, and how often they struck: of each number whether it is of those.
pub(crate) async fn of_faults(world: &Arc<OpenWorld>) -> Result<Vec<(FaultId, bool, i64)>, StoreError> {
    Ok(moment(world).await?.faults)
}

/// What is counted, as it is at one moment.
async fn moment(world: &Arc<OpenWorld>) -> Result<Shown, StoreError> {
    let reading = |most| world.read_moment(Reading { world: world.clone(), most });
    match reading(2 * UNFOLDED).await? {
        Some(counts) => return Ok(counts),
        None => while fold(world).await? >= AT_ONCE {},
    }
    // What is under way cannot be folded, so there may be more than expected again.
    match reading(i64::MAX).await? {
        Some(counts) => Ok(counts),
        None => Err(StoreError::Unavailable("the machines of the world are not counted yet".into())),
    }
}

/// The numbers of the history after one, with what they count for.
async fn deltas(world: &OpenWorld, session: &mut ClientSession, (after, to): (i64, i64)) -> Result<Vec<Delta>, Error> {
    let events: Collection<Delta> = world.collection(collections::EVENTS);
    let found = events.find(world.sequence.between(after + 1, to)).projection(doc! { "_id": 0, "seq": 1, "counts": 1 });
    let found = found.sort(doc! { "seq": 1 }).batch_size(AT_ONCE as u32);
    found.session(&mut *session).await?.stream(session).try_collect().await
}

/// Makes sure that the machines of a world are counted, for [`tally`].
pub(crate) async fn begin(world: &Arc<OpenWorld>) -> Result<(), StoreError> {
    if !world.counting.begun.load(Ordering::Acquire) {
        first(world).await?;
        world.counting.begun.store(true, Ordering::Release);
    }
    Ok(())
}

/// The numbers of machines as a transaction sees them, once counting has begun.
pub(crate) async fn tally<R: From<StoreError>>(
    world: &OpenWorld,
    session: &mut ClientSession,
) -> Result<Tally, Stop<R>> {
    let found = find(world, session).await?;
    let uncounted = || {
        // Whoever asks next has them counted.
        world.counting.begun.store(false, Ordering::Release);
        StoreError::Unavailable("the machines of the world are not counted yet".into())
    };
    Ok(sum(world, session, found.ok_or_else(uncounted)?).await?)
}

/// Lets whoever else takes what is counted come before this transaction or after it, as the next one sees the last: each of them
/// writes to the record of the world.
pub(crate) async fn take_turn(world: &OpenWorld, session: &mut ClientSession) -> Result<(), Error> {
    let records: Collection<Document> = world.collection(collections::INCARNATIONS);
    let touch = doc! { "$inc": { "places_taken": 1_i64 } };
    records.update_one(doc! { "_id": world.id() }, touch).session(session).await.map(drop)
}

/// How often each of these faults matched, in the turn of this transaction.
pub(crate) async fn matches_of<R: From<StoreError>>(
    world: &OpenWorld,
    session: &mut ClientSession,
    faults: BTreeSet<FaultId>,
) -> Result<BTreeMap<FaultId, i64>, Stop<R>> {
    if faults.is_empty() {
        return Ok(BTreeMap::new());
    }
    take_turn(world, session).await?;
    let tally = tally(world, session).await?;
    Ok(faults.into_iter().map(|fault| (fault, tally.of(&Kind::matches(fault)))).collect())
}

/// What is folded, with all that came later.
async fn sum(world: &OpenWorld, session: &mut ClientSession, found: Folded) -> Result<Tally, Error> {
    let later = deltas(world, session, (found.folded, i64::MAX)).await?;
    let mut tally: Tally = found.counts.into_iter().collect();
    tally.extend(later.into_iter().flat_map(|delta| delta.counts));
    Ok(tally)
}

async fn find(world: &OpenWorld, session: &mut ClientSession) -> Result<Option<Folded>, Error> {
    let found = collection(world).clone_with_type().find_one(doc! { "_id": world.id() }).session(session).await?;
    if let Some(Folded { folded, .. }) = &found {
        world.counting.folded.fetch_max(*folded, Ordering::AcqRel);
    }
    Ok(found)
}

/// Folds what is solid; gives how many numbers that were, and nothing where there is nothing to fold it into.
struct Folding(Arc<OpenWorld>);

#[async_trait]
impl Work for Folding {
    type Output = Option<i64>;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Option<i64>, Stop<StoreError>> {
        let world = &self.0;
        let Some(Folded { folded, counts }) = find(world, session).await? else { return Ok(None) };
        let deltas = deltas(world, session, (folded, folded + AT_ONCE)).await?;
        let in_a_row = deltas.iter().zip(folded + 1..).take_while(|(delta, next)| delta.seq == *next);
        let solid = folded + in_a_row.count() as i64;
        if let Some(delta) = deltas.iter().find(|delta| delta.seq > solid) {
            // Something is under way, or will never come.
            world.sequence.mend(solid + 1..delta.seq);
        }
        world.sequence.learn(folded, solid);
        let mut tally: Tally = counts.into_iter().collect();
        tally.extend(deltas.into_iter().filter(|delta| delta.seq <= solid).flat_map(|delta| delta.counts));
        if solid > folded {
            let place = doc! { "_id": world.id(), "folded": folded };
            let (counts, whole) = (collection(world), whole(world.id(), solid, tally)?);
            if counts.replace_one(place, whole).session(session).await?.matched_count == 0 {
                return Err(Stop::Again);
            }
        }
        world.counting.folded.fetch_max(folded, Ordering::AcqRel);
        Ok(Some(solid - folded))
    }
}

/// What the database counts.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    kind: CountedKind,
    number: i64,
}

#[derive(Deserialize)]
struct CountedKind {
    cluster: String,
    #[serde(rename = "type")]
    machine_type: String,
    state: String,
}

/// Counts the machines of a world that has no document: those that there are, without what was counted after a number up
/// to which the history is solid.
struct First {
    world: Arc<OpenWorld>,
    solid: i64,
}

#[async_trait]
impl Work for First {
    type Output = ();
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<(), Stop<StoreError>> {
        let world = &self.world;
        if find(world, session).await?.is_some() {
            return Ok(());
        }
        let machines: Collection<Document> = world.collection(collections::MACHINES);
        let kind = doc! { "cluster": "$cluster", "type": "$type", "state": "$state" };
        let group = doc! { "$group": { "_id": kind, "number": { "$sum": 1_i64 } } };
        let counted = machines.aggregate([doc! { "$match": { "w": world.id() } }, group]);
        let counted = counted.with_type::<Counted>();
        let counted: Vec<_> = counted.session(&mut *session).await?.stream(session).try_collect().await?;
        let mut tally = Tally::default();
        for Counted { kind, number } in counted {
            tally.add(Kind::stored(&kind.cluster, kind.machine_type, kind.state)?, number);
        }
        let later = deltas(world, session, (self.solid, i64::MAX)).await?;
        tally.subtract(later.into_iter().flat_map(|delta| delta.counts).collect());
        collection(world).insert_one(whole(world.id(), self.solid, tally)?).session(session).await?;
        Ok(())
    }
}

/// What is counted.
#[derive(Default)]
struct Shown {
    machines: Vec<MachineCount>,
    faults: Vec<(FaultId, bool, i64)>,
}

/// Reads the counts; nothing where more numbers than `most` would have to be added, or there is no document.
struct Reading {
    world: Arc<OpenWorld>,
    most: i64,
}

#[async_trait]
impl Work for Reading {
    type Output = Option<Shown>;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<Self::Output, Stop<StoreError>> {
        let world = &self.world;
        let Some(found) = find(world, session).await? else { return Ok(None) };
        let (folded, last) = (found.folded, world.sequence.counter().await?.last);
        if last - folded > self.most {
            return Ok(None);
        }
        let tally = sum(world, session, found).await?;
        if last - folded > UNFOLDED {
            committed(world, last);
        }
        let places = clusters::select(world, session, doc! { "w": world.id() }).await?;
        let places = places.iter().map(|place| place.read().map(|cluster| (cluster.id, cluster)));
        let places = places.collect::<Result<BTreeMap<_, _>, _>>()?;
        let mut shown = Shown::default();
        for Count { kind, number: counted } in tally.into_counts() {
            if let Some((fault, struck)) = kind.fault() {
                shown.faults.push((fault, struck, counted));
                continue;
            }
            // TERMINATED machines of a cluster that was deleted are there no more.
            if let Some(cluster) = places.get(&kind.cluster()).cloned() {
                let (machine_type, state) = kind.read()?;
                shown.machines.push(MachineCount { cluster, machine_type, state, count: number("a count", counted)? });
            }
        }
        Ok(Some(shown))
    }
}
