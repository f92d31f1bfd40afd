//! How well a fleet was run.

use std::collections::HashMap;
use std::sync::Arc;

use cloudm_domain::{
    Catalogue, Change, Cluster, ClusterId, Instant, Machine, MachineEvent, ScoreKeeper, Scorecard, Selector,
};

use crate::error::Error;
use crate::ports::{ClusterStore, EventQuery, EventStore, StoreError, WorldStore};
use crate::settler::Settler;

/// The most events that are read for a scorecard.
const MAX_EVENTS: usize = 1_000_000;

/// Events that are read at once.
const PAGE: usize = 1_000;

/// Of what a scorecard is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScorecardQuery {
    /// Where it begins; at the beginning of the world where that is not said.
    pub from: Option<Instant>,
    /// Where it ends; now where that is not said.
    pub to: Option<Instant>,
    /// Which machines count, at each moment as they are then. The names and regions of clusters are those of now, or of their end.
    pub selector: Selector,
    /// How many machines are wanted RUNNING.
    pub fewer_than: Option<u64>,
}

/// Keeps the score of a world, from its history.
pub struct GetScorecard {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) settler: Settler,
}

/// The clusters that were met; nothing for those of which nothing is known.
type Clusters = HashMap<ClusterId, Option<Arc<Cluster>>>;

