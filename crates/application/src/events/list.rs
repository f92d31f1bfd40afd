//! Listing events.

use std::sync::Arc;

use cloudm_domain::{MachineId, Selector};

use super::matching::{Matcher, Matching};
use crate::error::Error;
use crate::machines::MachineCommands;
use crate::paging::PageTokens;
use crate::ports::{EventQuery, EventStore, Position, PositionedEvent};

/// Which events to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventListQuery {
    /// Only those of this machine, which must exist.
    pub machine: Option<MachineId>,
    /// Only those whose machine matches as they left it; TERMINATED ones are left in.
    pub selector: Selector,
    /// Only those after this position.
    pub after: Option<Position>,
    /// The most events in the page.
    pub page_size: usize,
    /// Where to go on; it replaces `after`.
    pub page_token: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventList {
    /// The events, newest last.
    pub items: Vec<PositionedEvent>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
    /// The position after which nothing of the page's list was read.
    pub position: Position,
}

/// Lists what happened, with everything that was due.
pub struct ListEvents {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) tokens: Arc<PageTokens>,
    pub(crate) matcher: Matcher,
}

/// Events that are read at once.
const PAGE: usize = 1_000;

/// The most events that are looked at for a page. It may be short, or empty.
const MAX_EXAMINED: usize = 10_000;

impl ListEvents {
    /// A page of events.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::InvalidPageToken`], [`Error::InvalidPosition`], [`Error::Settling`],
    /// [`Error::SettleLimit`], [`Error::TooMuchHistory`], [`Error::Store`].
    pub async fn run(&self, query: EventListQuery) -> Result<EventList, Error> {
        let view = self.commands.world.read().await?;
        let EventListQuery { machine, selector, after, page_size, page_token } = query;
        let scope = format!("events {} {machine:?} {after:?} {selector:?}", view.world.incarnation);
        let after = match page_token {
            Some(token) => Some(self.tokens.open(&scope, &token)?),
            None => after,
        };
        match machine {
            Some(id) => self.commands.settle(id).await?,
            None => self.commands.settler.settle_all(&view).await?,
        }
        let position = self.events.position().await?;
        let mut matching = Matching::by(selector);
        let limit = if matching.is_all() { page_size } else { PAGE };
        let mut query = EventQuery { machine, until: None, after, limit };
        let (mut items, mut examined) = (Vec::new(), 0);
        let more = loop {
            let page = self.events.page(&query).await?;
            examined += page.events.len();
            query.after = page.events.last().map(|last| last.position.clone()).or(query.after);
            items.extend(self.matcher.select(&mut matching, page.events).await?);
            if items.len() > page_size {
                items.truncate(page_size);
                query.after = items.last().map(|last: &PositionedEvent| last.position.clone());
                break true;
            }
            if !page.more || items.len() == page_size || examined >= MAX_EXAMINED {
                break page.more;
            }
        };
        let last = query.after.filter(|_| examined > 0);
        let next_page_token = match &last {
            Some(last) if more => Some(self.tokens.seal(&scope, last)?),
            _ => None,
        };
        Ok(EventList { items, next_page_token, position: last.unwrap_or(position) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{EventPage, MockClusterStore, MockEventStore, MockMachineStore};
    use cloudm_domain::Preset;

    fn query(machine: Option<MachineId>, page_token: Option<String>) -> EventListQuery {
        EventListQuery { machine, selector: Selector::default(), after: None, page_size: 1, page_token }
    }

    fn events(machines: MockMachineStore) -> ListEvents {
        let mut events = MockEventStore::new();
        events.expect_position().returning(|| Ok(Position(vec![9])));
        events.expect_page().returning(|query| {
            let event = fixtures::created(Preset::Realistic, "web-1").events.remove(0);
            let events = vec![PositionedEvent { position: Position(vec![1]), event }];
            Ok(EventPage { events, more: query.after.is_none() })
        });
        let commands = Arc::new(fixtures::commands(fixtures::world_of(Preset::Realistic, "10m"), machines));
        let (machines, events): (_, Arc<dyn EventStore>) = (commands.machines.clone(), Arc::new(events));
        let matcher = Matcher { clusters: Arc::new(MockClusterStore::new()), machines, events: events.clone() };
        ListEvents { commands, events, matcher, tokens: Arc::new(PageTokens::new([1; 32])) }
    }

    #[tokio::test]
    async fn what_is_due_for_a_machine_is_written_before_its_history_is_told() {
        let placed = fixtures::placed(Preset::Realistic, "web-1");
        let id = placed.machine.id;
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(move |_| Ok(Some(placed.clone())));
        machines
            .expect_commit()
            .once()
            .withf(|commit| commit.write.after.is_some() && commit.write.events.len() == 2)
            .returning(|_| Ok(()));
        assert_eq!(events(machines).run(query(Some(id), None)).await.unwrap().items.len(), 1);
    }

    #[tokio::test]
    async fn the_history_of_a_machine_that_does_not_exist_is_not_told() {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(None));
        let told = events(machines).run(query(Some(MachineId::from_bytes([0; 12])), None)).await;
        assert!(matches!(told, Err(Error::NoSuchMachine)));
    }

    #[tokio::test]
    async fn a_token_goes_on_after_the_last_event_of_its_page() {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let events = events(machines);
        let first = events.run(query(None, None)).await.unwrap();
        let second = events.run(query(None, first.next_page_token)).await.unwrap();
        assert_eq!((second.next_page_token, second.position), (None, Position(vec![1])));
    }
}
