//! The history of a world.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    CreationQuery, EventPage, EventQuery, EventStore, Position, PositionedEvent, StoreError,
};
use cloudm_domain::{Change, Incarnation, Instant, MachineEvent, MachineId, OperationId};
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use mongodb::{ClientSession, Collection, Cursor};
use serde::{Deserialize, Serialize};

use crate::collections;
use crate::counts::{Count, Tally};
use crate::document::{damaged, date, instant, key, limit, long, number};
use crate::list::any;
use crate::transaction::Stop;
use crate::world::{OpenWorld, PATIENCE};

/// A number of the history, with the event that has it; without one it is filled, and nothing happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventDoc {
    #[serde(rename = "_id")]
    key: String,
    w: ObjectId,
    seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Happened>,
    /// What the commit whose last number this is changes of the numbers of machines. See [`crate::counting`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counts: Vec<Count>,
    /// The fleet operation whose acceptance has the number, or whose work, where that has no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<ObjectId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Happened {
    machine: ObjectId,
    version: i64,
    at: DateTime,
    /// The kind of the change, for people.
    kind: String,
    /// The change, in the domain's stored form.
    change: Binary,
}

impl EventDoc {
    pub(crate) fn of(world: ObjectId, seq: i64, event: &MachineEvent) -> Result<Self, StoreError> {
        let bytes = postcard::to_stdvec(&event.change).map_err(|why| StoreError::Failed(why.to_string()))?;
        let happened = Happened {
            machine: ObjectId::from_bytes(*event.machine.as_bytes()),
            version: long(event.version)?,
            at: date(event.at),
            kind: event.change.kind().to_string(),
            change: Binary { subtype: BinarySubtype::Generic, bytes },
        };
        Ok(Self { event: Some(happened), ..Self::mark(world, seq, None) })
    }

    /// What is no event, and has a number.
    pub(crate) fn mark(world: ObjectId, seq: i64, operation: Option<OperationId>) -> Self {
        let operation = operation.map(|id| ObjectId::from_bytes(*id.as_bytes()));
        Self { key: key(world, seq), w: world, seq, event: None, counts: Vec::new(), operation }
    }

    /// The same, as the last of a commit that changes numbers of machines so.
    #[must_use]
    pub(crate) fn counting(self, tally: Tally) -> Self {
        Self { counts: tally.into_counts(), ..self }
    }

    /// The event, where it is one.
    pub(crate) fn event(&self) -> Result<Option<MachineEvent>, StoreError> {
        self.event.as_ref().map(Happened::read).transpose()
    }
}

impl Happened {
    fn read(&self) -> Result<MachineEvent, StoreError> {
        Ok(MachineEvent {
            machine: MachineId::from_bytes(self.machine.bytes()),
            version: number("an event's version", self.version)?,
            at: instant(self.at)?,
            change: postcard::from_bytes::<Change>(&self.change.bytes).map_err(|why| damaged("an event", why))?,
        })
    }
}

/// The filter of a machine's events.
pub(crate) fn of_machine(world: &OpenWorld, id: MachineId) -> Document {
    doc! { "w": world.id(), "event.machine": ObjectId::from_bytes(*id.as_bytes()) }
}

/// Those of some machines whose first event stands after a position.
pub(crate) async fn created_after(
    world: &OpenWorld,
    session: &mut ClientSession,
    after: &Position,
    machines: &[MachineId],
) -> Result<BTreeSet<MachineId>, Stop<StoreError>> {
    let after = seq(world.incarnation(), after)?;
    if machines.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ids = any(machines.iter().map(|id| ObjectId::from_bytes(*id.as_bytes())));
    let events: Collection<Document> = world.collection(collections::EVENTS);
    // The first of each stands first in the index of machines.
    let pipeline = [
        doc! { "$match": { "w": world.id(), "event.machine": ids } },
        doc! { "$sort": { "w": 1, "event.machine": 1, "seq": 1 } },
        doc! { "$group": { "_id": "$event.machine", "first": { "$first": "$seq" } } },
    ];
    let found = events.aggregate(pipeline).batch_size(MAX_BATCH).with_type::<First>();
    let found: Vec<First> = found.session(&mut *session).await?.stream(session).try_collect().await?;
    let later = found.into_iter().filter(|one| one.first > after);
    Ok(later.map(|one| MachineId::from_bytes(one.machine.bytes())).collect())
}

