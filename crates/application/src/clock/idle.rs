//! Running a world until nothing in it is on its way.

use std::sync::Arc;

use cloudm_domain::{Instant, MachineState, Order, Selector, Span};
use serde::{Deserialize, Serialize};

use super::advance::{Moved, read_moved, writing};
use super::{Advance, Advanced, Target};
use crate::error::Error;
use crate::idempotency::Stop;
use crate::ports::{MachineQuery, WorldView};
use crate::writing::{RequestKey, Writing};

/// Machines that are looked at together.
const PAGE: usize = 1_000;

/// Moves the clock to the first instant at which no machine is on its way: in an active state that ends by itself.
pub struct RunUntilIdle {
    pub(crate) advance: Arc<Advance>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ran {
    moved: Moved,
    idle: bool,
}

impl RunUntilIdle {
    /// How far it goes at most, unless told otherwise: a virtual day.
    pub const DEFAULT_LIMIT: Span = Span::from_secs(24 * 3600);

    /// Moves the clock until the world is idle, by `limit` at most; says whether it is.
    ///
    /// A machine that is stuck is not waited for.
    ///
    /// # Errors
    /// Those of [`Advance::run`].
    pub async fn run(&self, limit: Span, key: Option<RequestKey>) -> Result<(Advanced, bool), Error> {
        let writing = writing(key);
        let reply = self.advance.answers.once(&writing, Box::pin(self.go(limit, &writing))).await?;
        let (Ran { moved, idle }, replayed) = read_moved(reply)?;
        Ok((self.advance.tell(moved, replayed).await?, idle))
    }

    async fn go(&self, limit: Span, writing: &Writing<Ran>) -> Result<Ran, Stop> {
        let advance = &self.advance;
        advance.fleet.at_rest().await?;
        let position = advance.events.position().await?;
        let first = advance.records.read().await?;
        let last = first.now.plus(limit);
        loop {
            let view = advance.records.read().await?;
            advance.settler.settle_through(&view).await?;
            let busy = self.busy_until(&view).await?;
            let to = busy.unwrap_or(view.now).min(last);
            if to <= view.now {
                let ran = Ran { moved: Moved { from: first.now, to: view.now, position }, idle: busy.is_none() };
                advance.answers.keep(writing.keep(&ran, view.wall)).await?;
                return Ok(ran);
            }
            // A running clock may be there already.
            match advance.go(Target::To(to), &Writing::default()).await {
                Err(Stop::Error(Error::InThePast { .. })) => {}
                moved => drop(moved?),
            }
        }
    }

    /// When the last of the machines that are on their way is due: before, the world is not idle. None where it is.
    async fn busy_until(&self, view: &WorldView) -> Result<Option<Instant>, Error> {
        let states = MachineState::ALL.iter().copied().filter(|state| state.is_active()).collect();
        let selector = Selector { states, ..Selector::default() };
        let mut query = MachineQuery { selector, order: Order::default(), after: None, made_by: None, limit: PAGE };
        let mut latest = None;
        loop {
            let page = self.advance.machines.list(&query).await?;
            let due = page.machines.iter().filter_map(|placed| placed.machine.next).map(|step| step.at);
            // What is not settled yet, because it was just written, is due at once.
            latest = latest.max(due.filter(|at| *at < Instant::MAX).map(|at| at.max(view.now)).max());
            query.after = page.next;
            if query.after.is_none() {
                return Ok(latest);
            }
        }
    }
}
