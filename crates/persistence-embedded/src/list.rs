//! A page of machines.
//!
//! # How the machines are found
//! One index drives, chosen by the first of these that the selector has; [`Selector::matches`] decides on each machine
//! that it finds.
//!
//! | the selector has | the machines come from |
//! | --- | --- |
//! | an exact name | all live machines of that name, at most one a cluster |
//! | a tag | the first tag |
//! | clusters or regions | each cluster that fits |
//! | states | each state |
//! | machine types | each type |
//! | nothing of these | all live machines |
//!
//! TERMINATED machines are in none of these but the index of states, and come from there as well where they are asked
//! for.
//!
//! By name, machines of a state, a type or a tag stand in no index. Where they are few, they are sorted for each page; where they
//! are many, they are found among all live machines by name, which then are not looked at for long. So neither takes more
//! than to examine [`MachineQuery::MAX_EXAMINED`] machines.
//!
//! So each machine comes from one source at most. Every source gives its machines in the order of the list, in which
//! they are merged. They are read with what the index finds, for a statement for each takes longer than to read it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use cloudm_application::ports::{Accepted, MachinePage, MachineQuery, PlacedMachine, SortKey};
use cloudm_domain::{
    Cluster, ClusterId, ClusterRef, Incarnation, Instant, Machine, MachineState, NamePattern, OrderKey, Selector,
};
use rusqlite::Connection;

use crate::error::DbError;
use crate::stream::{Range, Source, Stream};
use crate::{chain, clusters, events, sql};

/// What room is made for before it is known how much there is.
pub(crate) const A_PAGE: usize = 128;

/// Reads a page; `db` sees one moment.
pub(crate) fn page(db: &Connection, world: Incarnation, query: &MachineQuery) -> Result<MachinePage, DbError> {
    let mut places = Places::default();
    let made_by = query.made_by.as_ref().map(|by| MadeBy::new(world, by)).transpose()?;
    let sources = sources(db, (&query.selector, query.order.key), &mut places)?;
    let limit = query.limit.max(1);
    let mut merge = Merge::start(db, sources, query, limit)?;
    let mut page = MachinePage { machines: Vec::with_capacity(limit.min(A_PAGE)), next: None };
    let mut last = None;
    for examined in 0.. {
        // To look at it is enough to know that there is more.
        if merge.peek().is_none_or(|key| made_by.as_ref().is_some_and(|by| by.ends_at(key))) {
            break;
        }
        if page.machines.len() == limit || examined == MachineQuery::MAX_EXAMINED {
            page.next = last;
            break;
        }
        let Some((key, machine)) = merge.next(db)? else { break };
        if let Some(cluster) = places.get(db, machine.cluster_id)?
            && query.selector.matches(&machine, &cluster)
            && made_by.as_ref().map_or(Ok(true), |by| by.includes(db, &machine))?
        {
            page.machines.push(PlacedMachine { machine, cluster });
        }
        last = Some(key);
    }
    Ok(page)
}

/// The machines that were made by then.
struct MadeBy {
    at: Instant,
    /// The last event that was committed then.
    seq: i64,
}

impl MadeBy {
    fn new(world: Incarnation, by: &Accepted) -> Result<Self, DbError> {
        Ok(Self { at: by.at, seq: events::seq(world, &by.position)? })
    }

    /// Whether nothing comes after this key, in the order of creation.
    fn ends_at(&self, key: &SortKey) -> bool {
        matches!(key, SortKey::CreatedAt(at, _) if *at > self.at)
    }

    fn includes(&self, db: &Connection, machine: &Machine) -> Result<bool, DbError> {
        Ok(match machine.created_at.cmp(&self.at) {
            Ordering::Less => true,
            Ordering::Equal => chain::runs_of(db, machine.id)?.is_some_and(|runs| runs.first <= self.seq),
            Ordering::Greater => false,
        })
    }
}

/// The clusters that were met.
#[derive(Default)]
struct Places(BTreeMap<ClusterId, Option<Arc<Cluster>>>);

impl Places {
    fn get(&mut self, db: &Connection, id: ClusterId) -> Result<Option<Arc<Cluster>>, DbError> {
        if let Some(cluster) = self.0.get(&id) {
            return Ok(cluster.clone());
        }
        let cluster = clusters::get(db, id)?;
        self.0.insert(id, cluster.clone());
        Ok(cluster)
    }

