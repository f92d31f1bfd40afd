//! Listing machines.

use std::sync::Arc;

use cloudm_domain::{Order, Selector};

use super::{MachineView, view_at};
use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::{EventStore, MachineQuery, MachineStore, Position, WorldStore};
use crate::settler::Settler;

/// Which machines to list.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineListQuery {
    /// Which.
    pub selector: Selector,
    /// In what order.
    pub order: Order,
    /// The most machines in the page.
    pub page_size: usize,
    /// Where to go on.
    pub page_token: Option<String>,
}

/// A page of machines.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineList {
    /// The machines, in order.
    pub items: Vec<MachineView>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
    /// Where the stream of events was before the page was read.
    pub position: Position,
}

/// Lists machines.
pub struct ListMachines {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) settler: Settler,
    pub(crate) tokens: Arc<PageTokens>,
}

impl ListMachines {
    /// A page of the machines that match.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], [`Error::Settling`], [`Error::SettleLimit`], [`Error::Store`].
    pub async fn run(&self, query: MachineListQuery) -> Result<MachineList, Error> {
        let view = self.world.read().await?;
        let MachineListQuery { selector, order, page_size, page_token } = query;
        let scope = format!("machines {} {order} {selector:?}", view.world.incarnation);
        let after = page_token.map(|token| self.tokens.open(&scope, &token)).transpose()?;
        let position = self.events.position().await?;
        if selector.depends_on_time() {
            self.settler.settle_all(&view).await?;
        }
        let query = MachineQuery { selector, order, after, made_by: None, limit: page_size };
        let page = self.machines.list(&query).await?;
        let mut items = Vec::with_capacity(page.machines.len());
        for placed in page.machines {
            // What is due may have ended a machine that the store still lists.
            let seen = view_at(placed, view.now, &view.world.rules)?;
            items.extend(seen.filter(|seen| query.selector.matches(&seen.machine, &seen.cluster)));
        }
        let next_page_token = page.next.map(|key| self.tokens.seal(&scope, &key)).transpose()?;
        Ok(MachineList { items, next_page_token, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MachinePage, MockEventStore, MockMachineStore, SortKey};
    use cloudm_domain::{MachineState, OrderKey, Preset, SelectorField};

    fn query(state: Option<&str>, page_token: Option<String>) -> MachineListQuery {
        let mut selector = Selector::default();
        if let Some(state) = state {
            selector.add(SelectorField::State, state).unwrap();
        }
        MachineListQuery { selector, order: Order::default(), page_size: 2, page_token }
    }

    fn list(machines: MockMachineStore) -> ListMachines {
        let mut events = MockEventStore::new();
        events.expect_position().returning(|| Ok(Position(vec![1])));
        let world = Arc::new(fixtures::world_of(Preset::Realistic, "10m"));
        let machines = Arc::new(machines);
        ListMachines {
            world: world.clone(),
            machines: machines.clone(),
            events: Arc::new(events),
            settler: Settler::new(world, machines),
            tokens: Arc::new(PageTokens::new([1; 32])),
        }
    }

    fn page(next: Option<SortKey>) -> MachinePage {
        MachinePage { machines: vec![fixtures::placed(Preset::Realistic, "web-1")], next }
    }

    #[tokio::test]
    async fn machines_are_shown_settled_and_nothing_is_written() {
        let mut machines = MockMachineStore::new();
        machines.expect_list().returning(|_| Ok(page(None)));
        let list = list(machines).run(query(None, None)).await.unwrap();
        assert_eq!(list.items[0].machine.state, MachineState::Running);
        assert_eq!(list.next_page_token, None);
    }

    #[tokio::test]
    async fn by_state_what_is_due_is_written_first() {
        let mut order = mockall::Sequence::new();
        let mut machines = MockMachineStore::new();
        let due = vec![fixtures::created(Preset::Realistic, "web-1").machine];
        machines.expect_due().once().in_sequence(&mut order).return_once(|_, _| Ok(due));
        machines.expect_commit().once().in_sequence(&mut order).returning(|_| Ok(()));
        machines.expect_due().once().in_sequence(&mut order).returning(|_, _| Ok(vec![]));
        machines.expect_list().once().in_sequence(&mut order).returning(|_| Ok(page(None)));
        let list = list(machines).run(query(Some("STARTING"), None)).await.unwrap();
        assert_eq!(list.items, [], "a machine that matches no more is not shown");
    }

    #[tokio::test]
    async fn a_token_goes_on_in_its_own_list_only() {
        let key = SortKey::of(&fixtures::created(Preset::Realistic, "web-1").machine, OrderKey::CreatedAt);
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let next = key.clone();
        machines.expect_list().returning(move |query| Ok(page(query.after.is_none().then(|| next.clone()))));
        let list = list(machines);
        let first = list.run(query(None, None)).await.unwrap();
        assert!(first.next_page_token.is_some());
        let second = list.run(query(None, first.next_page_token.clone())).await.unwrap();
        assert_eq!(second.next_page_token, None);
        let elsewhere = list.run(query(Some("RUNNING"), first.next_page_token)).await;
        assert!(matches!(elsewhere, Err(Error::InvalidPageToken)));
    }
}
