//! The one writer of a world: a queue whose jobs are committed in groups.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudm_application::ports::StoreError;
use cloudm_domain::Instant;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::cache::Written;
use crate::error::{DbError, closed, same};
use crate::file::{self, Durability};
use crate::group::Group;
use crate::known::Known;
use crate::log::Log;
use crate::sql;

/// The queue of a world's writes, and the connection that writes them.
///
/// Jobs that wait are run as one group: one transaction, a savepoint for each job that needs one, one commit to the disk, and
/// only then their answers. So a disk commit is shared by all that came during the last one, and a job that is refused
/// undoes nothing but itself.
pub(crate) struct Writer {
    path: PathBuf,
    durability: Durability,
    log: Log,
    places: Arc<Semaphore>,
    queue: Mutex<Queue>,
    db: Mutex<Option<Connection>>,
    /// The instant that the file holds as the latest.
    kept: Mutex<Instant>,
    known: Arc<Known>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    /// Whether a thread has, or will have, the queue in hand.
    in_hand: bool,
    closed: bool,
}

/// What there is to undo of a job that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Whatever it has written.
    Savepoint,
    /// Nothing: it writes once nothing but SQLite can stop it. Where that does, the whole group fails. So it needs no savepoint,
    /// which takes as long as to write a machine.
    Nothing,
}

/// What came of a group.
pub(crate) enum Progress {
    /// More is queued.
    More,
    /// Nothing is queued.
    Idle,
}

impl Writer {
    /// The most jobs of a world that wait or are under way.
    const MAX_WAITING: usize = 1_024;
    /// The most jobs that share a commit.
    const MAX_GROUP: usize = 512;
    /// How long a caller waits for a place in a full queue.
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn new(path: PathBuf, durability: Durability, (kept, known): (Instant, Arc<Known>)) -> Self {
        Self {
            log: Log::new(path.clone(), durability),
            path,
            durability,
            places: Arc::new(Semaphore::new(Self::MAX_WAITING)),
            queue: Mutex::default(),
            db: Mutex::default(),
            kept: Mutex::new(kept),
            known,
        }
    }

