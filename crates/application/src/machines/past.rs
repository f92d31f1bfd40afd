//! Machines as they were.

use std::sync::Arc;

use cloudm_domain::{Cluster, ClusterId, FoldError, Instant, Machine, MachineId, Rules, Selector, fold};
use futures_util::{StreamExt, stream};

use super::{MachineView, view_at};
use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::{
    ClusterStore, CreationQuery, EventQuery, EventStore, MachineStore, PlacedMachine, StoreError, WorldStore, WorldView,
};

/// The most events of a machine that are walked through.
pub(crate) const MAX_EVENTS: usize = 100_000;

/// Events that are read at once.
const PAGE: usize = 1_000;

/// The most machines that are looked at for a page, and the events after which it ends early.
const MAX_EXAMINED: usize = 1_000;
const MAX_EVENTS_OF_A_PAGE: usize = 10_000;

/// Machines that are looked at side by side.
const BESIDE: usize = 16;

/// Sees machines as they were at an instant: made anew from their events, and settled to it. What is past stays as it was, but
/// for the names and regions of clusters, which are those of now, or of their end.
#[derive(Clone)]
pub struct PastMachines {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) tokens: Arc<PageTokens>,
}

/// Which machines to list, and when, in the order of their creation.
#[derive(Debug, Clone, PartialEq)]
pub struct PastListQuery {
    /// When.
    pub at: Instant,
    /// Which.
    pub selector: Selector,
    /// Whether the latest comes first.
    pub descending: bool,
    /// The most machines in the page.
    pub page_size: usize,
    /// Where to go on.
    pub page_token: Option<String>,
}

/// A page of machines as they were.
#[derive(Debug, Clone, PartialEq)]
pub struct PastList {
    /// The machines, in order.
    pub items: Vec<MachineView>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
}

/// A machine that was looked at.
struct Seen {
    view: Option<MachineView>,
    /// The events that it took.
    events: usize,
}

impl PastMachines {
    /// The machine with this id, as it was at an instant.
    ///
    /// # Errors
    /// [`Error::InTheFuture`], [`Error::BeforeHistory`], [`Error::NoSuchMachine`] also where it did not exist then,
    /// [`Error::TooMuchHistory`], [`Error::SettleLimit`], [`Error::Store`].
    pub async fn get(&self, id: MachineId, at: Instant) -> Result<MachineView, Error> {
        let view = self.view(at).await?;
        self.see(id, at, &view.world.rules).await?.view.ok_or(Error::NoSuchMachine)
    }

    /// A page of the machines that matched at an instant.
    ///
    /// # Errors
    /// [`Error::InTheFuture`], [`Error::BeforeHistory`], [`Error::InvalidPageToken`], [`Error::TooMuchHistory`],
    /// [`Error::SettleLimit`], [`Error::Store`].
    pub async fn list(&self, query: PastListQuery) -> Result<PastList, Error> {
        let PastListQuery { at, selector, descending, page_size, page_token } = query;
        let view = self.view(at).await?;
        let scope = format!("past {} {at} {descending} {selector:?}", view.world.incarnation);
        let after = page_token.map(|token| self.tokens.open(&scope, &token)).transpose()?;
        let creations = CreationQuery { until: at, after, descending, limit: MAX_EXAMINED };
        let created = self.events.created(&creations).await?;
        let mut more = created.len() == MAX_EXAMINED;
        let see = |event: &cloudm_domain::MachineEvent| {
            let (key, see) = ((event.at, event.machine), self.see(event.machine, at, &view.world.rules));
            async move { see.await.map(|seen| (key, seen)) }
        };
        let futures: Vec<_> = created.iter().map(see).collect();
        let mut looks = stream::iter(futures).buffered(BESIDE);
        let (mut items, mut events, mut last) = (Vec::new(), 0, None);
        while let Some(seen) = looks.next().await {
            if items.len() == page_size || events > MAX_EVENTS_OF_A_PAGE {
                more = true;
                break;
            }
            let (key, seen) = seen?;
            (events, last) = (events + seen.events, Some(key));
            items.extend(seen.view.filter(|seen| selector.matches(&seen.machine, &seen.cluster)));
        }
        let next = last.filter(|_| more).map(|key| self.tokens.seal(&scope, &key)).transpose()?;
        Ok(PastList { items, next_page_token: next })
    }

