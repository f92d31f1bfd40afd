//! The machines that one index finds, in the order of a list.

use std::collections::VecDeque;

use cloudm_application::ports::{MachineQuery, SortKey};
use cloudm_domain::{ClusterId, Code, Machine, MachineId, MachineState, Name, NamePattern, Order, OrderKey, Tag};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::error::DbError;
use crate::list::A_PAGE;
use crate::pool::{READ, offer_core};
use crate::record::{self, Shared};
use crate::sql;
use crate::writer::millis;

/// Where machines come from. All but [`Source::State`] give live machines only.
///
/// Those of a state, a type or a tag stand in an index in the order of creation. By name they are sorted, all of them for each
/// page; TERMINATED ones stand in an index by name, too.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// All.
    Live,
    /// Those of a cluster.
    Cluster(ClusterId),
    /// Those in a state.
    State(MachineState),
    /// Those of a machine type.
    Type(Code),
    /// Those with a tag.
    Tag(Tag),
    /// Those of a name: at most one a cluster, so they are read at once and sorted here.
    Named(Name),
}

impl Source {
    /// The table of the index, with the machines, and what leads to them in it.
    fn place(&self, order: OrderKey) -> (&'static str, &'static str) {
        match self {
            Self::Live | Self::Named(_) => ("machines m", "m.live = 1"),
            Self::Cluster(_) => ("machines m", "m.live = 1 AND m.cluster_id = ?"),
            Self::State(MachineState::Terminated) if order == OrderKey::Name => {
                ("machines m INDEXED BY machines_terminated_name", "m.live = 0 AND m.state = ?")
            }
            Self::State(_) => ("machines m INDEXED BY machines_state_created", "m.state = ?"),
            Self::Type(_) => ("machines m INDEXED BY machines_type_created", "m.live = 1 AND m.machine_type = ?"),
            Self::Tag(_) => ("machine_tags t CROSS JOIN machines m ON m.id = t.id", "t.tag = ?"),
        }
    }

    /// Whether its machines have to be sorted to be in this order.
    pub(crate) fn is_sorted_for(&self, order: OrderKey) -> bool {
        let stands =
            matches!(self, Self::Live | Self::Cluster(_) | Self::Named(_) | Self::State(MachineState::Terminated));
        order == OrderKey::Name && !stands
    }

    /// How many machines it has, counted up to a number.
    pub(crate) fn count(&self, db: &Connection, most: usize) -> Result<usize, DbError> {
        let most = Value::Integer(i64::try_from(most).unwrap_or(i64::MAX));
        let mut statement = db.prepare_cached(&self.count_sql())?;
        let count: i64 =
            statement.query_row(params_from_iter(self.value().into_iter().chain([most])), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The statement that counts the machines up to a number.
    pub(crate) fn count_sql(&self) -> String {
        let (tables, place) = self.place(OrderKey::CreatedAt);
        // Of a tag, the machines are not looked at.
        let tables = if matches!(self, Self::Tag(_)) { "machine_tags t" } else { tables };
        format!("SELECT COUNT(*) FROM (SELECT 1 FROM {tables} WHERE {place} LIMIT ?)")
    }

    fn value(&self) -> Option<Value> {
        match self {
            Self::Live | Self::Named(_) => None,
            Self::Cluster(id) => Some(Value::Blob(id.as_bytes().to_vec())),
            Self::State(state) => Some(Value::Integer(state.number().into())),
            Self::Type(code) => Some(Value::Text(code.as_str().into())),
            Self::Tag(tag) => Some(Value::Text(tag.as_str().into())),
        }
    }

    /// The statement that finds the machines after a key, in an order.
    pub(crate) fn sql(&self, order: Order) -> String {
        let (tables, place) = self.place(order.key);
        let index = if matches!((self, order.key), (Self::Tag(_), OrderKey::CreatedAt)) { 't' } else { 'm' };
        let (beyond, direction) = if order.descending { ('<', "DESC") } else { ('>', "ASC") };
        let key = if order.key == OrderKey::Name { "name" } else { "created_at" };
        let until = match (order.key, order.descending) {
            (OrderKey::CreatedAt, _) => String::new(),
            (OrderKey::Name, false) => format!(" AND {index}.name < ?"),
            (OrderKey::Name, true) => format!(" AND {index}.name >= ?"),
        };
        format!(
            "SELECT m.record FROM {tables} WHERE {place} AND ({index}.{key}, {index}.id) {beyond} (?, ?){until} \
             ORDER BY {index}.{key} {direction}, {index}.id {direction} LIMIT ?"
        )
    }
}

/// The part of an order that a page may come from: after a key and, by name, within the prefix that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    order: Order,
    after: Option<SortKey>,
    prefix: String,
}

/// Greater than whatever a name goes on with, and than every name.
const BEYOND_NAMES: &str = "\u{7f}";

impl Range {
    pub(crate) fn of(query: &MachineQuery) -> Self {
        let prefix = match &query.selector.name {
            Some(NamePattern::Prefix(prefix)) => prefix.clone(),
            _ => String::new(),
        };
        Self { order: query.order, after: query.after.clone(), prefix }
    }