    /// Queues `work`. Says where its answer will come, and whether the caller has to take the queue in hand.
    ///
    /// The world has reached `instant` where the work is done.
    pub(crate) async fn submit<T, E, F>(
        &self,
        instant: Option<Instant>,
        undo: Undo,
        work: F,
    ) -> Result<(oneshot::Receiver<Result<T, E>>, bool), StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Group<'_>) -> Result<T, E> + Send + 'static,
    {
        let place = self.place().await?;
        let (reply, answer) = oneshot::channel();
        let task = Task { work: Some(work), outcome: None, instant, undo, reply, _place: place };
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(closed());
        }
        queue.jobs.push_back(Box::new(task));
        Ok((answer, !std::mem::replace(&mut queue.in_hand, true)))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        // A timer is made only where there is something to wait for.
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        match tokio::time::timeout(Self::PATIENCE, self.places.clone().acquire_owned()).await {
            Ok(place) => place.map_err(|_| closed()),
            Err(_) => Err(StoreError::Unavailable("too much waits to be written".into())),
        }
    }

    /// Writes what waits, as one group, and answers it. `reached` learns the latest instant before the answers go out.
    pub(crate) fn write_group(&self, reached: impl FnOnce(Instant)) -> Progress {
        let hand = Hand { queue: &self.queue };
        self.gather();
        let mut jobs: Vec<_> = {
            let mut queue = self.queue.lock();
            let count = queue.jobs.len().min(Self::MAX_GROUP);
            queue.jobs.drain(..count).collect()
        };
        let result = self.commit(&mut jobs);
        if let Ok(Some(instant)) = result {
            reached(instant);
        }
        if let Err(error) = &result {
            tracing::error!(%error, jobs = jobs.len(), path = %self.path.display(), "a group of writes failed");
        }
        for job in jobs {
            job.answer(result.as_ref().err());
        }
        hand.open()
    }

    /// Offers the core to whoever queues jobs, as long as more come of it. Where that one waits for this very core, a commit is shared by
    /// few otherwise.
    fn gather(&self) {
        let waiting = || self.queue.lock().jobs.len();
        let mut count = waiting();
        while count < Self::MAX_GROUP {
            std::thread::yield_now();
            let more = waiting();
            if more == count {
                return;
            }
            count = more;
        }
    }

    /// Runs the jobs in one transaction; gives the latest instant of those that took effect.
    fn commit(&self, jobs: &mut [Box<dyn Job>]) -> Result<Option<Instant>, StoreError> {
        let mut place = self.db.lock();
        // Put back only after all went well: a transaction that failed ends with its connection.
        let db = match place.take() {
            Some(db) => db,
            None => self.connect()?,
        };
        let mut kept = self.kept.lock();
        let (instant, written) = run(&db, jobs, *kept).map_err(StoreError::from)?;
        let change = self.known.cache().change(written);
        // After a commit that failed, nobody knows what the disk holds.
        let unknown = |error| StoreError::Unavailable(format!("a commit failed: {error}"));
        db.prepare_cached(sql::COMMIT).and_then(|mut commit| commit.execute([])).map_err(unknown)?;
        change.done();
        *kept = instant.unwrap_or(*kept).max(*kept);
        *place = Some(db);
        Ok(instant)
    }

    /// Bounds the log, after a group. Says whether somebody has to move it, beside what is written.
    pub(crate) fn bound_log(&self) -> bool {
        let Some(db) = &*self.db.lock() else { return false };
        // What is committed stays so, whatever becomes of the log.
        self.log.bound(db).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %self.path.display(), "the log of a world was not bounded");
            false
        })
    }

    /// Moves the log into the file.
    pub(crate) fn move_log(&self) {
        self.log.move_beside();
    }

    /// Keeps `instant` as the latest, moves the log into the file and lets go of it; the next write opens it again.
    pub(crate) fn rest(&self, instant: Instant) -> Result<(), StoreError> {
        let mut place = self.db.lock();
        let mut kept = self.kept.lock();
        let db = match place.take() {
            Some(db) => db,
            None if instant > *kept => self.connect()?,
            None => return Ok(()),
        };
        finish(db, (instant > *kept).then_some(instant))?;
        *kept = instant.max(*kept);
        Ok(())
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        Ok(file::open_writer(&self.path, self.durability)?)
    }

    /// Whether anything waits or is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let queue = self.queue.lock();
        queue.in_hand || !queue.jobs.is_empty()
    }

    /// Takes no more jobs. Those that wait are still written.
    pub(crate) fn close(&self) {
        self.queue.lock().closed = true;
        self.places.close();
    }
}

/// The queue in hand of a thread. Where that panics, the next job lets another one take it.
struct Hand<'a> {
    queue: &'a Mutex<Queue>,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.lock().in_hand = false;
        }
    }
}

impl Hand<'_> {
    fn open(self) -> Progress {
        let mut queue = self.queue.lock();
        queue.in_hand = !queue.jobs.is_empty();
        if queue.in_hand { Progress::More } else { Progress::Idle }
    }
}

