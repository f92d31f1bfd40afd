//! The machines that one index finds, in the order of a list.

use std::collections::VecDeque;

use cloudm_application::ports::{Accepted, MachineQuery, SortKey, StoreError};
use cloudm_domain::{ClusterId, Code, Machine, MachineId, MachineState, Name, NamePattern, Order, OrderKey, Tag};
use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use mongodb::{ClientSession, Collection, SessionCursor};

use crate::document::{date, key, limit};
use crate::list::any;
use crate::machine_doc::MachineDoc;
use crate::transaction::Stop;
use crate::world::{OpenWorld, PATIENCE};
use crate::{collections, events};

/// Where machines come from. All but [`Source::States`] give live machines only.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// All.
    Live,
    /// Those of a few clusters.
    Clusters(Vec<ClusterId>),
    /// Those in one of these states.
    States(Vec<MachineState>),
    /// Those of one of these machine types.
    Types(Vec<Code>),
    /// Those with a tag.
    Tag(Tag),
    /// Those of a name: at most one a cluster, so they are read at once and sorted here.
    Named(Name),
}

impl Source {
    /// The most values of which the database merges the machines, instead of sorting them all.
    pub(crate) const MOST_CLUSTERS: usize = 100;

    /// What leads to the machines, and the name of the index that does, up to its order.
    fn place(&self, world: ObjectId) -> (Document, &'static str) {
        let live = || doc! { "w": world, "live": true };
        let with = |field: &str, value: Document| {
            let mut place = live();
            place.insert(field, value);
            place
        };
        match self {
            Self::Live => (live(), "live"),
            Self::Clusters(ids) => {
                let keys = any(ids.iter().map(|id| key(world, id)));
                (doc! { "cluster": keys, "live": true }, "cluster")
            }
            Self::States(states) => {
                (doc! { "w": world, "state": any(states.iter().map(|state| state.code())) }, "state")
            }
            Self::Types(codes) => (with("type", any(codes.iter().map(|code| code.as_str()))), "type"),
            Self::Tag(tag) => (with("tags", doc! { "$eq": tag.as_str() }), "tag"),
            Self::Named(name) => (with("name", doc! { "$eq": name.as_str() }), "live"),
        }
    }
}

/// Greater than whatever a name goes on with, and than every name.
const BEYOND_NAMES: char = '\u{7f}';

/// The machines of a source after a key, read a chunk at a time, each by its place in the index or from what stays open.
#[derive(Debug)]
pub(crate) struct Stream {
    source: Source,
    order: Order,
    after: Option<SortKey>,
    made_by: Option<Accepted>,
    prefix: String,
    chunk: usize,
    machines: VecDeque<Met>,
    open: Option<Open>,
    ended: bool,
}

/// What stays open between chunks.
#[derive(Debug)]
struct Open {
    /// The parts of the order that are still to come.
    parts: VecDeque<Document>,
    /// The one that is read.
    cursor: Option<SessionCursor<MachineDoc>>,
}

/// A machine that is met.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) machine: Machine,
    /// Whether it was made later than is asked for.
    pub(crate) late: bool,
}

impl Stream {
    /// The most machines that are read at once.
    const MAX_CHUNK: usize = 2_000;

    /// A stream that first reads `chunk` machines, and then more and more at once.
    pub(crate) fn new(source: Source, query: &MachineQuery, chunk: usize) -> Self {
        let prefix = match &query.selector.name {
            Some(NamePattern::Prefix(prefix)) => prefix.clone(),
            _ => String::new(),
        };
        let chunk = chunk.min(Self::MAX_CHUNK);
        let (order, after, made_by) = (query.order, query.after.clone(), query.made_by.clone());
        Self { source, order, after, made_by, prefix, chunk, machines: VecDeque::new(), open: None, ended: false }
    }