    /// The world now, where it has been at that instant.
    async fn view(&self, at: Instant) -> Result<WorldView, Error> {
        let view = self.world.read().await?;
        if at > view.now {
            return Err(Error::InTheFuture { now: view.now });
        }
        if at < view.world.start {
            return Err(Error::BeforeHistory { start: view.world.start });
        }
        Ok(view)
    }

    async fn see(&self, id: MachineId, at: Instant, rules: &Rules) -> Result<Seen, Error> {
        let stored = self.machines.get(id).await?;
        if let Some(stored) = &stored
            && stored.machine.updated_at <= at
        {
            return Ok(Seen { view: view_at(stored.clone(), at, rules)?, events: 0 });
        }
        let Some((machine, events)) = self.folded(id, at).await? else { return Ok(Seen { view: None, events: 0 }) };
        let cluster = match stored {
            Some(stored) => Some(stored.cluster),
            None => self.cluster(machine.cluster_id, at).await?,
        };
        let view = cluster.map(|cluster| view_at(PlacedMachine { machine, cluster }, at, rules)).transpose()?;
        Ok(Seen { view: view.flatten(), events })
    }

    /// The machine that its events up to an instant made, and their number.
    async fn folded(&self, id: MachineId, at: Instant) -> Result<Option<(Machine, usize)>, Error> {
        let mut query = EventQuery { machine: Some(id), until: Some(at), after: None, limit: PAGE };
        let (mut machine, mut events) = (None, 0);
        loop {
            let page = self.events.page(&query).await?;
            let Some(last) = page.events.last() else { break };
            query.after = Some(last.position.clone());
            events += page.events.len();
            if events > MAX_EVENTS {
                return Err(Error::TooMuchHistory { limit: MAX_EVENTS });
            }
            let happened = page.events.iter().map(|one| &one.event);
            machine = Some(goes_on(machine, happened).map_err(|why| StoreError::Damaged(why.to_string()))?);
            if !page.more {
                break;
            }
        }
        Ok(machine.map(|machine| (machine, events)))
    }

    /// The cluster, where it existed at that instant.
    async fn cluster(&self, id: ClusterId, at: Instant) -> Result<Option<Arc<Cluster>>, Error> {
        if let Some(cluster) = self.clusters.get(id).await? {
            return Ok(Some(cluster));
        }
        Ok(self.clusters.gone(id).await?.filter(|gone| at < gone.at).map(|gone| gone.cluster))
    }
}

