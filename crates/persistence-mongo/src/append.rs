//! What a write puts into the history: its events, and beside the last of them what it changes of the numbers of machines.

use cloudm_application::ports::StoreError;
use cloudm_domain::{MachineEvent, OperationId};
use mongodb::bson::DateTime;
use mongodb::{ClientSession, Collection};

use crate::collections;
use crate::counts::Tally;
use crate::document::date;
use crate::events::EventDoc;
use crate::numbers::Numbers;
use crate::transaction::Stop;
use crate::world::OpenWorld;

/// What is put into the history.
pub(crate) struct Entry<'a> {
    /// The events, in order.
    pub(crate) events: &'a [&'a MachineEvent],
    /// What the write changes of the numbers of machines.
    pub(crate) tally: Tally,
    /// The operation that the write is of.
    pub(crate) operation: Option<OperationId>,
    /// When it happens, where there is no event.
    pub(crate) at: DateTime,
}

impl Entry<'_> {
    /// Takes numbers and writes it under them. A write without events takes one, by which it is known whether it was
    /// committed. Gives the first number.
    pub(crate) async fn append<R: From<StoreError>>(
        mut self,
        world: &OpenWorld,
        session: &mut ClientSession,
        numbers: &Numbers,
    ) -> Result<i64, Stop<R>> {
        let at = self.events.iter().map(|event| event.at).max().map_or(self.at, date);
        self.tally.count_matches(self.events.iter().copied());
        let first = numbers.take(self.events.len().max(1), at).await?;
        let numbered = self.events.iter().zip(first..).map(|(event, seq)| EventDoc::of(world.id(), seq, event));
        let mut numbered: Vec<_> = numbered.collect::<Result<_, _>>()?;
        let last = numbered.pop().unwrap_or_else(|| EventDoc::mark(world.id(), first, self.operation));
        numbered.push(last.counting(self.tally));
        let events: Collection<EventDoc> = world.collection(collections::EVENTS);
        events.insert_many(numbered).session(session).await?;
        Ok(first)
    }
}