    fn is_after(&self, key: &SortKey) -> bool {
        self.after.as_ref().is_none_or(|after| if self.order.descending { key < after } else { key > after })
    }

    /// The key after which the statement begins; where there is none yet, one that is beyond all.
    fn start(&self) -> [Value; 2] {
        let id = |id: &MachineId| Value::Blob(id.as_bytes().to_vec());
        match (&self.after, self.order.key) {
            (Some(SortKey::CreatedAt(instant, last)), _) => [Value::Integer(millis(*instant)), id(last)],
            (Some(SortKey::Name(name, last)), _) => [Value::Text(name.as_str().into()), id(last)],
            (None, OrderKey::CreatedAt) => {
                let beyond = if self.order.descending { i64::MAX } else { i64::MIN };
                [Value::Integer(beyond), Value::Blob(Vec::new())]
            }
            (None, OrderKey::Name) => [self.edge(self.order.descending), Value::Blob(Vec::new())],
        }
    }

    /// Where names end to have the prefix.
    fn end(&self) -> Option<Value> {
        (self.order.key == OrderKey::Name).then(|| self.edge(!self.order.descending))
    }

    fn edge(&self, upper: bool) -> Value {
        Value::Text(format!("{}{}", self.prefix, if upper { BEYOND_NAMES } else { "" }))
    }
}

/// The machines of a source in a range, read a chunk at a time.
#[derive(Debug)]
pub(crate) struct Stream {
    source: Source,
    range: Range,
    chunk: usize,
    machines: VecDeque<Machine>,
    ended: bool,
}

impl Stream {
    /// The most machines that are read at once.
    const MAX_CHUNK: usize = 1_024;

    /// A stream that first reads `chunk` machines, and then more and more at once.
    pub(crate) fn new(source: Source, range: Range, chunk: usize) -> Self {
        Self { source, range, chunk: chunk.min(Self::MAX_CHUNK), machines: VecDeque::new(), ended: false }
    }

    pub(crate) fn descending(&self) -> bool {
        self.range.order.descending
    }

    /// The key of its next machine, which is read then.
    pub(crate) fn next_key(&mut self, db: &Connection) -> Result<Option<SortKey>, DbError> {
        if self.machines.is_empty() && !self.ended {
            match self.source.clone() {
                Source::Named(name) => self.read_named(db, &name)?,
                _ => self.read_chunk(db)?,
            }
        }
        Ok(self.machines.front().map(|machine| self.key(machine)))
    }

    /// Takes the machine whose key was read.
    pub(crate) fn take(&mut self) -> Option<Machine> {
        self.machines.pop_front()
    }

    fn key(&self, machine: &Machine) -> SortKey {
        SortKey::of(machine, self.range.order.key)
    }

    fn read_chunk(&mut self, db: &Connection) -> Result<(), DbError> {
        let limit = Value::Integer(i64::try_from(self.chunk).unwrap_or(i64::MAX));
        let values = self.source.value().into_iter().chain(self.range.start()).chain(self.range.end()).chain([limit]);
        let mut statement = db.prepare_cached(&self.source.sql(self.range.order))?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut shared = Shared::default();
        self.machines.reserve(self.chunk.min(A_PAGE));
        while let Some(row) = rows.next()? {
            self.machines.push_back(shared.read(row)?);
            offer_core(self.machines.len(), READ);
        }
        self.ended = self.machines.len() < self.chunk;
        self.chunk = (self.chunk * 2).min(Self::MAX_CHUNK);
        self.range.after = self.machines.back().map(|last| self.key(last));
        Ok(())
    }

    fn read_named(&mut self, db: &Connection, name: &Name) -> Result<(), DbError> {
        let mut statement = db.prepare_cached(sql::MACHINE_NAMED)?;
        let mut rows = statement.query([name.as_str()])?;
        let mut machines = Vec::new();
        while let Some(row) = rows.next()? {
            machines.push(record::read(row)?);
        }
        machines.retain(|machine| self.range.is_after(&self.key(machine)));
        machines.sort_by_cached_key(|machine| self.key(machine));
        if self.range.order.descending {
            machines.reverse();
        }
        self.machines = machines.into();
        self.ended = true;
        Ok(())
    }
}
