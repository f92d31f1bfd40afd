//! Moving a world's clock by hand.

use std::sync::Arc;

use cloudm_domain::{Clock, Instant, Span};
use serde::{Deserialize, Serialize};

use super::{ClockView, Happened, clock_view, next_due};
use crate::error::Error;
use crate::idempotency::{Answers, Stop};
use crate::machines::MAX_ATTEMPTS;
use crate::operations::Fleet;
use crate::ports::{EventStore, MachineStore, Position, StoreError, World, WorldView};
use crate::records::{Change, Records};
use crate::settler::Settler;
use crate::writing::{Idempotency, Reply, RequestKey, Writing};

/// Where to move the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// So far ahead.
    By(Span),
    /// To this instant.
    To(Instant),
    /// To when the next thing is due; nowhere, where nothing is.
    Next,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Advanced {
    /// What the clock said before.
    pub from: Instant,
    /// What it said then.
    pub to: Instant,
    /// The clock now.
    pub clock: ClockView,
    /// What happened between.
    pub happened: Happened,
    /// Whether the request was carried out before, under its key.
    pub replayed: bool,
}

/// A move that was made. What happened is told from it, also when it is asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// Where the history was before.
    pub(crate) position: Position,
}

/// Moves the clock and lets happen what is due by then.
pub struct Advance {
    pub(crate) records: Arc<Records>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) settler: Settler,
    pub(crate) answers: Arc<Answers>,
    pub(crate) fleet: Arc<Fleet>,
}

impl Advance {
    /// Moves the clock. It never goes back; those who move it at the same time add up.
    ///
    /// It waits for fleet operations that are under way. The cost grows with what happens. Where a caller leaves half way, the clock was moved, and what is due is settled when
    /// somebody asks.
    ///
    /// # Errors
    /// [`Error::InThePast`], [`Error::EndOfTime`], [`Error::OperationsRunning`], [`Error::IdempotencyMismatch`],
    /// [`Error::IdempotencyInFlight`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, target: Target, key: Option<RequestKey>) -> Result<Advanced, Error> {
        let writing = writing(key);
        let (moved, replayed) = read_moved(self.answers.once(&writing, Box::pin(self.go(target, &writing))).await?)?;
        self.tell(moved, replayed).await
    }

    /// Lets happen what was due by the end of a move, and tells it.
    pub(crate) async fn tell(&self, moved: Moved, replayed: bool) -> Result<Advanced, Error> {
        let Moved { from, to, position } = moved;
        let view = self.records.read().await?;
        self.settler.settle_through(&WorldView { now: to, ..view }).await?;
        self.fleet.look_at_clusters().await?;
        let happened = Happened::count(&self.events, position, (from, to)).await?;
        let clock = clock_view(&self.records.read().await?, &*self.machines).await?;
        Ok(Advanced { from, to, clock, happened, replayed })
    }

    /// Moves the clock, and nothing else.
    pub(crate) async fn go(&self, target: Target, writing: &Writing<Moved>) -> Result<Moved, Stop> {
        self.fleet.at_rest().await?;
        let position = self.events.position().await?;
        let _turn = self.records.turn().await;
        for _ in 0..MAX_ATTEMPTS {
            let view = self.records.read().await?;
            let to = self.aim(target, &view).await?;
            let moved = Moved { from: view.now, to, position: position.clone() };
            let keep = writing.keep(&moved, view.wall);
            if to == view.now {
                self.answers.keep(keep).await?;
                return Ok(moved);
            }
            let clock = Clock::new(to, view.wall, view.world.clock.rate());
            let world = World { clock, ..World::clone(&view.world) };
            if self.records.write(&view, Change { world, unseen: None, keep }).await? {
                return Ok(moved);
            }
        }
        Err(Error::Contention.into())
    }

    async fn aim(&self, target: Target, view: &WorldView) -> Result<Instant, Error> {
        let to = match target {
            Target::By(by) => view.now.plus(by),
            Target::To(to) => to,
            Target::Next => {
                self.settler.settle_through(view).await?;
                let settled = self.records.read().await?;
                next_due(&settled, &*self.machines).await?.unwrap_or(view.now).max(view.now)
            }
        };
        match to {
            to if to < view.now => Err(Error::InThePast { now: view.now }),
            // A clock stops before it.
            Instant::MAX => Err(Error::EndOfTime),
            to => Ok(to),
        }
    }
}

/// What is kept of a move that may be asked for again.
pub(crate) fn writing<T: Serialize>(key: Option<RequestKey>) -> Writing<T> {
    let encode = |moved: &T| serde_json::to_vec(moved).unwrap_or_default();
    let key = key.map(|RequestKey { key, fingerprint }| Idempotency { key, fingerprint, encode: Arc::new(encode) });
    Writing { key, ..Writing::default() }
}

/// A move, and whether it was made before.
pub(crate) fn read_moved<T: serde::de::DeserializeOwned>(reply: Reply<T>) -> Result<(T, bool), Error> {
    match reply {
        Reply::Fresh(moved) => Ok((moved, false)),
        Reply::Kept(bytes) => {
            let damaged = |why: serde_json::Error| StoreError::Damaged(format!("a kept answer: {why}"));
            Ok((serde_json::from_slice(&bytes).map_err(damaged)?, true))
        }
    }
}
