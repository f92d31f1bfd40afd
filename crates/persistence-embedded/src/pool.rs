//! A few threads for work that touches the disk.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use cloudm_application::ports::StoreError;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::closed;

/// Machines that are written before whoever waits for the core has a turn.
pub(crate) const WRITTEN: usize = 4;
/// Machines that are read before: more, for a page of them is what somebody waits for.
pub(crate) const READ: usize = 16;

/// Offers the core, now and then, to whoever waits for it, where so many machines of a batch are done: fleet work is no reason to
/// let a client wait for a whole batch.
pub(crate) fn offer_core(done: usize, a_turn: usize) {
    if done.is_multiple_of(a_turn) {
        std::thread::yield_now();
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// Threads that take work from one queue. Dropped or finished, they do what is queued and end.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    finished: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Pool {
    /// The most that may wait. Whoever comes then is told to try again.
    const MAX_WAITING: usize = 4_096;

    /// Starts this many threads.
    pub(crate) fn start(name: &str, threads: usize) -> std::io::Result<Self> {
        let pool = Self {
            shared: Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }),
            threads: Mutex::default(),
        };
        for _ in 0..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || shared.work())?;
            pool.threads.lock().push(thread);
        }
        Ok(pool)
    }

    /// Queues work that has its own bound. Work queued by work is done also when the pool is finished meanwhile.
    pub(crate) fn push(&self, work: impl FnOnce() + Send + 'static) {
        self.shared.state.lock().queue.push_back(Box::new(work));
        self.shared.changed.notify_one();
    }

    /// Runs `work` on a thread of the pool and waits for what comes of it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        {
            let mut state = self.shared.state.lock();
            if state.finished {
                return Err(closed());
            }
            if state.queue.len() >= Self::MAX_WAITING {
                return Err(StoreError::Unavailable("too much waits to be read".into()));
            }
            // Whoever asked may have left; then nobody misses the result.
            state.queue.push_back(Box::new(move || drop(reply.send(work()))));
        }
        self.shared.changed.notify_one();
        result.await.unwrap_or_else(|_| Err(StoreError::Failed("it did not end".into())))
    }

    /// Does what is queued and ends the threads. Not to be called from one of them.
    pub(crate) fn finish(&self) {
        self.shared.finish();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // Work that panics is caught, so a thread always ends well.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.finish();
    }
}

impl Shared {
    fn finish(&self) {
        self.state.lock().finished = true;
        self.changed.notify_all();
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("work of the store panicked");
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            match state.queue.pop_front() {
                Some(work) => return Some(work),
                None if state.finished => return None,
                None => self.changed.wait(&mut state),
            }
        }
    }
}
