//! A page of machines.
//!
//! The selector is resolved into a few streams, each of which an index gives in the order of the list, so that nothing is
//! sorted that is not shown; they are merged, and what does not fit is left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{MachinePage, MachineQuery, PlacedMachine, SortKey, StoreError};
use cloudm_domain::{Cluster, ClusterId, ClusterRef, MachineState, NamePattern, Selector};
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};

use crate::clusters;
use crate::document::key;
use crate::stream::{Met, Source, Stream};
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;

/// The reading of one page.
pub(crate) struct Listing {
    pub(crate) world: Arc<OpenWorld>,
    pub(crate) query: MachineQuery,
}

type Refused = Stop<StoreError>;

#[async_trait]
impl Work for Listing {
    type Output = MachinePage;
    type Refusal = StoreError;

    async fn run(&self, session: &mut ClientSession) -> Result<MachinePage, Refused> {
        let mut places = Places::default();
        let sources = self.sources(session, &mut places).await?;
        let streams = sources.into_iter().map(|source| Stream::new(source, &self.query, self.first()));
        self.page(session, &mut streams.collect::<Vec<_>>(), places).await
    }
}

impl Listing {
    /// Streams that stay open from page to page.
    pub(crate) async fn open(&self, session: &mut ClientSession) -> Result<Vec<Stream>, Refused> {
        let sources = self.sources(session, &mut Places::default()).await?;
        let open = |source| Stream::open(source, (&self.query, self.first()), self.world.id());
        Ok(sources.into_iter().map(open).collect())
    }

    /// How many machines a page looks at, at least: whether there is one more is seen by it.
    fn first(&self) -> usize {
        self.query.limit.max(1).saturating_add(1)
    }

    /// The next page of these streams.
    pub(crate) async fn page(
        &self,
        session: &mut ClientSession,
        streams: &mut [Stream],
        mut places: Places,
    ) -> Result<MachinePage, Refused> {
        let limit = self.query.limit.max(1);
        let mut page = MachinePage { machines: Vec::new(), next: None };
        let mut last = None;
        for examined in 0.. {
            let Some(turn) = self.turn(session, streams).await? else { break };
            if page.machines.len() == limit || examined == MachineQuery::MAX_EXAMINED {
                page.next = last;
                break;
            }
            let Some(Met { machine, late }) = streams[turn].take() else { break };
            let upcoming = streams.iter().flat_map(Stream::waiting);
            let cluster = places.of(&self.world, session, machine.cluster_id, upcoming).await?;
            last = Some(SortKey::of(&machine, self.query.order.key));
            if let Some(cluster) = cluster
                && !late
                && self.query.selector.matches(&machine, &cluster)
            {
                page.machines.push(PlacedMachine { machine, cluster });
            }
        }
        Ok(page)
    }

    /// The stream whose machine comes next.
    async fn turn(&self, session: &mut ClientSession, streams: &mut [Stream]) -> Result<Option<usize>, Refused> {
        let mut first: Option<(usize, SortKey)> = None;
        for (number, stream) in streams.iter_mut().enumerate() {
            let Some(key) = stream.head(&self.world, session).await? else { continue };
            let earlier = |other: &SortKey| if self.query.order.descending { key > *other } else { key < *other };
            if first.as_ref().is_none_or(|(_, other)| earlier(other)) {
                first = Some((number, key));
            }
        }
        Ok(first.map(|(number, _)| number))
    }

    async fn sources(&self, session: &mut ClientSession, places: &mut Places) -> Result<Vec<Source>, Refused> {
        let selector = &self.query.selector;
        let terminated = MachineState::Terminated;
        let scope = self.scope(session, places).await?;
        let mut sources = Vec::new();
        if selector.states.is_empty() || selector.states.iter().any(|state| *state != terminated) {
            sources = live_sources(selector, scope);
        }
        if selector.matches_state(terminated) {
            sources.push(Source::States(vec![terminated]));
        }
        Ok(sources)
    }

    /// The clusters that the selector's clusters and regions leave, where it has any of these.
    async fn scope(&self, session: &mut ClientSession, places: &mut Places) -> Result<Option<Vec<ClusterId>>, Refused> {
        let Selector { clusters, regions, .. } = &self.query.selector;
        if clusters.is_empty() && regions.is_empty() {
            return Ok(None);
        }
        let filters = match clusters.as_slice() {
            [] => vec![doc! { "w": self.world.id(), "region": any(regions.iter().map(|code| code.as_str())) }],
            clusters => self.referred(clusters),
        };
        let mut scope = Vec::new();
        for filter in filters {
            for found in clusters::select(&self.world, session, filter).await? {
                let cluster = found.read()?;
                if regions.is_empty() || regions.contains(&cluster.region_code) {
                    scope.push(cluster.id);
                }
                places.0.insert(cluster.id, Some(cluster));
            }
        }
        scope.sort_unstable();
        scope.dedup();
        Ok(Some(scope))
    }

    fn referred(&self, clusters: &[ClusterRef]) -> Vec<Document> {
        let world = self.world.id();
        let ids = clusters.iter().filter_map(|one| match one {
            ClusterRef::Id(id) => Some(key(world, id)),
            ClusterRef::Name(_) => None,
        });
        let names = clusters.iter().filter_map(|one| match one {
            ClusterRef::Id(_) => None,
            ClusterRef::Name(name) => Some(name.as_str()),
        });
        vec![doc! { "_id": any(ids) }, doc! { "w": world, "name": any(names) }]
    }
}

/// Matches any of these values.
pub(crate) fn any<T: Into<Bson>>(values: impl Iterator<Item = T>) -> Document {
    doc! { "$in": values.map(Into::into).collect::<Vec<Bson>>() }
}

fn live_sources(selector: &Selector, scope: Option<Vec<ClusterId>>) -> Vec<Source> {
    let live_state = |state: &MachineState| *state != MachineState::Terminated;
    if let Some(NamePattern::Exact(name)) = &selector.name {
        vec![Source::Named(name.clone())]
    } else if let Some(tag) = selector.tags.first() {
        vec![Source::Tag(tag.clone())]
    } else if let Some(scope) = scope {
        scope.chunks(Source::MOST_CLUSTERS).map(|some| Source::Clusters(some.to_vec())).collect()
    } else if !selector.states.is_empty() {
        vec![Source::States(selector.states.iter().copied().filter(live_state).collect())]
    } else if !selector.machine_types.is_empty() {
        vec![Source::Types(selector.machine_types.clone())]
    } else {
        vec![Source::Live]
    }
}

/// The clusters that were met; nothing for those that exist no more.
#[derive(Default)]
pub(crate) struct Places(BTreeMap<ClusterId, Option<Arc<Cluster>>>);

impl Places {
    /// The cluster of a machine. Those of the machines that come next are read with it.
    async fn of(
        &mut self,
        world: &OpenWorld,
        session: &mut ClientSession,
        id: ClusterId,
        upcoming: impl Iterator<Item = ClusterId>,
    ) -> Result<Option<Arc<Cluster>>, Refused> {
        if let Some(cluster) = self.0.get(&id) {
            return Ok(cluster.clone());
        }
        let mut unknown: Vec<_> = upcoming.chain([id]).filter(|id| !self.0.contains_key(id)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let keys = unknown.iter().map(|id| key(world.id(), id));
        let found = clusters::select(world, session, doc! { "_id": any(keys) }).await?;
        self.0.extend(unknown.into_iter().map(|id| (id, None)));
        for cluster in found {
            let cluster = cluster.read()?;
            self.0.insert(cluster.id, Some(cluster));
        }
        Ok(self.0.get(&id).cloned().flatten())
    }
}
