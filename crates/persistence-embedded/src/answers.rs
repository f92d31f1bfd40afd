//! The kept answers of a world.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{AnswerStore, KeptAnswer, StoreError};
use cloudm_domain::WallMillis;
use rusqlite::{Connection, OptionalExtension, params};

use crate::columns::Columns;
use crate::error::DbError;
use crate::sql;
use crate::world::OpenWorld;
use crate::writer::Undo;

/// The kept answers of one world.
pub(crate) struct Answers(pub(crate) Arc<OpenWorld>);

#[async_trait]
impl AnswerStore for Answers {
    async fn get(&self, key: &str, wall: WallMillis) -> Result<Option<KeptAnswer>, StoreError> {
        let answer = self.0.read(|db| get(db, key))?;
        Ok(answer.filter(|answer| answer.expires_at > wall))
    }

    async fn keep(&self, answer: KeptAnswer, wall: WallMillis) -> Result<bool, StoreError> {
        let keep = move |db: &Connection| {
            let free = !is_kept(db, &answer.key, wall)?;
            if free {
                put(db, &answer)?;
            }
            Ok(free)
        };
        self.0.write(None, Undo::Savepoint, move |db| keep(db).map_err(|error: DbError| error.into())).await
    }

    async fn purge(&self, wall: WallMillis, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let purge = move |db: &Connection| Ok(db.prepare_cached(sql::ANSWER_PURGE)?.execute([stored(wall), limit])?);
        self.0.write(None, Undo::Savepoint, move |db| purge(db).map_err(|error: DbError| error.into())).await
    }
}

/// Wall time as SQLite holds it. What is beyond is for ever.
pub(crate) fn stored(wall: WallMillis) -> i64 {
    i64::try_from(wall).unwrap_or(i64::MAX)
}

fn get(db: &Connection, key: &str) -> Result<Option<KeptAnswer>, DbError> {
    let mut statement = db.prepare_cached(sql::ANSWER_GET)?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let columns = Columns(row);
    Ok(Some(KeptAnswer {
        key: key.into(),
        fingerprint: columns.bytes(0)?,
        answer: row.get(1)?,
        expires_at: columns.number(2)?,
    }))
}

/// Whether an answer is kept under the key that has not expired.
pub(crate) fn is_kept(db: &Connection, key: &str, wall: WallMillis) -> Result<bool, DbError> {
    let expiry = db.prepare_cached(sql::ANSWER_EXPIRY)?.query_row([key], |row| row.get::<_, i64>(0)).optional()?;
    Ok(expiry.is_some_and(|expiry| expiry > stored(wall)))
}

/// Keeps it, in the place of one that has expired.
pub(crate) fn put(db: &Connection, answer: &KeptAnswer) -> Result<(), DbError> {
    db.prepare_cached(sql::ANSWER_SET)?.execute(params![
        answer.key,
        answer.fingerprint.as_slice(),
        answer.answer,
        stored(answer.expires_at),
    ])?;
    Ok(())
}
