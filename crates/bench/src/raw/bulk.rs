//! Loading and changing all machines, in the order of their ids.

use anyhow::Result;
use cloudm_domain::MachineState;
use rusqlite::{Connection, params};

use super::sqlite::{CLUSTER, Raw, id_in_order, made_at};
use crate::clock::Moment;

/// Machines that share a transaction.
const A_COMMIT: usize = 1_000;

/// Events as the store keeps them; their bytes are those of a machine of this kind, whichever it is.
pub(crate) const CREATED: &[u8] =
    b"\x00\x18abababababababababababab\x0bweb-1234567\x05small\x01\x03web\x00\x00\x02\x01\x80\xe8\x96\xd6\x8d\x37\x00";
pub(crate) const ON_ITS_WAY: &[u8] = b"\x03\x01\x00\x02\x01\x80\xe8\x96\xd6\x8d\x37\x00\x00\x00";
pub(crate) const ARRIVED: &[u8] = b"\x03\x02\x00\x02\x00\x00\x00";

pub(crate) const EVENT: &str = "INSERT INTO events (machine_id, version, at, change) VALUES (?, ?, ?, ?)";
const MACHINE: &str = "INSERT INTO machines (id, cluster_id, name, machine_type, tags, protect_stop, protect_terminate, \
    state, state_changed_at, deleted, ordinal, version, created_at, updated_at, live) \
    VALUES (?1, ?2, ?3, 'small', ?4, 0, 0, ?5, ?6, 0, 3, 3, ?6, ?6, 1)";
const TAG: &str = "INSERT INTO machine_tags (tag, created_at, id, name) VALUES (?, ?, ?, ?)";
const CHANGE: &str = "UPDATE machines SET state = ?2, state_changed_at = ?3, ordinal = ordinal + 2, \
    version = version + 2, updated_at = ?3 WHERE id = ?1";
const END: &str = "UPDATE machines SET state = ?2, state_changed_at = ?3, ordinal = ordinal + 2, \
    version = version + 2, updated_at = ?3, live = 0 WHERE id = ?1";
const UNTAG: &str = "DELETE FROM machine_tags WHERE tag = 'web' AND created_at = ? AND id = ?";

/// What all machines are made to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sweep {
    Stop,
    Start,
    Terminate,
}

impl Raw {
    /// Loads so many machines, each with its tag and its events; gives machines a second.
    pub(crate) fn load(&mut self, count: u64) -> Result<f64> {
        let begun = Moment::now();
        let numbers: Vec<u64> = (0..count).collect();
        for chunk in numbers.chunks(A_COMMIT) {
            let commit = self.db.unchecked_transaction()?;
            for number in chunk {
                insert(&commit, id_in_order(*number), &format!("web-{number}"), made_at(*number))?;
            }
            commit.commit()?;
        }
        let rate = count as f64 / begun.seconds();
        self.ids = numbers.into_iter().map(id_in_order).collect();
        self.stopped = vec![false; self.ids.len()];
        self.tagged = vec![false; self.ids.len()];
        Ok(rate)
    }

    /// Changes all machines, with the events that it makes; gives machines a second.
    pub(crate) fn sweep(&mut self, sweep: Sweep) -> Result<f64> {
        let begun = Moment::now();
        let numbered: Vec<_> = (0..).zip(self.ids.iter().copied()).collect();
        for chunk in numbered.chunks(A_COMMIT) {
            let commit = self.db.unchecked_transaction()?;
            for (number, id) in chunk {
                match sweep {
                    Sweep::Stop => change(&commit, CHANGE, *id, MachineState::Stopped)?,
                    Sweep::Start => change(&commit, CHANGE, *id, MachineState::Running)?,
                    Sweep::Terminate => {
                        change(&commit, END, *id, MachineState::Terminated)?;
                        commit.prepare_cached(UNTAG)?.execute(params![made_at(*number), id])?;
                    }
                }
            }
            commit.commit()?;
        }
        Ok(self.ids.len() as f64 / begun.seconds())
    }
}

/// Makes a machine as the store does: the row, its tag, and the events of its way to RUNNING.
pub(crate) fn insert(db: &Connection, id: [u8; 12], name: &str, at: i64) -> Result<()> {
    db.prepare_cached(MACHINE)?.execute(params![
        id,
        CLUSTER,
        name,
        r#"["web"]"#,
        MachineState::Running.number(),
        at
    ])?;
    db.prepare_cached(TAG)?.execute(params!["web", at, id, name])?;
    events(db, id, at, &[CREATED, ON_ITS_WAY, ARRIVED])
}

/// Changes a machine's state through an active one.
pub(crate) fn operate(db: &Connection, id: [u8; 12], state: MachineState) -> Result<()> {
    change(db, CHANGE, id, state)
}

fn change(db: &Connection, sql: &str, id: [u8; 12], state: MachineState) -> Result<()> {
    let at = made_at(2_000_000);
    db.prepare_cached(sql)?.execute(params![id, state.number(), at])?;
    events(db, id, at, &[ON_ITS_WAY, ARRIVED])
}

pub(crate) fn events(db: &Connection, id: [u8; 12], at: i64, changes: &[&[u8]]) -> Result<()> {
    let mut insert = db.prepare_cached(EVENT)?;
    for (version, change) in (1..).zip(changes) {
        insert.execute(params![id, version, at, change])?;
    }
    Ok(())
}
