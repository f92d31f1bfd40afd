//! Reading from the embedded store's file.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use rusqlite::{Row, params};

use super::sqlite::{CLUSTER, Raw, id_in_order, made_at};
use crate::clock::Moment;

macro_rules! columns {
    () => {
        "m.id, m.cluster_id, m.name, m.machine_type, m.tags, c.name, c.region_code, m.protect_stop, \
         m.protect_terminate, m.state, m.state_changed_at, m.change_cause, m.change_from, m.change_to, m.change_type, \
         m.next_at, m.next_kind, m.reason, m.deleted, m.ordinal, m.version, m.created_at, m.updated_at, c.version"
    };
}

const GET: &str =
    concat!("SELECT ", columns!(), " FROM machines m JOIN clusters c ON c.id = m.cluster_id WHERE m.id = ?");
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM machines m JOIN clusters c ON c.id = m.cluster_id WHERE m.live = 1 AND m.cluster_id = ?1 AND \
     (m.created_at, m.id) > (?2, ?3) ORDER BY m.created_at, m.id LIMIT 101"
);

/// How many turns are made between two looks at the clock.
const TURNS: u64 = 16;

/// A machine with its cluster, in the types of a program.
struct Machine {
    ids: [[u8; 12]; 2],
    texts: [String; 4],
    tags: Option<String>,
    numbers: [Option<i64>; 17],
}

fn machine(row: &Row<'_>) -> rusqlite::Result<Machine> {
    let mut numbers = [None; 17];
    for (column, number) in (7..).zip(&mut numbers) {
        *number = row.get(column)?;
    }
    Ok(Machine {
        ids: [row.get(0)?, row.get(1)?],
        texts: [row.get(2)?, row.get(3)?, row.get(5)?, row.get(6)?],
        tags: row.get(4)?,
        numbers,
    })
}

/// Turns a second of `turn` for a while.
pub(crate) fn repeat(span: Duration, mut turn: impl FnMut() -> Result<()>) -> Result<f64> {
    let (begun, mut turns) = (Moment::now(), 0_u64);
    while begun.elapsed() < span {
        for _ in 0..TURNS {
            turn()?;
        }
        turns += TURNS;
    }
    Ok(turns as f64 / begun.seconds())
}

impl Raw {
    /// Reads a second of machines by their ids, in no order.
    pub(crate) fn get(&mut self, span: Duration) -> Result<f64> {
        let mut shuffle = self.shuffle.clone();
        let mut statement = self.reader.prepare_cached(GET)?;
        let rate = repeat(span, || {
            let place = shuffle.below(self.ids.len());
            let machine = statement.query_row([self.ids.get(place)], machine)?;
            black_box((machine.ids, machine.texts, machine.tags, machine.numbers));
            Ok(())
        });
        self.shuffle.next();
        rate
    }

    /// Pages a second after the machine with this number, or from the beginning.
    pub(crate) fn page(&self, after: Option<u64>, span: Duration) -> Result<f64> {
        let mut statement = self.reader.prepare_cached(PAGE)?;
        let (at, id) = after.map_or((0, [0; 12]), |number| (made_at(number), id_in_order(number)));
        repeat(span, || {
            let rows = statement.query_map(params![CLUSTER, at, id], machine)?;
            let page = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            ensure!(page.len() >= 100, "a page of {} machines", page.len());
            black_box(page);
            Ok(())
        })
    }
}
