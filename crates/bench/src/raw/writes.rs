//! Writing to the embedded store's file, in groups that share a commit to the disk.

use std::time::Duration;

use anyhow::Result;
use cloudm_domain::MachineState::{Running, Stopped};
use rusqlite::{Connection, params};

use super::bulk;
use super::sqlite::{Raw, id_by_second, made_at};
use crate::clock::Moment;

/// Writes that share a commit.
pub(crate) const A_GROUP: u32 = 64;

const EDIT: &str = "UPDATE machines SET tags = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1";
const UNTAG: &str = "DELETE FROM machine_tags WHERE tag = ? AND id = ? AND created_at = \
    (SELECT created_at FROM machines WHERE id = ?2)";
const TAG: &str = "INSERT INTO machine_tags (tag, created_at, id, name) \
    SELECT ?1, created_at, id, name FROM machines WHERE id = ?2";
const EDITED: &[u8] = b"\x01\x00\x01\x02\x03web\x01a\x00";

/// Groups for a while; gives writes a second.
fn groups(db: &Connection, span: Duration, mut write: impl FnMut(&Connection) -> Result<()>) -> Result<f64> {
    let (begun, mut written) = (Moment::now(), 0);
    while begun.elapsed() < span {
        let commit = db.unchecked_transaction()?;
        for _ in 0..A_GROUP {
            write(&commit)?;
        }
        commit.commit()?;
        written += A_GROUP;
    }
    Ok(f64::from(written) / begun.seconds())
}

impl Raw {
    /// Creations a second: with the machine its tag and its events.
    pub(crate) fn create(&mut self, span: Duration) -> Result<f64> {
        let Self { db, made, ids, .. } = self;
        groups(db, span, |commit| {
            *made += 1;
            let number = ids.len() as u64 + *made;
            bulk::insert(commit, id_by_second(number), &format!("new-{made}"), made_at(number))
        })
    }

    /// Operations a second on machines in no order, each with its two events.
    pub(crate) fn act(&mut self, span: Duration) -> Result<f64> {
        let Self { db, shuffle, ids, stopped, .. } = self;
        groups(db, span, |commit| {
            let place = shuffle.below(ids.len());
            let (Some(id), Some(stopped)) = (ids.get(place), stopped.get_mut(place)) else { return Ok(()) };
            *stopped = !*stopped;
            bulk::operate(commit, *id, if *stopped { Stopped } else { Running })
        })
    }

    /// Changes of a tag a second, in no order, each with its event.
    pub(crate) fn patch(&mut self, span: Duration) -> Result<f64> {
        let Self { db, shuffle, ids, tagged, .. } = self;
        groups(db, span, |commit| {
            let place = shuffle.below(ids.len());
            let (Some(id), Some(tagged)) = (ids.get(place), tagged.get_mut(place)) else { return Ok(()) };
            *tagged = !*tagged;
            let (old, new, all) = if *tagged { ("b", "a", r#"["a","web"]"#) } else { ("a", "b", r#"["b","web"]"#) };
            let at = made_at(2_000_000);
            commit.prepare_cached(EDIT)?.execute(params![id, all, at])?;
            commit.prepare_cached(UNTAG)?.execute(params![old, id])?;
            commit.prepare_cached(TAG)?.execute(params![new, id])?;
            bulk::events(commit, *id, at, &[EDITED])
        })
    }
}
