//! The history of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    CreationQuery, EventPage, EventQuery, EventStore, Position, PositionedEvent, StoreError,
};
use cloudm_domain::{FaultId, Incarnation, MachineEvent, MachineId};
use rusqlite::{Connection, params};

use crate::columns::version;
use crate::error::{DbError, closed};
use crate::faults::Matches;
use crate::held::Held;
use crate::world::OpenWorld;
use crate::writer::millis;
use crate::{runs, sql};

/// The history of one world.
pub(crate) struct Events(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl EventStore for Events {
    async fn position(&self) -> Result<Position, StoreError> {
        self.0.read(last).map(|seq| position(self.0.incarnation(), seq))
    }

    async fn page(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        let (query, incarnation) = (query.clone(), self.0.incarnation());
        self.0.read_on_thread(move |readers| readers.read_moment(|db| page(db, incarnation, &query))).await
    }

    async fn created(&self, query: &CreationQuery) -> Result<Vec<MachineEvent>, StoreError> {
        let query = query.clone();
        self.0.read_on_thread(move |readers| readers.read(|db| created(db, &query))).await
    }

    async fn wait(&self, after: &Position) -> Result<(), StoreError> {
        let mut commits = self.0.commits();
        loop {
            let is_over = self.0.read(|db| {
                let (last, after) = (last(db)?, seq(self.0.incarnation(), after)?);
                if after > last { Err(DbError::PositionGone) } else { Ok(last > after) }
            })?;
            if is_over {
                return Ok(());
            }
            commits.changed().await.map_err(|_| closed())?;
        }
    }
}

/// A position is the incarnation, so that another world's is seen, and the number of the event in the order of commits.
pub(crate) fn position(incarnation: Incarnation, seq: i64) -> Position {
    Position([incarnation.as_bytes().as_slice(), seq.to_be_bytes().as_slice()].concat())
}

/// The number that a position of this world stands for.
pub(crate) fn seq(incarnation: Incarnation, position: &Position) -> Result<i64, DbError> {
    let parts = position.0.split_at_checked(12).and_then(|(of, seq)| Some((of, seq.try_into().ok()?)));
    let (of, seq) = parts.ok_or(DbError::UnknownPosition)?;
    if of == incarnation.as_bytes() { Ok(i64::from_be_bytes(seq)) } else { Err(DbError::PositionGone) }
}

/// The number of the last event.
pub(crate) fn last(db: &Connection) -> Result<i64, DbError> {
    let last: Option<i64> = db.prepare_cached(sql::EVENT_LAST)?.query_row([], |row| row.get(0))?;
    Ok(last.unwrap_or(0))
}

fn page(db: &Connection, incarnation: Incarnation, query: &EventQuery) -> Result<EventPage, DbError> {
    let after = match &query.after {
        None => 0,
        Some(position) => seq(incarnation, position)?,
    };
    // A position that is ahead of the history was made before the file was set back.
    if !(0..=last(db)?).contains(&after) {
        return Err(DbError::PositionGone);
    }
    let limit = query.limit.max(1);
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement;
    let mut rows = match query.machine {
        None => {
            statement = db.prepare_cached(sql::EVENT_PAGE)?;
            statement.query([after, one_more])?
        }
        Some(machine) => {
            statement = db.prepare_cached(sql::EVENT_PAGE_OF_MACHINE)?;
            statement.query(params![machine.as_bytes(), after, one_more])?
        }
    };
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        for (seq, event) in runs::read(row)?.filter(|(seq, _)| *seq > after) {
            if query.until.is_some_and(|until| event.at > until) {
                return Ok(EventPage { events, more: false });
            }
            if events.len() == limit {
                return Ok(EventPage { events, more: true });
            }
            events.push(PositionedEvent { position: position(incarnation, seq), event });
        }
    }
    Ok(EventPage { events, more: false })
}

fn created(db: &Connection, query: &CreationQuery) -> Result<Vec<MachineEvent>, DbError> {
    let (sql, beginning) = if query.descending {
        (sql::EVENT_CREATED_DESCENDING, (i64::MAX, [0xff; 12]))
    } else {
        (sql::EVENT_CREATED, (-1, [0; 12]))
    };
    let after = query.after.map_or(beginning, |(at, id)| (millis(at), *id.as_bytes()));
    let limit = i64::try_from(query.limit.max(1)).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![millis(query.until), after.0, after.1, limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        // What made the machine is the first one of its run.
        events.extend(runs::read(row)?.next().map(|(_, event)| event));
    }
    Ok(events)
}

/// Adds events to the history.
pub(crate) struct Appender<'db> {
    newest: Held<'db>,
    insert: Held<'db>,
    /// The number of the last event, once it is known.
    last: Option<i64>,
    /// The bytes of one run after the other.
    run: Vec<u8>,
    matches: Matches,
}

impl<'db> Appender<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        let (newest, insert) = (Held::new(db, sql::EVENT_LAST), Held::new(db, sql::EVENT_INSERT));
        Self { newest, insert, last: None, run: Vec::new(), matches: Matches::default() }
    }

    pub(crate) fn append(&mut self, events: &[MachineEvent]) -> Result<(), DbError> {
        for run in runs::of(events) {
            self.insert(run)?;
        }
        events.iter().for_each(|event| self.matches.count(event));
        Ok(())
    }

    fn insert(&mut self, run: &[MachineEvent]) -> Result<(), DbError> {
        let Some(first) = run.first() else { return Ok(()) };
        self.run = runs::write(run, std::mem::take(&mut self.run))?;
        let last = match self.last {
            Some(last) => last,
            None => self.newest.get()?.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0),
        };
        let seq = i64::try_from(run.len()).unwrap_or(i64::MAX).saturating_add(last);
        let (machine, version, at) = (first.machine.as_bytes(), version(first.version)?, millis(first.at));
        self.insert.execute(params![seq, machine, version, at, self.run])?;
        self.last = Some(seq);
        Ok(())
    }

    /// How often a fault matched by the events so far.
    pub(crate) fn matches_of(&self, fault: FaultId) -> i64 {
        self.matches.of(fault)
    }

    /// Gives what is to be written for all events so far at once.
    pub(crate) fn finish(&mut self) -> Matches {
        std::mem::take(&mut self.matches)
    }
}

/// Whether a machine ever had this id: it had a first event then, which stays.
pub(crate) fn id_used(db: &Connection, id: MachineId) -> Result<bool, DbError> {
    Ok(db.prepare_cached(sql::MACHINE_ID_USED)?.query_row([id.as_bytes()], |row| row.get(0))?)
}

/// The number of a machine's creation, or of what was committed with it.
pub(crate) fn first_of(db: &Connection, id: MachineId) -> Result<Option<i64>, DbError> {
    Ok(db.prepare_cached(sql::EVENT_FIRST)?.query_row([id.as_bytes()], |row| row.get(0))?)
}
