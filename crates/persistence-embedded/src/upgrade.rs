//! What the upgrades in `schema/` need beside SQL.

use std::error::Error;

use cloudm_domain::{ScheduledEvent, Step};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::record::{Changing, Record};

/// The columns of a machine before it was a record.
const COLUMNS: i32 = 24;

/// Lets `db` run the upgrades.
pub(crate) fn teach(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    db.create_scalar_function(c"machine_record", COLUMNS, flags, |row| {
        machine_record(row).map_err(rusqlite::Error::UserFunctionError)
    })
}

/// The record of a machine whose fields are the columns of format 6.
fn machine_record(row: &Context<'_>) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let id = |column| row.get::<[u8; 12]>(column);
    let text = |column| row.get_raw(column).as_str();
    let text_or_none = |column| row.get_raw(column).as_str_or_null();
    let millis = |column| row.get::<i64>(column).map(i64::cast_unsigned);
    let scheduled = text_or_none(23)?;
    let (next, scheduled) =
        match scheduled.map(serde_json::from_str::<(Option<Step>, Vec<ScheduledEvent>)>).transpose()? {
            Some((next, scheduled)) => {
                (next.map(|step| (step.at.millis(), step.kind.number())), serde_json::to_string(&scheduled)?)
            }
            None => {
                let at = row.get::<Option<i64>>(13)?.map(i64::cast_unsigned);
                (at.zip(row.get(14)?), String::new())
            }
        };
    let in_progress = match row.get(9)? {
        Some(cause) => Some(Changing { cause, from: row.get(10)?, to: row.get(11)?, machine_type: text_or_none(12)? }),
        None => None,
    };
    let tags: Vec<String> = text_or_none(4)?.map(serde_json::from_str).transpose()?.unwrap_or_default();
    let record = Record {
        id: id(0)?,
        cluster_id: id(1)?,
        name: text(2)?,
        machine_type: text(3)?,
        tags: tags.iter().map(String::as_str).collect(),
        protect_stop: row.get(5)?,
        protect_terminate: row.get(6)?,
        state: row.get(7)?,
        state_changed_at: millis(8)?,
        in_progress,
        next,
        reason: row.get(15)?,
        deleted: row.get(16)?,
        ordinal: row.get(17)?,
        attempt: row.get(21)?,
        faults: text_or_none(22)?.unwrap_or_default(),
        scheduled: &scheduled,
        version: millis(18)?,
        created_at: millis(19)?,
        updated_at: millis(20)?,
    };
    Ok(postcard::to_stdvec(&record)?)
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{Machine, MachineData, MachineId, StepKind};
    use rusqlite::params;

    use super::*;
    use crate::file::{self, Durability, Kind};
    use crate::record::tests::plain_and_rich;
    use crate::{record, sql};

    /// As format 6 had it.
    const INSERT: &str = "INSERT INTO machines (id, cluster_id, name, machine_type, tags, protect_stop, protect_terminate, \
        state, state_changed_at, change_cause, change_from, change_to, change_type, next_at, next_kind, reason, deleted, \
        ordinal, version, created_at, updated_at, live, attempt, faults, scheduled) VALUES (?, x'090909090909090909090909', ";

    fn insert(db: &Connection, machine: &Machine, values: &str) {
        db.execute(&format!("{INSERT}{values})"), params![machine.id.as_bytes()]).unwrap();
    }

    fn all(db: &Connection) -> Vec<Machine> {
        let mut statement = db.prepare("SELECT record FROM machines ORDER BY id").unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut machines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            machines.push(record::read(row).unwrap());
        }
        machines
    }

    #[test]
    fn machines_of_a_column_a_field_become_records() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let old = Kind { upgrades: &file::WORLD.upgrades[..6], ..file::WORLD };
        let db = file::create(&path, old, Durability::None).unwrap();
        db.execute(sql::CLUSTER_INSERT, ([9_u8; 12], "web", "A", 1, 0, 0)).unwrap();
        let [plain, rich] = plain_and_rich();
        let mut with_a_step = MachineData::from(plain.clone());
        with_a_step.id = MachineId::from_bytes([3; 12]);
        with_a_step.name = "web-3".parse().unwrap();
        with_a_step.next = rich.next.map(|step| Step { kind: StepKind::Fail, ..step });
        let with_a_step = Machine::try_from(with_a_step).unwrap();
        insert(
            &db,
            &plain,
            "'web-1', 'small', NULL, 0, 0, 3, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 1, 1, 100, 300, 1, 0, \
            NULL, NULL",
        );
        insert(
            &db,
            &rich,
            r#"'web-2', 'small', '["team:a","web"]', 1, 0, 10, 200, 6, 5, 5, 'large', 500, 1, 5, 1, 3, 300, 100, 300, 1, 4,
            '[{"fault":"040404040404040404040404","matches":2}]',
            '[{"at":800,"kind":"Proceed"},[{"entry":"030303030303030303030303","kind":"SPOT_TERMINATION","not_before":400,"deadline":600,"at":500}]]'"#,
        );
        insert(
            &db,
            &with_a_step,
            "'web-3', 'small', NULL, 0, 0, 3, 200, NULL, NULL, NULL, NULL, 800, 2, NULL, 0, 1, 1, 100, 300, 1, 0, NULL, NULL",
        );
        drop(db);
        let db = file::open(&path, file::WORLD, Durability::None).unwrap();
        assert_eq!(all(&db), [plain, rich, with_a_step]);
        let due = "SELECT next_at, version FROM machines WHERE next_at > 0 ORDER BY next_at";
        let mut statement = db.prepare(due).unwrap();
        let due = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(due.collect::<rusqlite::Result<Vec<(i64, i64)>>>().unwrap(), [(500, 300), (800, 1)]);
    }
}
