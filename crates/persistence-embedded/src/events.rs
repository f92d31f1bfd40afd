//! The history of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{
    CreationQuery, EventPage, EventQuery, EventStore, Position, PositionedEvent, StoreError,
};
use cloudm_domain::{Change, FaultId, Incarnation, MachineEvent, MachineId};
use rusqlite::{Connection, Row, params};

use crate::columns::{Columns, version};
use crate::error::{DbError, closed};
use crate::faults::Matches;
use crate::held::Held;
use crate::sql;
use crate::world::OpenWorld;
use crate::writer::millis;

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
        if query.until.is_some_and(|until| row.get::<_, i64>(3).is_ok_and(|at| at > millis(until))) {
            break;
        }
        if events.len() == limit {
            return Ok(EventPage { events, more: true });
        }
        events.push(read(row, incarnation)?);
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
        events.push(read_event(row)?);
    }
    Ok(events)
}

fn read(row: &Row<'_>, incarnation: Incarnation) -> Result<PositionedEvent, DbError> {
    Ok(PositionedEvent { position: position(incarnation, row.get(0)?), event: read_event(row)? })
}

/// Reads the event of a row, in whose first column its number is.
pub(crate) fn read_event(row: &Row<'_>) -> Result<MachineEvent, DbError> {
    let columns = Columns(row);
    let bytes = row.get_ref(4)?.as_blob().map_err(|why| DbError::damaged("an event", why))?;
    let change: Change = postcard::from_bytes(bytes).map_err(|why| DbError::damaged("an event", why))?;
    let machine = MachineId::from_bytes(columns.id(1)?);
    Ok(MachineEvent { machine, version: columns.number(2)?, at: columns.instant(3)?, change })
}

/// Adds events to the history.
pub(crate) struct Appender<'db> {
    insert: Held<'db>,
    /// The bytes of one event after the other.
    change: Vec<u8>,
    matches: Matches,
}

impl<'db> Appender<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self { insert: Held::new(db, sql::EVENT_INSERT), change: Vec::new(), matches: Matches::default() }
    }

    pub(crate) fn append(&mut self, events: &[MachineEvent]) -> Result<(), DbError> {
        for event in events {
            self.change.clear();
            self.change = postcard::to_extend(&event.change, std::mem::take(&mut self.change))
                .map_err(|_| DbError::Misused("an event cannot be written"))?;
            let (machine, version, at) = (event.machine.as_bytes(), version(event.version)?, millis(event.at));
            self.insert.execute(params![machine, version, at, self.change])?;
            self.matches.count(event);
        }
        Ok(())
    }

    /// How often a fault matched by the events so far.
    pub(crate) fn matches_of(&self, fault: FaultId) -> i64 {
        self.matches.of(fault)
    }

    /// Ends it; gives what is to be written for all events at once.
    pub(crate) fn finish(self) -> Matches {
        self.matches
    }
}

/// Whether a machine ever had this id: it had a first event then, which stays.
pub(crate) fn id_used(db: &Connection, id: MachineId) -> Result<bool, DbError> {
    Ok(db.prepare_cached(sql::MACHINE_ID_USED)?.query_row([id.as_bytes()], |row| row.get(0))?)
}

/// The number of a machine's first event: its creation.
pub(crate) fn first_of(db: &Connection, id: MachineId) -> Result<Option<i64>, DbError> {
    Ok(db.prepare_cached(sql::EVENT_FIRST)?.query_row([id.as_bytes()], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{
        Cause, ClusterId, Created, Entered, Instant, MachineState, Protection, Reason, Step, StepKind, Tags,
    };

    use super::*;

    fn one_of_each() -> Vec<Change> {
        let next = Some(Step { at: Instant::DEFAULT_START, kind: StepKind::Repair });
        let tags = Tags::new(vec!["team:a".parse().unwrap()]).unwrap();
        let protection = Protection { stop: true, terminate: false };
        let created = Created {
            cluster_id: ClusterId::from_bytes([0xab; 12]),
            name: "web".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: tags.clone(),
            protection,
            to: MachineState::Running,
            next,
        };
        let entered = Entered {
            state: MachineState::Updating,
            cause: Cause::Resize,
            to: MachineState::Stopped,
            next,
            reason: Some(Reason::Crashed),
            machine_type: Some("large".parse().unwrap()),
        };
        vec![
            Change::Created(Box::new(created)),
            Change::Edited { name: Some("db".parse().unwrap()), tags: Some(tags), protection: Some(protection) },
            Change::DeleteRequested,
            Change::Entered(entered),
        ]
    }

    /// What is on people's disks. A change of these bytes needs an upgrade of the format.
    #[test]
    fn events_are_stored_as_ever() {
        let stored: Vec<_> = one_of_each().iter().map(|change| postcard::to_stdvec(change).unwrap()).collect();
        let expected: [&[u8]; 4] = [
            b"\x00\x18abababababababababababab\x03web\x05small\x01\x06team:a\x01\x00\x02\x01\x80\xe8\x96\xd6\x8d\x37\x02",
            b"\x01\x01\x02db\x01\x01\x06team:a\x01\x01\x00",
            b"\x02",
            b"\x03\x09\x05\x04\x01\x80\xe8\x96\xd6\x8d\x37\x02\x01\x01\x01\x05large",
        ];
        for (bytes, change) in stored.iter().zip(one_of_each()) {
            assert_eq!(postcard::from_bytes::<Change>(bytes).unwrap(), change);
        }
        assert_eq!(stored, expected);
    }
}