fn finish(db: Connection, high_water: Option<Instant>) -> Result<(), DbError> {
    if let Some(instant) = high_water {
        db.prepare_cached(sql::HIGH_WATER_SET)?.execute([millis(instant)])?;
    }
    db.query_row(sql::CHECKPOINT, [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error.into())
}

pub(crate) fn millis(instant: Instant) -> i64 {
    // An instant is below 2^43.
    i64::try_from(instant.millis()).unwrap_or(i64::MAX)
}

/// Runs jobs; gives the latest instant of those that took effect, and the rows of machines that they wrote.
fn run(db: &Connection, jobs: &mut [Box<dyn Job>], kept: Instant) -> Result<(Option<Instant>, Vec<Written>), DbError> {
    db.prepare_cached(sql::BEGIN)?.execute([])?;
    let group = Group::new(db);
    let mut latest = None;
    for job in jobs {
        let done = match job.undo() {
            Undo::Savepoint => run_in_savepoint(&group, job.as_mut())?,
            Undo::Nothing => run_whole(&group, job.as_mut())?,
        };
        if done {
            latest = latest.max(job.instant());
        }
    }
    let written = group.finish()?;
    if let Some(latest) = latest.filter(|latest| *latest > kept) {
        db.prepare_cached(sql::HIGH_WATER_SET)?.execute([millis(latest)])?;
    }
    Ok((latest, written))
}

/// Runs a job whose writes are undone where it fails; says whether they stay.
fn run_in_savepoint(group: &Group<'_>, job: &mut dyn Job) -> Result<bool, DbError> {
    group.prepare_cached(sql::SAVEPOINT)?.execute([])?;
    let done = job.run(group);
    if !done && !group.is_autocommit() {
        group.prepare_cached(sql::ROLLBACK_TO_SAVEPOINT)?.execute([])?;
    }
    // Some failures (a full disk) end the whole transaction, and with it what the neighbours wrote.
    if group.is_autocommit() {
        return Err(lost());
    }
    group.prepare_cached(sql::RELEASE_SAVEPOINT)?.execute([])?;
    Ok(done)
}

/// Runs a job that has written nothing where it fails; says whether it is done.
fn run_whole(group: &Group<'_>, job: &mut dyn Job) -> Result<bool, DbError> {
    let before = group.total_changes();
    let done = job.run(group);
    let torn = !done && group.total_changes() != before;
    if torn || group.is_autocommit() { Err(lost()) } else { Ok(done) }
}

fn lost() -> DbError {
    let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    DbError::Sql(rusqlite::Error::SqliteFailure(error, Some("the transaction was lost".into())))
}

trait Job: Send {
    /// Does the work; says whether that is to stay.
    fn run(&mut self, group: &Group<'_>) -> bool;
    /// What there is to undo where it is not.
    fn undo(&self) -> Undo;
    /// The instant that the world has reached where the work took effect.
    fn instant(&self) -> Option<Instant>;
    /// Answers with what came of it, or with what undid the whole group.
    fn answer(self: Box<Self>, group: Option<&StoreError>);
}

struct Task<T, E, F> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    instant: Option<Instant>,
    undo: Undo,
    reply: oneshot::Sender<Result<T, E>>,
    /// Its place in the queue, free once it is answered.
    _place: OwnedSemaphorePermit,
}

impl<T, E, F> Job for Task<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Group<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, group: &Group<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work(group));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn undo(&self) -> Undo {
        self.undo
    }

    fn instant(&self) -> Option<Instant> {
        self.instant
    }

    fn answer(self: Box<Self>, group: Option<&StoreError>) {
        let outcome = match group {
            Some(error) => Err(same(error).into()),
            None => self.outcome.unwrap_or_else(|| Err(StoreError::Failed("a write was not run".into()).into())),
        };
        // Whoever asked may have left; the write stands all the same.
        let _ = self.reply.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (tempfile::TempDir, Writer) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let db = file::create(&path, file::WORLD, Durability::None).unwrap();
        db.execute(sql::HIGH_WATER_FIRST, [0]).unwrap();
        (directory, Writer::new(path, Durability::None, (Instant::MIN, Arc::default())))
    }

    type Answer = oneshot::Receiver<Result<usize, StoreError>>;

    /// Queues a write of an answer under `key`, followed by `then`.
    async fn submit(writer: &Writer, key: &'static str, then: &'static str) -> Answer {
        submit_with(writer, Undo::Savepoint, key, then).await
    }

    async fn submit_with(writer: &Writer, undo: Undo, key: &'static str, then: &'static str) -> Answer {
        let work = move |db: &Group<'_>| {
            let write = || {
                let written = db.prepare_cached(sql::ANSWER_SET)?.execute((key, [1], [2], 3))?;
                db.execute_batch(then)?;
                Ok(written)
            };
            write().map_err(|error: DbError| error.into())
        };
        writer.submit(Some(Instant::DEFAULT_START), undo, work).await.unwrap().0
    }

    fn keys(writer: &Writer) -> Vec<String> {
        let db = file::open_reader(&writer.path).unwrap();
        let mut statement = db.prepare("SELECT key FROM answers ORDER BY key").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn a_job_that_fails_after_it_wrote_undoes_itself_alone() {
        let (_directory, writer) = writer();
        let first = submit(&writer, "first", "").await;
        let failing = submit(&writer, "failing", "this is no SQL").await;
        let last = submit(&writer, "last", "").await;
        assert!(matches!(writer.write_group(|_| ()), Progress::Idle));
        assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
        assert!(failing.await.unwrap().is_err());
        assert_eq!(keys(&writer), ["first", "last"]);
    }

    #[tokio::test]
    async fn a_job_without_a_savepoint_that_fails_after_it_wrote_fails_the_group() {
        for (sql, undone) in [("this is no SQL", true), ("", false)] {
            let (_directory, writer) = writer();
            let first = submit(&writer, "first", "").await;
            let second = submit_with(&writer, Undo::Nothing, "second", sql).await;
            writer.write_group(|_| ());
            assert_eq!([first.await.unwrap().is_err(), second.await.unwrap().is_err()], [undone; 2]);
            assert_eq!(keys(&writer).is_empty(), undone, "nothing is half done");
        }
    }

    #[tokio::test]
    async fn a_job_without_a_savepoint_that_writes_nothing_is_refused_alone() {
        let (_directory, writer) = writer();
        let first = submit(&writer, "first", "").await;
        let refuse = |_: &Group<'_>| Err::<(), _>(StoreError::WorldGone);
        let (refused, _) = writer.submit(None, Undo::Nothing, refuse).await.unwrap();
        writer.write_group(|_| ());
        assert!(first.await.unwrap().is_ok() && refused.await.unwrap().is_err());
        assert_eq!(keys(&writer), ["first"]);
    }

    #[tokio::test]
    async fn a_lost_transaction_fails_all_who_shared_it_and_nobody_after() {
        let (_directory, writer) = writer();
        let first = submit(&writer, "first", "").await;
        // As a full disk does it.
        let failing = submit(&writer, "failing", "ROLLBACK").await;
        let last = submit(&writer, "last", "").await;
        writer.write_group(|_| panic!("nothing was reached"));
        for answer in [first, failing, last] {
            assert!(matches!(answer.await.unwrap(), Err(StoreError::Unavailable(_))));
        }
        let next = submit(&writer, "next", "").await;
        writer.write_group(|_| ());
        assert!(next.await.unwrap().is_ok());
        assert_eq!(keys(&writer), ["next"]);
    }

    #[tokio::test]
    async fn a_job_that_panics_leaves_the_queue_to_the_next() {
        let (_directory, writer) = writer();
        let before = submit(&writer, "before", "").await;
        let work = |_: &Group<'_>| -> Result<(), StoreError> { panic!("as a defect would") };
        let (panicking, _) = writer.submit(None, Undo::Savepoint, work).await.unwrap();
        let group = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.write_group(|_| ())));
        assert!(group.is_err());
        assert!(before.await.is_err() && panicking.await.is_err(), "nobody waits for ever");
        let (next, to_hand) =
            writer.submit(None, Undo::Savepoint, |_: &Group<'_>| Ok::<_, StoreError>(7)).await.unwrap();
        assert!(to_hand);
        writer.write_group(|_| ());
        assert_eq!(next.await.unwrap().unwrap(), 7);
        assert!(keys(&writer).is_empty());
    }

    #[tokio::test]
    async fn a_closed_queue_writes_what_waits_and_takes_no_more() {
        let (_directory, writer) = writer();
        let waiting = submit(&writer, "waiting", "").await;
        writer.close();
        let late = writer.submit(None, Undo::Savepoint, |_: &Group<'_>| Ok::<_, StoreError>(())).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))));
        writer.write_group(|_| ());
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn after_a_rest_it_goes_on() {
        let (_directory, writer) = writer();
        drop(submit(&writer, "a", "").await);
        writer.write_group(|_| ());
        writer.rest(Instant::DEFAULT_START).unwrap();
        assert!(!writer.path.with_extension("db-wal").exists(), "the log is in the file");
        drop(submit(&writer, "b", "").await);
        writer.write_group(|_| ());
        assert_eq!(keys(&writer), ["a", "b"]);
    }
}