/// What more events make of a machine; of none, the first ones.
fn goes_on<'a>(
    machine: Option<Machine>,
    events: impl IntoIterator<Item = &'a cloudm_domain::MachineEvent>,
) -> Result<Machine, FoldError> {
    let Some(mut machine) = machine else { return fold(events) };
    events.into_iter().try_for_each(|event| machine.apply(event))?;
    Ok(machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{
        EventPage, GoneCluster, MockClusterStore, MockEventStore, MockMachineStore, Position, PositionedEvent,
    };
    use cloudm_domain::{MachineState, Preset, Span};

    fn after(secs: u64) -> Instant {
        Instant::DEFAULT_START.plus(Span::from_secs(secs))
    }

    /// A machine of a realistic world that was settled after ten minutes.
    fn settled() -> (PlacedMachine, Vec<cloudm_domain::MachineEvent>) {
        let created = fixtures::created(Preset::Realistic, "web-1");
        let outcome = created.machine.settle(after(600), &fixtures::view(Preset::Realistic, "10m").world.rules);
        let events = [created.events, outcome.events].concat();
        (PlacedMachine { machine: outcome.machine, cluster: Arc::new(fixtures::cluster()) }, events)
    }

    /// That machine's past, a page an event; it is stored, or forgotten.
    fn past(stored: bool, gone: Option<GoneCluster>) -> PastMachines {
        let (placed, events) = settled();
        let (mut machines, mut history) = (MockMachineStore::new(), MockEventStore::new());
        machines.expect_get().returning(move |_| Ok(stored.then(|| placed.clone())));
        let all = events.clone();
        history.expect_page().returning(move |query| {
            let next = query.after.as_ref().map_or(0, |position| usize::from(position.0[0]));
            let until = query.until.unwrap();
            let mut rest = all.iter().skip(next).take_while(|event| event.at <= until);
            let one = rest
                .next()
                .map(|event| PositionedEvent { position: Position(vec![next as u8 + 1]), event: event.clone() });
            Ok(EventPage { events: one.into_iter().collect(), more: rest.next().is_some() })
        });
        history
            .expect_created()
            .returning(move |query| Ok(events[..1].iter().filter(|_| query.after.is_none()).cloned().collect()));
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|_| Ok(None));
        clusters.expect_gone().returning(move |_| Ok(gone.clone()));
        PastMachines {
            world: Arc::new(fixtures::world_of(Preset::Realistic, "20m")),
            clusters: Arc::new(clusters),
            machines: Arc::new(machines),
            events: Arc::new(history),
            tokens: Arc::new(PageTokens::new([1; 32])),
        }
    }

    async fn state(past: &PastMachines, secs: u64) -> Result<(MachineState, u64), Error> {
        let id = settled().0.machine.id;
        past.get(id, after(secs)).await.map(|view| (view.machine.state, view.machine.version))
    }

    #[tokio::test]
    async fn a_machine_is_seen_in_each_state_that_it_was_in() {
        let (_, events) = settled();
        let past = past(true, None);
        let states = [MachineState::Provisioning, MachineState::Starting, MachineState::Running];
        for (event, expected) in events.iter().zip(states) {
            let view = past.get(event.machine, event.at).await.unwrap();
            assert_eq!((view.machine.state, view.machine.version, view.now), (expected, event.version, event.at));
        }
        // Later than its last event, before now: what is stored is settled.
        assert_eq!(state(&past, 700).await.unwrap().0, MachineState::Running);
    }

    #[tokio::test]
    async fn what_is_not_past_is_refused() {
        let past = past(true, None);
        assert!(matches!(state(&past, 1201).await, Err(Error::InTheFuture { now }) if now == after(1200)));
        let (id, early) = (settled().0.machine.id, Instant::from_millis(Instant::DEFAULT_START.millis() - 1).unwrap());
        let refused = past.get(id, early).await;
        assert!(matches!(refused, Err(Error::BeforeHistory { start }) if start == Instant::DEFAULT_START));
    }

    #[tokio::test]
    async fn a_machine_of_a_deleted_cluster_is_seen_until_that_was_deleted() {
        let gone = GoneCluster { cluster: Arc::new(fixtures::cluster()), at: after(300) };
        let past = past(false, Some(gone));
        assert_eq!(state(&past, 299).await.unwrap().0, MachineState::Running);
        assert!(matches!(state(&past, 300).await, Err(Error::NoSuchMachine)));
    }

    #[tokio::test]
    async fn a_list_shows_what_matched_then() {
        let past = past(true, None);
        let query = |secs, state: MachineState| PastListQuery {
            at: after(secs),
            selector: Selector { states: vec![state], ..Selector::default() },
            descending: false,
            page_size: 1,
            page_token: None,
        };
        let then = past.list(query(0, MachineState::Provisioning)).await.unwrap();
        assert_eq!((then.items.len(), then.next_page_token), (1, None));
        assert_eq!(past.list(query(0, MachineState::Running)).await.unwrap().items, []);
        assert_eq!(past.list(query(700, MachineState::Running)).await.unwrap().items.len(), 1);
    }
}