impl GetScorecard {
    /// The scorecard of an interval. What was due before is settled. The cost grows with the history up to its end, and the memory with
    /// the machines that lived at a time.
    ///
    /// # Errors
    /// [`Error::InTheFuture`], [`Error::BeforeHistory`], [`Error::InvalidInterval`], [`Error::TooMuchHistory`],
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self, query: ScorecardQuery) -> Result<Scorecard, Error> {
        let view = self.world.read().await?;
        let (start, now) = (view.world.start, view.now);
        let (from, to) = (query.from.unwrap_or(start), query.to.unwrap_or(now));
        if to > now {
            return Err(Error::InTheFuture { now });
        }
        if from < start {
            return Err(Error::BeforeHistory { start });
        }
        if from > to {
            return Err(Error::InvalidInterval);
        }
        self.settler.settle_all(&view).await?;
        let mut keeper = ScoreKeeper::new(from, to, query.fewer_than);
        self.read_all(&mut keeper, &query.selector).await?;
        Ok(keeper.score(&self.catalogue))
    }

    async fn read_all(&self, keeper: &mut ScoreKeeper, selector: &Selector) -> Result<(), Error> {
        let mut clusters = Clusters::new();
        let mut query = EventQuery { machine: None, until: None, after: None, limit: PAGE };
        let mut events = 0;
        loop {
            let page = self.events.page(&query).await?;
            events += page.events.len();
            if events > MAX_EVENTS {
                return Err(Error::TooMuchHistory { limit: MAX_EVENTS });
            }
            for one in &page.events {
                self.meet(&mut clusters, &one.event).await?;
                let selects = |machine: &Machine| {
                    let cluster = clusters.get(&machine.cluster_id).and_then(Option::as_ref);
                    cluster.is_some_and(|cluster| selector.matches_event(machine, cluster))
                };
                let damaged = |why| StoreError::Damaged(format!("the history of {}: {why}", one.event.machine));
                keeper.read(&one.event, selects).map_err(damaged)?;
            }
            match page.events.into_iter().next_back() {
                Some(last) if page.more => query.after = Some(last.position),
                _ => return Ok(()),
            }
        }
    }

    /// Reads the cluster in which an event makes a machine.
    async fn meet(&self, clusters: &mut Clusters, event: &MachineEvent) -> Result<(), Error> {
        let (Change::Created(created) | Change::CreationRefused { created, .. }) = &event.change else { return Ok(()) };
        let id = created.cluster_id;
        if clusters.contains_key(&id) {
            return Ok(());
        }
        let found = match self.clusters.get(id).await? {
            Some(cluster) => Some(cluster),
            None => self.clusters.gone(id).await?.map(|gone| gone.cluster),
        };
        clusters.insert(id, found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{
        EventPage, GoneCluster, MockClusterStore, MockEventStore, MockMachineStore, Position, PositionedEvent,
    };
    use cloudm_domain::{Cause, MachineState, Preset, SelectorField, Span};

    fn history() -> Vec<PositionedEvent> {
        let view = fixtures::view(Preset::Realistic, "1h");
        let created = fixtures::created(Preset::Realistic, "web-1");
        let settled = created.machine.settle(view.now, &view.world.rules);
        let events = created.events.into_iter().chain(settled.events);
        events.zip(1_u8..).map(|(event, at)| PositionedEvent { position: Position(vec![at]), event }).collect()
    }

    /// A world an hour after its start, with a machine whose history comes in pages of one.
    fn get(clusters: MockClusterStore) -> GetScorecard {
        let mut events = MockEventStore::new();
        events.expect_page().returning(|query| {
            let left =
                history().into_iter().skip_while(|one| query.after.as_ref().is_some_and(|at| one.position.0 <= at.0));
            let mut left: Vec<_> = left.collect();
            let more = left.len() > 1;
            left.truncate(1);
            Ok(EventPage { events: left, more })
        });
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let world: Arc<dyn WorldStore> = Arc::new(fixtures::world_of(Preset::Realistic, "1h"));
        let settler = Settler::new(world.clone(), Arc::new(machines));
        let (clusters, events) = (Arc::new(clusters), Arc::new(events));
        GetScorecard { world, clusters, events, catalogue: Arc::default(), settler }
    }

    /// Clusters of which the one was deleted.
    fn clusters() -> MockClusterStore {
        let mut clusters = MockClusterStore::new();
        clusters.expect_get().returning(|_| Ok(None));
        clusters.expect_gone().returning(|_| {
            Ok(Some(GoneCluster { cluster: Arc::new(fixtures::cluster()), at: Instant::DEFAULT_START }))
        });
        clusters
    }

    #[tokio::test]
    async fn the_whole_history_is_read_unless_told_otherwise() {
        let card = get(clusters()).run(ScorecardQuery::default()).await.unwrap();
        let all: u64 = card.times.values().map(|time| time.millis()).sum();
        assert_eq!(all, 3_600_000);
        assert_eq!(card.operations[&Cause::Create].done, 1);
        assert!(card.times.keys().any(|(_, state)| *state == MachineState::Running));
        let from = Some(Instant::DEFAULT_START.plus(Span::from_secs(3_599)));
        let last = get(clusters()).run(ScorecardQuery { from, ..ScorecardQuery::default() }).await.unwrap();
        assert_eq!(last.times.values().map(|time| time.millis()).sum::<u64>(), 1_000);
    }

    #[tokio::test]
    async fn only_what_is_selected_counts() {
        for (region, counted) in [("A", 1), ("B", 0)] {
            let mut selector = Selector::default();
            selector.add(SelectorField::Region, region).unwrap();
            let card = get(clusters()).run(ScorecardQuery { selector, ..ScorecardQuery::default() }).await.unwrap();
            assert_eq!(card.operations.len(), counted, "{region}");
        }
    }

    #[tokio::test]
    async fn an_interval_lies_in_the_history_and_goes_forward() {
        let at = |secs| Some(Instant::DEFAULT_START.plus(Span::from_secs(secs)));
        let run = |from, to| async move {
            get(MockClusterStore::new()).run(ScorecardQuery { from, to, ..ScorecardQuery::default() }).await
        };
        assert!(matches!(run(None, at(3_601)).await, Err(Error::InTheFuture { .. })));
        assert!(matches!(run(at(2), at(1)).await, Err(Error::InvalidInterval)));
        let before = Instant::from_millis(Instant::DEFAULT_START.millis() - 1).ok();
        assert!(matches!(run(before, None).await, Err(Error::BeforeHistory { .. })));
    }
}