    /// A stream that reads `chunk` machines at once, and leaves the others in the hands of the database. Its sessions are no
    /// transactions, for those end soon.
    pub(crate) fn open(source: Source, (query, chunk): (&MachineQuery, usize), world: ObjectId) -> Self {
        let stream = Self::new(source, query, chunk);
        let parts = stream.ranges(world, &stream.source.place(world).0).into();
        Self { open: Some(Open { parts, cursor: None }), ..stream }
    }

    /// The key of the next machine.
    pub(crate) async fn head(
        &mut self,
        world: &OpenWorld,
        session: &mut ClientSession,
    ) -> Result<Option<SortKey>, Stop<StoreError>> {
        if self.machines.is_empty() && !self.ended {
            self.read(world, session).await?;
        }
        Ok(self.machines.front().map(|met| SortKey::of(&met.machine, self.order.key)))
    }

    /// The next machine, of those that are read.
    pub(crate) fn take(&mut self) -> Option<Met> {
        self.machines.pop_front()
    }

    /// The clusters of the machines that are read.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = ClusterId> {
        self.machines.iter().map(|met| met.machine.cluster_id)
    }

    async fn read(&mut self, world: &OpenWorld, session: &mut ClientSession) -> Result<(), Stop<StoreError>> {
        let (place, index) = self.source.place(world.id());
        if let Source::Named(_) = self.source {
            let mut named = self.find(world, session, (place, "live_name"), limit(usize::MAX)).await?;
            named.retain(|machine| self.is_after(machine));
            named.sort_unstable_by_key(|machine| SortKey::of(machine, self.order.key));
            if self.order.descending {
                named.reverse();
            }
            self.machines = self.met(world, session, named).await?.into();
            self.ended = true;
            return Ok(());
        }
        let index = format!("{index}_{}", if self.order.key == OrderKey::Name { "name" } else { "created" });
        if let Some(open) = self.open.take() {
            return self.read_on(world, session, (open, &index)).await;
        }
        let mut found = Vec::new();
        for part in self.ranges(world.id(), &place) {
            let room = limit(self.chunk - found.len());
            if room > 0 {
                found.extend(self.find(world, session, (part, &index), room).await?);
            }
        }
        self.ended = found.len() < self.chunk;
        self.chunk = (self.chunk * 2).min(Self::MAX_CHUNK);
        self.after = found.last().map(|machine| SortKey::of(machine, self.order.key)).or(self.after.take());
        self.machines = self.met(world, session, found).await?.into();
        Ok(())
    }

    /// Reads a chunk from where the one before ended.
    async fn read_on(
        &mut self,
        world: &OpenWorld,
        session: &mut ClientSession,
        (mut open, index): (Open, &str),
    ) -> Result<(), Stop<StoreError>> {
        let mut found = Vec::new();
        while found.len() < self.chunk {
            if let Some(cursor) = &mut open.cursor {
                let Some(machine) = cursor.next(session).await.transpose()? else {
                    open.cursor = None;
                    continue;
                };
                let machine = machine.read()?;
                // What moves among the values that the database merges may be met again.
                if self.is_after(&machine) {
                    self.after = Some(SortKey::of(&machine, self.order.key));
                    found.push(machine);
                }
            } else if let Some(part) = open.parts.pop_front() {
                let most = (None, self.chunk);
                open.cursor = Some(self.cursor(world, session, (part, index), most).await?);
            } else {
                self.ended = true;
                break;
            }
        }
        self.open = Some(open);
        self.machines = self.met(world, session, found).await?.into();
        Ok(())
    }

    /// The machines, each with whether it was made later than is asked for.
    async fn met(
        &self,
        world: &OpenWorld,
        session: &mut ClientSession,
        found: Vec<Machine>,
    ) -> Result<Vec<Met>, Stop<StoreError>> {
        let Some(Accepted { at, position }) = &self.made_by else {
            return Ok(found.into_iter().map(|machine| Met { machine, late: false }).collect());
        };
        let same: Vec<_> = found.iter().filter(|one| one.created_at == *at).map(|one| one.id).collect();
        let later = events::created_after(world, session, position, &same).await?;
        let late = |one: &Machine| one.created_at > *at || later.contains(&one.id);
        Ok(found.into_iter().map(|machine| Met { late: late(&machine), machine }).collect())
    }

    fn is_after(&self, machine: &Machine) -> bool {
        let key = SortKey::of(machine, self.order.key);
        self.after.as_ref().is_none_or(|after| if self.order.descending { key < *after } else { key > *after })
    }

    /// The parts of the order that a chunk comes from: what shares the value of the last key and comes after its id, and
    /// what comes after that value. Each is one range of the index; both in one question would not be.
    fn ranges(&self, world: ObjectId, place: &Document) -> Vec<Document> {
        let beyond = if self.order.descending { "$lt" } else { "$gt" };
        let part = |conditions: Document| {
            let mut part = place.clone();
            part.extend(conditions);
            part
        };
        let after_id = |id: &MachineId| doc! { beyond: key(world, id) };
        match &self.after {
            None if self.order.key == OrderKey::Name => vec![part(doc! { "name": self.names(None) })],
            None => vec![part(self.made(None))],
            Some(SortKey::CreatedAt(at, id)) => vec![
                part(doc! { "created_at": date(*at), "_id": after_id(id) }),
                part(self.made(Some(doc! { beyond: date(*at) }))),
            ],
            Some(SortKey::Name(name, id)) => vec![
                part(doc! { "name": name.as_str(), "_id": after_id(id) }),
                part(doc! { "name": self.names(Some(name)) }),
            ],
        }
    }

    /// The instants of creation after a key, up to the one that is asked for.
    fn made(&self, after: Option<Document>) -> Document {
        let mut made = after.unwrap_or_default();
        if let Some(by) = &self.made_by {
            made.insert("$lte", date(by.at));
        }
        if made.is_empty() {
            doc! {}
        } else {
            doc! { "created_at": made }
        }
    }

    /// The names that come after one, within the prefix.
    fn names(&self, after: Option<&Name>) -> Document {
        let upper = format!("{}{BEYOND_NAMES}", self.prefix);
        match (after, self.order.descending) {
            (None, _) => doc! { "$gte": &self.prefix, "$lt": upper },
            (Some(after), false) => doc! { "$gt": after.as_str(), "$lt": upper },
            (Some(after), true) => doc! { "$gte": &self.prefix, "$lt": after.as_str() },
        }
    }

    async fn find(
        &self,
        world: &OpenWorld,
        session: &mut ClientSession,
        (filter, index): (Document, &str),
        most: i64,
    ) -> Result<Vec<Machine>, Stop<StoreError>> {
        let most = (Some(most), Self::MAX_CHUNK);
        let mut found = self.cursor(world, session, (filter, index), most).await?;
        let found: Vec<MachineDoc> = found.stream(session).try_collect().await?;
        Ok(found.iter().map(MachineDoc::read).collect::<Result<_, _>>()?)
    }

    /// Finds machines by an index: at most so many, so many at once.
    async fn cursor(
        &self,
        world: &OpenWorld,
        session: &mut ClientSession,
        (filter, index): (Document, &str),
        (most, at_once): (Option<i64>, usize),
    ) -> Result<SessionCursor<MachineDoc>, Error> {
        let machines: Collection<MachineDoc> = world.collection(collections::MACHINES);
        let direction = if self.order.descending { -1 } else { 1 };
        let order = match self.order.key {
            OrderKey::CreatedAt => doc! { "created_at": direction, "_id": direction },
            OrderKey::Name => doc! { "name": direction, "_id": direction },
        };
        let found = machines.find(filter).sort(order).hint(Hint::Name(index.into()));
        // What stays open has as long as it takes: its time is that of all its pages together.
        let found = found.optional(most, |found, most| found.limit(most).max_time(PATIENCE));
        found.batch_size(u32::try_from(at_once).unwrap_or(u32::MAX)).session(session).await
    }
}