    /// Keeps those of `found` that `fits`; gives their ids.
    fn keep(&mut self, found: Vec<Arc<Cluster>>, fits: impl Fn(&Cluster) -> bool) -> Vec<ClusterId> {
        let fit = found.into_iter().filter(|cluster| fits(cluster));
        let mut ids: Vec<_> = fit.map(|cluster| (cluster.id, self.0.insert(cluster.id, Some(cluster))).0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

fn sources(
    db: &Connection,
    (selector, key): (&Selector, OrderKey),
    places: &mut Places,
) -> Result<Vec<Source>, DbError> {
    let terminated = MachineState::Terminated;
    let scope = scope(db, selector, places)?;
    let mut sources = Vec::new();
    if selector.states.is_empty() || selector.states.iter().any(|state| *state != terminated) {
        sources = live_sources(selector, scope);
        if are_many_to_sort(db, &sources, key)? {
            sources = vec![Source::Live];
        }
    }
    if selector.matches_state(terminated) {
        sources.push(Source::State(terminated));
    }
    Ok(sources)
}

/// Whether more machines would have to be sorted for a page than it may examine.
fn are_many_to_sort(db: &Connection, sources: &[Source], key: OrderKey) -> Result<bool, DbError> {
    let mut room = MachineQuery::MAX_EXAMINED;
    for source in sources.iter().filter(|source| source.is_sorted_for(key)) {
        let count = source.count(db, room + 1)?;
        if count > room {
            return Ok(true);
        }
        room -= count;
    }
    Ok(false)
}

fn live_sources(selector: &Selector, scope: Option<Vec<ClusterId>>) -> Vec<Source> {
    let live_state = |state: &MachineState| *state != MachineState::Terminated;
    if let Some(NamePattern::Exact(name)) = &selector.name {
        vec![Source::Named(name.clone())]
    } else if let Some(tag) = selector.tags.first() {
        vec![Source::Tag(tag.clone())]
    } else if let Some(scope) = scope {
        scope.into_iter().map(Source::Cluster).collect()
    } else if !selector.states.is_empty() {
        selector.states.iter().copied().filter(live_state).map(Source::State).collect()
    } else if !selector.machine_types.is_empty() {
        selector.machine_types.iter().cloned().map(Source::Type).collect()
    } else {
        vec![Source::Live]
    }
}

/// The clusters that the selector's clusters and regions leave, where it has any of these.
fn scope(db: &Connection, selector: &Selector, places: &mut Places) -> Result<Option<Vec<ClusterId>>, DbError> {
    let mut found = Vec::new();
    match (selector.clusters.as_slice(), selector.regions.as_slice()) {
        ([], []) => return Ok(None),
        ([], regions) => {
            for region in regions {
                found.extend(clusters::select(db, sql::CLUSTER_IN_REGION, [region.as_str()])?);
            }
        }
        (clusters, _) => {
            for one in clusters {
                found.extend(match one {
                    ClusterRef::Id(id) => clusters::get(db, *id)?,
                    ClusterRef::Name(name) => clusters::find(db, name)?,
                });
            }
        }
    }
    let regions = &selector.regions;
    Ok(Some(places.keep(found, |cluster| regions.is_empty() || regions.contains(&cluster.region_code))))
}

/// The machines of several sources, in one order.
struct Merge {
    streams: Vec<Stream>,
    heads: BinaryHeap<Head>,
}

impl Merge {
    fn start(db: &Connection, sources: Vec<Source>, query: &MachineQuery, limit: usize) -> Result<Self, DbError> {
        let range = Range::of(query);
        // What a page needs of each, were they all alike.
        let first = (limit / sources.len().max(1)).saturating_add(1);
        let streams = sources.into_iter().map(|source| Stream::new(source, range.clone(), first)).collect();
        let mut merge = Self { streams, heads: BinaryHeap::new() };
        for stream in 0..merge.streams.len() {
            merge.advance(db, stream)?;
        }
        Ok(merge)
    }

    /// The key of the machine whose turn it is.
    fn peek(&self) -> Option<&SortKey> {
        self.heads.peek().map(|head| &head.key)
    }

    fn next(&mut self, db: &Connection) -> Result<Option<(SortKey, Machine)>, DbError> {
        let Some(Head { key, stream, .. }) = self.heads.pop() else { return Ok(None) };
        let machine = self.streams[stream].take();
        self.advance(db, stream)?;
        Ok(machine.map(|machine| (key, machine)))
    }

    fn advance(&mut self, db: &Connection, stream: usize) -> Result<(), DbError> {
        let from = &mut self.streams[stream];
        let descending = from.descending();
        let head = from.next_key(db)?.map(|key| Head { key, stream, descending });
        self.heads.extend(head);
        Ok(())
    }
}

/// The key of the next machine of a stream. The greatest head is the one whose turn it is.
#[derive(PartialEq, Eq)]
struct Head {
    key: SortKey,
    stream: usize,
    descending: bool,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.key.cmp(&other.key).then(self.stream.cmp(&other.stream));
        if self.descending { order } else { order.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{MachineId, NewMachine, Order, Preset, Protection, Rules, Seed, Span, Tags};

    use super::*;
    use crate::file::{self, Durability};
    use crate::rows::Rows;
    use crate::runs::Runs;

    /// A cluster and so many machines in it, a millisecond after each other.
    fn world(machines: usize) -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        let cluster_id = ClusterId::from_bytes([1; 12]);
        let fill = db.unchecked_transaction().unwrap();
        let cluster = (cluster_id.as_bytes(), "web", "A", 1, 0, 0);
        fill.execute(sql::CLUSTER_INSERT, cluster).unwrap();
        let rules = Rules::new(Seed::new(1).unwrap(), Preset::Instant.behaviour());
        let mut rows = Rows::new(&fill);
        for number in 0..machines {
            let mut id = [0; 12];
            id[4..].copy_from_slice(&(number as u64).to_be_bytes());
            let new = NewMachine {
                id: MachineId::from_bytes(id),
                cluster_id,
                name: format!("m-{number}").parse().unwrap(),
                machine_type: "small".parse().unwrap(),
                tags: Tags::default(),
                protection: Protection::default(),
                start: true,
            };
            let at = Instant::DEFAULT_START.plus(Span::from_millis(number as u64));
            let machine = Machine::create(new, at, &rules).machine;
            assert!(rows.insert(&machine, Runs { first: 1, last: 1 }).unwrap().is_some());
        }
        rows.finish().write(&fill).unwrap();
        drop(rows);
        fill.commit().unwrap();
        (directory, db)
    }

    #[test]
    fn a_page_is_read_at_once_with_the_one_after_it_and_no_more() {
        let (_directory, db) = world(50);
        let query = MachineQuery {
            selector: Selector::default(),
            order: Order::default(),
            after: None,
            made_by: None,
            limit: 10,
        };
        let page = page(&db, Incarnation::from_bytes([1; 12]), &query).unwrap();
        assert_eq!((page.machines.len(), page.next.is_some()), (10, true));
        let statement = db.prepare_cached(&Source::Live.sql(Order::default())).unwrap();
        assert_eq!(statement.get_status(rusqlite::StatementStatus::Run), 1);
    }

    #[test]
    fn by_name_few_are_sorted_and_many_are_met_among_all_that_have_one() {
        for machines in [50, MachineQuery::MAX_EXAMINED + 1] {
            let (_directory, db) = world(machines);
            let selector = Selector { states: vec![MachineState::Running], ..Selector::default() };
            let order: Order = "-name".parse().unwrap();
            let query = MachineQuery { selector, order, after: None, made_by: None, limit: 10 };
            let page = page(&db, Incarnation::from_bytes([1; 12]), &query).unwrap();
            let mut names: Vec<_> = (0..machines).map(|number| format!("m-{number}")).collect();
            names.sort_unstable_by(|one, other| other.cmp(one));
            assert!(page.machines.iter().map(|placed| placed.machine.name.as_str()).eq(names.iter().take(10)));
            let ran = |source: Source| {
                let statement = db.prepare_cached(&source.sql(order)).unwrap();
                statement.get_status(rusqlite::StatementStatus::Run)
            };
            let many = machines > MachineQuery::MAX_EXAMINED;
            assert_eq!((ran(Source::State(MachineState::Running)), ran(Source::Live)), (!many as i32, many as i32));
        }
    }

    #[test]
    fn a_page_examines_no_more_machines_than_it_may() {
        let (_directory, db) = world(MachineQuery::MAX_EXAMINED + 1);
        let selector = Selector { name: Some("none*".parse().unwrap()), ..Selector::default() };
        let mut query = MachineQuery { selector, order: Order::default(), after: None, made_by: None, limit: 10 };
        let page = |query: &MachineQuery| page(&db, Incarnation::from_bytes([1; 12]), query);
        let short = page(&query).unwrap();
        assert!(short.machines.is_empty() && short.next.is_some());
        query.after = short.next;
        assert_eq!(page(&query).unwrap(), MachinePage { machines: Vec::new(), next: None });
        // By name, the index leads to the prefix and nothing is examined in vain.
        query.order = "name".parse().unwrap();
        query.after = None;
        assert_eq!(page(&query).unwrap().next, None);
    }
}
