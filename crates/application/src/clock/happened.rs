//! What happened while a clock was moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_domain::{Change, EventKind, Instant, MachineState};

use crate::error::Error;
use crate::ports::{EventQuery, EventStore, Position};

/// Events that are read at once.
const PAGE: usize = 1_000;

/// Counts of what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Happened {
    /// Events of any kind.
    pub events: u64,
    /// Events of each kind, but for those there were none of.
    pub kinds: BTreeMap<EventKind, u64>,
    /// How often each state was entered, but for those that were not.
    pub states: BTreeMap<MachineState, u64>,
}

impl Happened {
    /// Counts what was written after `position` and happened after `from`, up to `to`. The cost grows with what was
    /// written since, and the memory does not.
    pub(crate) async fn count(
        events: &Arc<dyn EventStore>,
        position: Position,
        (from, to): (Instant, Instant),
    ) -> Result<Self, Error> {
        let mut happened = Self::default();
        let mut query = EventQuery { machine: None, until: None, after: Some(position), limit: PAGE };
        loop {
            let page = events.page(&query).await?;
            let within = page.events.iter().filter(|one| one.event.at > from && one.event.at <= to);
            within.for_each(|one| happened.add(&one.event.change));
            match page.events.into_iter().next_back() {
                Some(last) if page.more => query.after = Some(last.position),
                _ => return Ok(happened),
            }
        }
    }

    fn add(&mut self, change: &Change) {
        self.events += 1;
        *self.kinds.entry(change.kind()).or_default() += 1;
        let state = match change {
            Change::Created(_) => MachineState::Provisioning,
            Change::Entered(entered) => entered.state,
            Change::Edited { .. }
            | Change::DeleteRequested
            | Change::Refused { .. }
            | Change::FaultMatched { .. }
            | Change::FaultMatchedInWorld { .. }
            | Change::Announced(_)
            | Change::CameDue { .. }
            | Change::CreationRefused { .. } => return,
        };
        *self.states.entry(state).or_default() += 1;
    }
}
