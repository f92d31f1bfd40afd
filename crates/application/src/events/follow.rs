//! Following what happens.

use std::sync::Arc;

use cloudm_domain::MachineId;

use crate::error::Error;
use crate::machines::MachineCommands;
use crate::ports::{EventQuery, EventStore, Position, PositionedEvent};

/// Follows the history of a world, or of one machine.
pub struct FollowEvents {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) events: Arc<dyn EventStore>,
}

impl FollowEvents {
    /// The most events that are given at once.
    pub const MOST: usize = 100;

    /// Where to begin: after a position, which is checked, or after what has happened by now. What was due is written, as far as
    /// that is done for one request.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::InvalidPosition`], [`Error::SettleLimit`], [`Error::Store`].
    pub async fn begin(&self, machine: Option<MachineId>, after: Option<Position>) -> Result<Position, Error> {
        if let Some(id) = machine {
            self.commands.settle(id).await?;
        }
        match after {
            Some(after) => {
                self.page(machine, &after, 1).await?;
                Ok(after)
            }
            None => Ok(self.events.position().await?),
        }
    }

    /// What happened after a position, at most [`FollowEvents::MOST`] events; waits until there is something. Whoever calls
    /// bounds the time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn next(&self, machine: Option<MachineId>, after: &Position) -> Result<Vec<PositionedEvent>, Error> {
        let mut looked = after.clone();
        loop {
            // Where one machine is followed, what others do is passed by: taken before the look, so that nothing is missed.
            let now = self.events.position().await?;
            let events = self.page(machine, after, Self::MOST).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            if machine.is_some() {
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
