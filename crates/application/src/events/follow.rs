//! Following what happens.

use std::sync::Arc;

use cloudm_domain::{MachineId, Selector};

use super::matching::{Matcher, Matching};
use crate::error::Error;
use crate::machines::MachineCommands;
use crate::ports::{EventQuery, EventStore, Position, PositionedEvent};

/// Follows the history of a world, or of one machine.
pub struct FollowEvents {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) matcher: Matcher,
}

/// What one follows, and how far one has come.
pub struct Following {
    machine: Option<MachineId>,
    matching: Matching,
    after: Position,
}

impl Following {
    /// After what one has been told last, or began.
    pub fn position(&self) -> &Position {
        &self.after
    }
}

impl FollowEvents {
    /// The most events that are given at once.
    pub const MOST: usize = 100;

    /// Where to begin: after a position, which is checked, or after what has happened by now. What was due is written, as far as
    /// that is done for one request.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::InvalidPosition`], [`Error::SettleLimit`], [`Error::Store`].
    pub async fn begin(
        &self,
        (machine, selector): (Option<MachineId>, Selector),
        after: Option<Position>,
    ) -> Result<Following, Error> {
        if let Some(id) = machine {
            self.commands.settle(id).await?;
        }
        let after = match after {
            Some(after) => {
                self.page(machine, &after, 1).await?;
                after
            }
            None => self.events.position().await?,
        };
        Ok(Following { machine, matching: Matching::by(selector), after })
    }

    /// What happened next, at most [`FollowEvents::MOST`] events; waits until there is something. Whoever calls bounds the time,
    /// and goes on with what was passed by meanwhile behind.
    ///
    /// # Errors
    /// [`Error::TooMuchHistory`], [`Error::Store`].
    pub async fn next(&self, following: &mut Following) -> Result<Vec<PositionedEvent>, Error> {
        let mut looked = following.after.clone();
        loop {
            // Where one machine is followed, what others do is passed by: taken before the look, so that nothing is missed.
            let now = self.events.position().await?;
            let events = self.page(following.machine, &following.after, Self::MOST).await?;
            if let Some(last) = events.last().map(|last| last.position.clone()) {
                let selected = self.matcher.select(&mut following.matching, events).await?;
                following.after = last;
                if !selected.is_empty() {
                    return Ok(selected);
                }
                looked = following.after.clone();
                continue;
            }
            if following.machine.is_some() {
                looked = now;
            }
            self.events.wait(&looked).await?;
        }
    }

    async fn page(
        &self,
        machine: Option<MachineId>,
        after: &Position,
        limit: usize,
    ) -> Result<Vec<PositionedEvent>, Error> {
        let query = EventQuery { machine, until: None, after: Some(after.clone()), limit };
        Ok(self.events.page(&query).await?.events)
    }
}
