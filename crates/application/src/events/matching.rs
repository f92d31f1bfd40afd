//! Which events a selector selects: those whose machine matches as the event left it.

use std::collections::HashMap;
use std::sync::Arc;

use cloudm_domain::{Change, Cluster, ClusterId, Machine, MachineEvent, MachineId, Selector, fold};

use crate::error::Error;
use crate::machines::MAX_EVENTS;
use crate::ports::{ClusterStore, EventQuery, EventStore, MachineStore, PositionedEvent, StoreError};

/// Events that are read at once.
const PAGE: usize = 1_000;

/// Machines that are remembered from one event to the next.
const MAX_KNOWN: usize = 256;

/// Finds out what machines were when an event left them.
#[derive(Clone)]
pub(crate) struct Matcher {
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) events: Arc<dyn EventStore>,
}

/// A selector, and what is known of the machines whose events it was asked about.
#[derive(Default)]
pub(crate) struct Matching {
    selector: Selector,
    machines: HashMap<MachineId, Machine>,
    places: HashMap<MachineId, ClusterId>,
}

impl Matching {
    pub(crate) fn by(selector: Selector) -> Self {
        Self { selector, ..Self::default() }
    }

    /// Whether it selects every event.
    pub(crate) fn is_all(&self) -> bool {
        self.selector == Selector::default()
    }

    /// Makes room for more machines.
    fn tidy(&mut self) {
        if self.machines.len() >= MAX_KNOWN {
            self.machines.clear();
        }
        if self.places.len() >= MAX_KNOWN {
            self.places.clear();
        }
    }
}

type Clusters = HashMap<ClusterId, Option<Arc<Cluster>>>;

impl Matcher {
    /// Those events that are selected, in their order. The names and regions of clusters are those of now, or of their end.
    ///
    /// # Errors
    /// [`Error::TooMuchHistory`], [`Error::Store`].
    pub(crate) async fn select(
        &self,
        matching: &mut Matching,
        events: Vec<PositionedEvent>,
    ) -> Result<Vec<PositionedEvent>, Error> {
        if matching.is_all() {
            return Ok(events);
        }
        let (mut clusters, mut selected) = (Clusters::new(), Vec::new());
        for one in events {
            if self.matches(matching, &mut clusters, &one.event).await? {
                selected.push(one);
            }
        }
        Ok(selected)
    }

    async fn matches(
        &self,
        matching: &mut Matching,
        clusters: &mut Clusters,
        event: &MachineEvent,
    ) -> Result<bool, Error> {
        matching.tidy();
        let place = self.place(matching, event).await?;
        let cluster = match clusters.get(&place) {
            Some(known) => known.clone(),
            None => self.cluster(place).await?,
        };
        clusters.insert(place, cluster.clone());
        let Some(cluster) = cluster else { return Ok(false) };
        if !matching.selector.matches_cluster(&cluster) || !matching.selector.looks_at_machines() {
            return Ok(matching.selector.matches_cluster(&cluster));
        }
        let machine = self.machine(matching, event).await?;
        let matches = matching.selector.matches_event(&machine, &cluster);
        matching.machines.insert(machine.id, machine);
        Ok(matches)
    }

    /// The cluster of an event's machine, for ever.
    async fn place(&self, matching: &mut Matching, event: &MachineEvent) -> Result<ClusterId, Error> {
        if let Some(place) = matching.places.get(&event.machine) {
            return Ok(*place);
        }
        let place = match &event.change {
            Change::Created(created) | Change::CreationRefused { created, .. } => created.cluster_id,
            _ => match self.machines.get(event.machine).await? {
                Some(stored) => stored.machine.cluster_id,
                None => self.folded(event.machine, 1).await?.cluster_id,
            },
        };
        matching.places.insert(event.machine, place);
        Ok(place)
    }

    async fn cluster(&self, id: ClusterId) -> Result<Option<Arc<Cluster>>, Error> {
        match self.clusters.get(id).await? {
            Some(cluster) => Ok(Some(cluster)),
            None => Ok(self.clusters.gone(id).await?.map(|gone| gone.cluster)),
        }
    }

    /// The machine as an event left it.
    async fn machine(&self, matching: &mut Matching, event: &MachineEvent) -> Result<Machine, Error> {
        if let Some(mut known) = matching.machines.remove(&event.machine)
            && known.version + 1 == event.version
        {
            known.apply(event).map_err(|why| StoreError::Damaged(why.to_string()))?;
            return Ok(known);
        }
        if event.version == 1 {
            return Ok(fold([event]).map_err(|why| StoreError::Damaged(why.to_string()))?);
        }
        match self.machines.get(event.machine).await? {
            Some(stored) if stored.machine.version == event.version => Ok(stored.machine),
            _ => self.folded(event.machine, event.version).await,
        }
    }

    /// The machine that its events up to a version made.
    async fn folded(&self, id: MachineId, version: u64) -> Result<Machine, Error> {
        let mut query = EventQuery { machine: Some(id), until: None, after: None, limit: PAGE };
        let mut events = Vec::new();
        loop {
            let page = self.events.page(&query).await?;
            query.after = page.events.last().map(|last| last.position.clone());
            let left = page.events.into_iter().map(|one| one.event).filter(|event| event.version <= version);
            events.extend(left);
            if events.len() as u64 == version {
                return Ok(fold(&events).map_err(|why| StoreError::Damaged(why.to_string()))?);
            }
            if events.len() > MAX_EVENTS {
                return Err(Error::TooMuchHistory { limit: MAX_EVENTS });
            }
            if !page.more {
                return Err(StoreError::Damaged(format!("the machine {id} has not all of its events")).into());
            }
        }
    }
}
