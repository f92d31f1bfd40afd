//! The history of one machine: a chain of runs, each of which leads to the one before it.

use cloudm_domain::{MachineEvent, MachineId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::columns::Columns;
use crate::error::DbError;
use crate::runs::Runs;
use crate::{runs, sql};

/// Where the history of a machine is that exists, or once did.
pub(crate) fn runs_of(db: &Connection, machine: MachineId) -> Result<Option<Runs>, DbError> {
    let mut statement = db.prepare_cached(sql::MACHINE_RUNS)?;
    let mut rows = statement.query([machine.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Runs { first: row.get(0)?, last: row.get(1)? }))
}

/// Gives the runs of a machine whose numbers are greater than one, in their order, to `each`, until that has an answer.
///
/// A chain is followed from its end, or from the next mile where it is entered in its middle. So to reach a run takes no more steps than
/// there are versions between two miles.
pub(crate) fn follow<T>(
    db: &Connection,
    machine: MachineId,
    mut after: i64,
    mut each: impl FnMut(&mut dyn Iterator<Item = (i64, MachineEvent)>) -> Option<T>,
) -> Result<Option<T>, DbError> {
    let Some(Runs { last, .. }) = runs_of(db, machine)? else { return Ok(None) };
    while after < last {
        let end = next_mile(db, machine, after)?.unwrap_or(last);
        for mut run in between(db, machine, after, end)?.into_iter().rev() {
            if let Some(answer) = each(&mut run) {
                return Ok(Some(answer));
            }
        }
        after = end;
    }
    Ok(None)
}

fn next_mile(db: &Connection, machine: MachineId, after: i64) -> Result<Option<i64>, DbError> {
    let mut statement = db.prepare_cached(sql::EVENT_MILE)?;
    Ok(statement.query_row(params![machine.as_bytes(), after], |row| row.get(0)).optional()?)
}

/// The runs of a machine from `end` back to the one after `after`.
fn between(
    db: &Connection,
    machine: MachineId,
    after: i64,
    end: i64,
) -> Result<Vec<impl Iterator<Item = (i64, MachineEvent)> + use<>>, DbError> {
    let mut statement = db.prepare_cached(sql::EVENT_GET)?;
    let (mut runs, mut next) = (Vec::new(), Some(end));
    while let Some(seq) = next.filter(|seq| *seq > after) {
        let mut rows = statement.query([seq])?;
        let row = rows.next()?.ok_or_else(|| torn("it leads to no run"))?;
        if Columns(row).id(1)? != *machine.as_bytes() {
            return Err(torn("it leads to another machine"));
        }
        runs.push(runs::read(row)?);
        next = row.get(5)?;
        if next.is_some_and(|before| before >= seq) {
            return Err(torn("it leads to what came later"));
        }
    }
    Ok(runs)
}

fn torn(why: &str) -> DbError {
    DbError::damaged("the history of a machine", why)
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{Change, Instant};

    use super::*;
    use crate::events::Appender;
    use crate::file::{self, Durability, Kind};
    use crate::rows::Rows;

    const LONG: MachineId = MachineId::from_bytes([1; 12]);
    const OTHER: MachineId = MachineId::from_bytes([2; 12]);

    fn event(machine: MachineId, version: u64) -> MachineEvent {
        MachineEvent { machine, version, at: Instant::DEFAULT_START, change: Change::DeleteRequested }
    }

    fn file(kind: Kind) -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), kind, Durability::None).unwrap();
        (directory, db)
    }

    /// Writes three hundred versions of a machine, one to five at once, with those of another one between; gives the numbers of its runs.
    fn write(db: &Connection) -> Vec<i64> {
        let (mut rows, mut events) = (Rows::new(db), Appender::new(db));
        let (mut version, mut other, mut numbers) = (1, None, Vec::new());
        let mut first = None;
        for turn in 0.. {
            if version > 300 {
                break;
            }
            let some: Vec<_> = (0..=turn % 5).map(|more| event(LONG, version + more)).collect();
            version += some.len() as u64;
            let runs = events.append(&some, numbers.last().copied()).unwrap();
            first = first.or(Some(runs.first));
            numbers.push(runs.last);
            other = Some(events.append(&[event(OTHER, turn + 1)], other).unwrap().last);
        }
        let runs = Runs { first: first.unwrap(), last: *numbers.last().unwrap() };
        rows.set_former(LONG, Instant::DEFAULT_START, runs).unwrap();
        numbers
    }

    /// The versions that come after a number.
    fn versions(db: &Connection, after: i64) -> Vec<u64> {
        let mut met = Vec::new();
        let all = follow(db, LONG, after, |run| -> Option<()> {
            met.extend(run.filter(|(seq, _)| *seq > after).map(|(_, event)| event.version));
            None
        });
        assert_eq!(all.unwrap(), None);
        met
    }

    #[test]
    fn a_long_history_is_entered_anywhere_and_met_in_order() {
        let (_directory, db) = file(file::WORLD);
        let numbers = write(&db);
        let all = versions(&db, 0);
        assert!(all.iter().copied().eq(1..=all.len() as u64) && all.len() >= 300);
        for after in numbers {
            let rest = versions(&db, after);
            assert!(all.ends_with(&rest));
            assert_eq!(rest.first().copied(), all.get(all.len() - rest.len()).copied());
        }
        // It ends where whoever asks has enough.
        let first = follow(&db, LONG, 0, |run| run.next()).unwrap();
        assert_eq!(first, Some((1, event(LONG, 1))));
        assert_eq!(follow(&db, MachineId::from_bytes([3; 12]), 0, |run| run.next()).unwrap(), None);
    }

    #[test]
    fn a_chain_is_not_followed_for_longer_than_from_mile_to_mile() {
        let (_directory, db) = file(file::WORLD);
        write(&db);
        let miles: i64 = db
            .query_row(
                "SELECT COUNT(*) FROM events WHERE mile = 1 AND machine_id = x'010101010101010101010101'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(miles, 300 / 64);
        let first = next_mile(&db, LONG, 0).unwrap().unwrap();
        assert!(between(&db, LONG, 0, first).unwrap().len() <= 64);
    }

    #[test]
    fn a_chain_that_is_torn_is_damage() {
        let torn = [
            "UPDATE events SET previous = seq WHERE seq = 4",
            "UPDATE events SET previous = 1000000 WHERE seq = 4",
            "UPDATE events SET previous = 2 WHERE seq = 4",
            "DELETE FROM events WHERE seq = 1",
        ];
        for sql in torn {
            let (_directory, db) = file(file::WORLD);
            write(&db);
            assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
            let followed = follow(&db, LONG, 0, |_| -> Option<()> { None });
            assert!(matches!(followed, Err(DbError::Damaged(_))), "{sql}: {followed:?}");
        }
    }

    #[test]
    fn a_history_of_a_row_an_event_becomes_a_chain() {
        let old = Kind { upgrades: &file::WORLD.upgrades[..8], ..file::WORLD };
        let (directory, db) = file(old);
        let sql = "INSERT INTO events (machine_id, version, at, change) VALUES (?, ?, ?, x'02')";
        for version in 1..=200_i64 {
            for machine in [LONG, OTHER] {
                db.execute(sql, params![machine.as_bytes(), version, version * 10]).unwrap();
            }
        }
        drop(db);
        let db = file::open(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        assert_eq!(versions(&db, 0), (1..=200).collect::<Vec<_>>());
        assert_eq!(versions(&db, 101), (52..=200).collect::<Vec<_>>());
        assert_eq!(runs_of(&db, OTHER).unwrap(), Some(Runs { first: 2, last: 400 }));
        assert_eq!(next_mile(&db, LONG, 0).unwrap(), Some(2 * 64 - 1));
    }
}