/// The first number of a machine.
#[derive(Deserialize)]
struct First {
    #[serde(rename = "_id")]
    machine: ObjectId,
    first: i64,
}

/// The history of one world.
pub(crate) struct Events(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl EventStore for Events {
    async fn position(&self) -> Result<Position, StoreError> {
        let solid = self.0.base().ask(self.0.sequence.solid()).await?;
        Ok(position(self.0.incarnation(), solid))
    }

    async fn page(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        let after = match &query.after {
            None => 0,
            Some(position) => seq(self.0.incarnation(), position)?,
        };
        let most = query.limit.max(1);
        let page = match query.machine {
            None => self.0.base().ask(self.everything(after, most)).await?,
            Some(machine) => self.0.base().ask(self.of_machine((machine, query.until), after, most)).await?,
        };
        if page.is_empty() && after > 0 && self.0.base().ask(self.0.sequence.counter()).await?.last < after {
            // A position that is ahead of the history was made before the database was set back.
            return Err(StoreError::PositionGone);
        }
        let more = page.len() > most;
        let happened = page.into_iter().take(most);
        let events = happened.map(|(seq, happened)| {
            Ok(PositionedEvent { position: position(self.0.incarnation(), seq), event: happened.read()? })
        });
        Ok(EventPage { events: events.collect::<Result<_, StoreError>>()?, more })
    }

    async fn created(&self, query: &CreationQuery) -> Result<Vec<MachineEvent>, StoreError> {
        let found = self.0.base().ask(self.creations(query)).await?;
        found.into_iter().filter_map(|found| found.event).map(|event| event.read()).collect()
    }

    async fn wait(&self, after: &Position) -> Result<(), StoreError> {
        let after = seq(self.0.incarnation(), after)?;
        while !self.0.base().ask(self.anything(after)).await?.ok_or(StoreError::PositionGone)? {
            self.0.base().feed.wait(&self.0.base().database(), self.0.id(), after).await;
        }
        Ok(())
    }
}

type Numbered = (i64, Happened);

/// The most events that are asked for at once.
const MAX_BATCH: u32 = 10_000;

impl Events {
    fn collection(&self) -> Collection<EventDoc> {
        self.0.collection(collections::EVENTS)
    }

    /// At most one more than `most` events after a number, none of which may still come between two others.
    async fn everything(&self, after: i64, most: usize) -> Result<Vec<Numbered>, Error> {
        let (sequence, mut met, mut solid) = (&self.0.sequence, Vec::new(), after);
        let last = sequence.counter().await?.last;
        'read: while solid < last && met.len() <= most {
            // Each number is an event at most, so this is not too few.
            let until = last.min(solid.saturating_add(limit(most).saturating_add(1) - met.len() as i64));
            for EventDoc { seq, event, .. } in self.read(sequence.between(solid + 1, until), limit(usize::MAX)).await? {
                if seq != solid + 1 {
                    sequence.mend(solid + 1..seq);
                    sequence.pause().await;
                    continue 'read;
                }
                solid = seq;
                met.extend(event.map(|event| (seq, event)));
            }
            if solid < until {
                // Either these are under way and nothing after them is committed, or they are missing before something.
                if !sequence.any_between(until + 1, last).await? {
                    break;
                }
                sequence.mend(solid + 1..until + 1);
                sequence.pause().await;
            }
        }
        sequence.learn(after, solid);
        Ok(met)
    }

    /// The same of one machine. Its events are in order of their numbers, for each is decided on when the one before it is
    /// committed.
    async fn of_machine(
        &self,
        (id, until): (MachineId, Option<Instant>),
        after: i64,
        most: usize,
    ) -> Result<Vec<Numbered>, Error> {
        let mut filter = of_machine(&self.0, id);
        filter.insert("seq", doc! { "$gt": after });
        let mut found = self.find(filter, limit(most).saturating_add(1)).await?;
        let mut met = Vec::new();
        while let Some(EventDoc { seq, event, .. }) = found.try_next().await? {
            // Their instants are in order too.
            if until.zip(event.as_ref()).is_some_and(|(until, event)| event.at > date(until)) {
                break;
            }
            met.extend(event.map(|event| (seq, event)));
        }
        // A position of these is one of the whole history too, so nothing may come before it any more.
        if let Some((last, _)) = met.last() {
            while self.0.sequence.solid().await? < *last {
                self.0.sequence.pause().await;
            }
        }
        Ok(met)
    }

    async fn creations(&self, query: &CreationQuery) -> Result<Vec<EventDoc>, Error> {
        let (beyond, way) = if query.descending { ("$lt", -1) } else { ("$gt", 1) };
        let created = doc! { "w": self.0.id(), "event.version": 1_i64 };
        let until = doc! { "event.at": { "$lte": date(query.until) } };
        let mut filters = Vec::new();
        match query.after {
            None => filters.push(until),
            Some((at, id)) => {
                let (at, id) = (date(at), ObjectId::from_bytes(*id.as_bytes()));
                filters.push(doc! { "event.at": at, "event.machine": { beyond: id } });
                filters.push(doc! { "$and": [until, { "event.at": { beyond: at } }] });
            }
        }
        let (events, most) = (self.collection(), limit(query.limit.max(1)));
        let mut found = Vec::new();
        // One range of the index after the other.
        for filter in filters {
            let filter = doc! { "$and": [created.clone(), filter] };
            let order = doc! { "event.at": way, "event.machine": way };
            let left = most - limit(found.len());
            if left > 0 {
                let some = events.find(filter).sort(order).limit(left).hint(Hint::Name("created".into()));
                found.extend(some.max_time(PATIENCE).await?.try_collect::<Vec<_>>().await?);
            }
        }
        Ok(found)
    }

    async fn read(&self, filter: Document, most: i64) -> Result<Vec<EventDoc>, Error> {
        self.find(filter, most).await?.try_collect().await
    }

    /// Finds at most so many in the order of their numbers.
    async fn find(&self, filter: Document, most: i64) -> Result<Cursor<EventDoc>, Error> {
        let batch = u32::try_from(most).unwrap_or(u32::MAX).min(MAX_BATCH);
        let (events, order) = (self.collection(), doc! { "seq": 1 });
        events.find(filter).sort(order).limit(most).batch_size(batch).max_time(PATIENCE).await
    }

    /// Whether an event is committed after a number; nothing where the number was not given out.
    async fn anything(&self, after: i64) -> Result<Option<bool>, Error> {
        let last = self.0.sequence.counter().await?.last;
        let mut events = self.0.sequence.between(after.saturating_add(1), last);
        events.insert("event", doc! { "$exists": true });
        let found = after < last && self.collection().find_one(events).await?.is_some();
        Ok((after <= last).then_some(found))
    }
}

/// A position is the incarnation, so that another world's is seen, and a number up to which the history is solid.
pub(crate) fn position(incarnation: Incarnation, seq: i64) -> Position {
    Position([incarnation.as_bytes().as_slice(), seq.to_be_bytes().as_slice()].concat())
}

pub(crate) fn seq(incarnation: Incarnation, position: &Position) -> Result<i64, StoreError> {
    let parts = position.0.split_at_checked(12).and_then(|(of, seq)| Some((of, seq.try_into().ok()?)));
    let (of, seq) = parts.ok_or(StoreError::UnknownPosition)?;
    let seq = Some(i64::from_be_bytes(seq)).filter(|seq| *seq >= 0).ok_or(StoreError::UnknownPosition)?;
    if of == incarnation.as_bytes() { Ok(seq) } else { Err(StoreError::PositionGone) }
}
