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
use crate::runs::Runs;
use crate::world::OpenWorld;
use crate::writer::millis;
use crate::{chain, runs, sql};

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
        self.0.read_on_thread(move |readers| readers.read_moment(|db| created(db, &query))).await
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
    let mut filling = Filling { query, limit: query.limit.max(1), incarnation, after, events: Vec::new() };
    let more = match query.machine {
        Some(machine) => chain::follow(db, machine, after, |run| filling.add(run))?,
        None => of_all(db, &mut filling)?,
    };
    Ok(EventPage { events: filling.events, more: more.unwrap_or(false) })
}

/// Fills a page with the events of all machines; says, once it has ended, whether there are more.
fn of_all(db: &Connection, filling: &mut Filling<'_>) -> Result<Option<bool>, DbError> {
    let one_more = i64::try_from(filling.limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement = db.prepare_cached(sql::EVENT_PAGE)?;
    let mut rows = statement.query([filling.after, one_more])?;
    let mut more = None;
    while let (None, Some(row)) = (more, rows.next()?) {
        more = filling.add(&mut runs::read(row)?);
    }
    Ok(more)
}

/// A page that is being filled.
struct Filling<'a> {
    query: &'a EventQuery,
    limit: usize,
    incarnation: Incarnation,
    after: i64,
    events: Vec<PositionedEvent>,
}

impl Filling<'_> {
    /// Adds the events of a run; says, once the page has ended, whether there are more.
    fn add(&mut self, run: &mut dyn Iterator<Item = (i64, MachineEvent)>) -> Option<bool> {
        for (seq, event) in run.filter(|(seq, _)| *seq > self.after) {
            if self.query.until.is_some_and(|until| event.at > until) {
                return Some(false);
            }
            if self.events.len() == self.limit {
                return Some(true);
            }
            self.events.push(PositionedEvent { position: position(self.incarnation, seq), event });
        }
        None
    }
}

/// The first events of machines that exist, and of those that do not any more, in the order of creation.
fn created(db: &Connection, query: &CreationQuery) -> Result<Vec<MachineEvent>, DbError> {
    let first_runs = first_runs(db, query)?;
    let mut statement = db.prepare_cached(sql::EVENT_GET)?;
    let mut events = Vec::with_capacity(first_runs.len());
    for run in first_runs {
        let mut rows = statement.query([run])?;
        let row = rows.next()?.ok_or_else(|| DbError::damaged("the history of a machine", "it has no beginning"))?;
        events.extend(runs::read(row)?.next().map(|(_, event)| event));
    }
    Ok(events)
}

fn first_runs(db: &Connection, query: &CreationQuery) -> Result<Vec<i64>, DbError> {
    let limit = query.limit.max(1);
    let (sources, beginning) = if query.descending {
        let sources =
            [sql::CREATED_LIVE_DESCENDING, sql::CREATED_TERMINATED_DESCENDING, sql::CREATED_FORMER_DESCENDING];
        (sources, (i64::MAX, [0xff; 12]))
    } else {
        ([sql::CREATED_LIVE, sql::CREATED_TERMINATED, sql::CREATED_FORMER], (-1, [0; 12]))
    };
    let after = query.after.map_or(beginning, |(at, id)| (millis(at), *id.as_bytes()));
    let mut found: Vec<(i64, [u8; 12], i64)> = Vec::new();
    for sql in sources {
        let mut statement = db.prepare_cached(sql)?;
        let values = params![millis(query.until), after.0, after.1, i64::try_from(limit).unwrap_or(i64::MAX)];
        let mut rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.try_for_each(|row| row.map(|one| found.push(one)))?;
    }
    found.sort_unstable();
    if query.descending {
        found.reverse();
    }
    Ok(found.into_iter().take(limit).map(|(_, _, run)| run).collect())
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

    /// The runs that events of one machine will be, where they are added next.
    pub(crate) fn next_runs(&mut self, events: &[MachineEvent]) -> Result<Runs, DbError> {
        Ok(Runs::after(self.last()?, events))
    }

    /// Adds events of one machine, after its run of the number `previous`; gives their runs.
    pub(crate) fn append(&mut self, events: &[MachineEvent], mut previous: Option<i64>) -> Result<Runs, DbError> {
        let added = self.next_runs(events)?;
        for run in runs::of(events) {
            previous = Some(self.insert(run, previous)?);
        }
        events.iter().for_each(|event| self.matches.count(event));
        // Where there is no event, it ends as before.
        Ok(Runs { last: previous.unwrap_or(added.last), ..added })
    }

    fn last(&mut self) -> Result<i64, DbError> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        let last: Option<i64> = self.newest.get()?.query_row([], |row| row.get(0))?;
        Ok(*self.last.insert(last.unwrap_or(0)))
    }

    fn insert(&mut self, run: &[MachineEvent], previous: Option<i64>) -> Result<i64, DbError> {
        let first = run.first().ok_or(DbError::Misused("a run has events"))?;
        self.run = runs::write(run, std::mem::take(&mut self.run))?;
        let Runs { last: seq, .. } = Runs::after(self.last()?, run);
        let (machine, version, at) = (first.machine.as_bytes(), version(first.version)?, millis(first.at));
        let mile = runs::is_mile(run).then_some(1);
        self.insert.execute(params![seq, machine, version, at, self.run, previous, mile])?;
        self.last = Some(seq);
        Ok(seq)
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

/// Whether there is, or was, a machine with this id.
pub(crate) fn id_used(db: &Connection, id: MachineId) -> Result<bool, DbError> {
    Ok(db.prepare_cached(sql::MACHINE_ID_USED)?.query_row([id.as_bytes()], |row| row.get(0))?)
}
