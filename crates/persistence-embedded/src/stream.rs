//! The keys of the machines that one index finds, in the order of a list.

use std::collections::VecDeque;

use cloudm_application::ports::{MachineQuery, SortKey};
use cloudm_domain::{ClusterId, Code, MachineId, MachineState, Name, NamePattern, Order, OrderKey, Tag};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::DbError;
use crate::machine_row::Columns;
use crate::sql;
use crate::writer::millis;

/// Where machines come from. All but [`Source::State`] give live machines only.
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
    /// The table and what leads to the machines in it.
    fn place(&self) -> (&'static str, &'static str) {
        match self {
            Self::Live | Self::Named(_) => ("machines", "live = 1"),
            Self::Cluster(_) => ("machines", "live = 1 AND cluster_id = ?"),
            Self::State(_) => ("machines", "state = ?"),
            Self::Type(_) => ("machines", "live = 1 AND machine_type = ?"),
            Self::Tag(_) => ("machine_tags", "tag = ?"),
        }
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

    /// The statement that finds the keys after one of them, in an order.
    pub(crate) fn sql(&self, order: Order) -> String {
        let (table, place) = self.place();
        let (beyond, direction) = if order.descending { ('<', "DESC") } else { ('>', "ASC") };
        let (key, until) = match (order.key, order.descending) {
            (OrderKey::CreatedAt, _) => ("created_at", ""),
            (OrderKey::Name, false) => ("name", " AND name < ?"),
            (OrderKey::Name, true) => ("name", " AND name >= ?"),
        };
        format!(
            "SELECT {key}, id FROM {table} WHERE {place} AND ({key}, id) {beyond} (?, ?){until} \
             ORDER BY {key} {direction}, id {direction} LIMIT ?"
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

/// The keys of a source in a range, read a chunk at a time.
#[derive(Debug)]
pub(crate) struct Stream {
    source: Source,
    range: Range,
    chunk: usize,
    keys: VecDeque<SortKey>,
    ended: bool,
}

impl Stream {
    /// The most keys that are read at once.
    const MAX_CHUNK: usize = 1_024;

    /// A stream that first reads `chunk` keys, and then more and more at once.
    pub(crate) fn new(source: Source, range: Range, chunk: usize) -> Self {
        Self { source, range, chunk: chunk.min(Self::MAX_CHUNK), keys: VecDeque::new(), ended: false }
    }

    pub(crate) fn descending(&self) -> bool {
        self.range.order.descending
    }

    pub(crate) fn next(&mut self, db: &Connection) -> Result<Option<SortKey>, DbError> {
        if self.keys.is_empty() && !self.ended {
            match self.source.clone() {
                Source::Named(name) => self.read_named(db, &name)?,
                _ => self.read_chunk(db)?,
            }
        }
        Ok(self.keys.pop_front())
    }

    fn read_chunk(&mut self, db: &Connection) -> Result<(), DbError> {
        let limit = Value::Integer(i64::try_from(self.chunk).unwrap_or(i64::MAX));
        let values = self.source.value().into_iter().chain(self.range.start()).chain(self.range.end()).chain([limit]);
        let mut statement = db.prepare_cached(&self.source.sql(self.range.order))?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            self.keys.push_back(read(row, self.range.order.key)?);
        }
        self.ended = self.keys.len() < self.chunk;
        self.chunk = (self.chunk * 2).min(Self::MAX_CHUNK);
        self.range.after = self.keys.back().cloned();
        Ok(())
    }

    fn read_named(&mut self, db: &Connection, name: &Name) -> Result<(), DbError> {
        let mut statement = db.prepare_cached(sql::MACHINE_NAMED)?;
        let mut rows = statement.query([name.as_str()])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(match self.range.order.key {
                OrderKey::CreatedAt => read(row, OrderKey::CreatedAt)?,
                OrderKey::Name => SortKey::Name(name.clone(), MachineId::from_bytes(Columns(row).id(1)?)),
            });
        }
        keys.retain(|key| self.range.is_after(key));
        keys.sort_unstable();
        if self.range.order.descending {
            keys.reverse();
        }
        self.keys = keys.into();
        self.ended = true;
        Ok(())
    }
}

fn read(row: &Row<'_>, key: OrderKey) -> Result<SortKey, DbError> {
    let columns = Columns(row);
    let id = MachineId::from_bytes(columns.id(1)?);
    Ok(match key {
        OrderKey::CreatedAt => SortKey::CreatedAt(columns.instant(0)?, id),
        OrderKey::Name => SortKey::Name(columns.parsed(0)?, id),
    })
}
