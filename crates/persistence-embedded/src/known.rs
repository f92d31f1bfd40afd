//! What is known of a world without reading it: its clusters that were read before, so that a machine is read, or made, without its
//! cluster's row, [where](Numbers) the rows of its machines are, and the [records](Cache) of many of them.
//!
//! A machine and its cluster are to be of one moment. So what was read counts only where no cluster changed from before the
//! machine was read until after; each change is told from before its commit until after.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cloudm_domain::{Cluster, ClusterId, Name};
use parking_lot::RwLock;

use crate::cache::Cache;
use crate::numbers::Numbers;

/// What is known of one world: of its clusters, of which there are a thousand at most, and of its machines.
#[derive(Debug, Default)]
pub(crate) struct Known {
    under_way: AtomicUsize,
    changes: AtomicU64,
    clusters: RwLock<Clusters>,
    numbers: Numbers,
    cache: Cache,
}

/// Clusters that were read after so many changes.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    changes: u64,
    found: HashMap<ClusterId, Arc<Cluster>>,
    ids: HashMap<Name, ClusterId>,
}

impl Clusters {
    pub(crate) fn get(&self, id: ClusterId) -> Option<Arc<Cluster>> {
        self.found.get(&id).cloned()
    }

    pub(crate) fn find(&self, name: &Name) -> Option<Arc<Cluster>> {
        self.ids.get(name).and_then(|id| self.get(*id))
    }
}

impl Known {
    /// The numbers of the rows of machines.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The records of machines that are in memory.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Forgets all that is known of machines, and gives back the memory.
    pub(crate) fn clear_machines(&self) {
        self.numbers.clear();
        self.cache.clear();
    }

    /// The number of changes, where none is under way. Where it is the same later, there was none in between.
    pub(crate) fn still(&self) -> Option<u64> {
        let changes = self.changes.load(Ordering::SeqCst);
        (self.under_way.load(Ordering::SeqCst) == 0).then_some(changes)
    }

    /// What `look` finds among the clusters that were read after so many changes.
    pub(crate) fn at(
        &self,
        changes: u64,
        look: impl FnOnce(&Clusters) -> Option<Arc<Cluster>>,
    ) -> Option<Arc<Cluster>> {
        let clusters = self.clusters.read();
        if clusters.changes == changes { look(&clusters) } else { None }
    }

    /// Keeps a cluster that was read after so many changes, with none until now.
    fn put(&self, changes: u64, cluster: Arc<Cluster>) {
        let mut clusters = self.clusters.write();
        if clusters.changes < changes {
            *clusters = Clusters { changes, ..Clusters::default() };
        }
        if clusters.changes == changes {
            clusters.ids.insert(cluster.name.clone(), cluster.id);
            clusters.found.insert(cluster.id, cluster);
        }
    }

    /// The cluster that `look` finds among those that are known, or else `read` reads.
    pub(crate) fn look_or_read<E>(
        &self,
        look: impl FnOnce(&Clusters) -> Option<Arc<Cluster>>,
        read: impl FnOnce() -> Result<Option<Arc<Cluster>>, E>,
    ) -> Result<Option<Arc<Cluster>>, E> {
        let Some(changes) = self.still() else { return read() };
        if let Some(cluster) = self.at(changes, look) {
            return Ok(Some(cluster));
        }
        let found = read()?;
        if self.still() == Some(changes) {
            found.iter().for_each(|cluster| self.put(changes, cluster.clone()));
        }
        Ok(found)
    }

    /// Tells of a change that is under way for as long as this lives: from before its commit until after.
    pub(crate) fn change(self: &Arc<Self>) -> Changing {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        Changing(self.clone())
    }
}

/// A change of clusters that is under way.
#[derive(Debug)]
pub(crate) struct Changing(Arc<Known>);

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use cloudm_domain::Instant;

    use super::*;

    fn cluster(name: &str) -> Arc<Cluster> {
        let id = ClusterId::from_bytes([1; 12]);
        Arc::new(Cluster::create(id, name.parse().unwrap(), "A".parse().unwrap(), Instant::DEFAULT_START))
    }

    #[test]
    fn what_was_read_before_a_change_is_not_known_after_it() {
        let known = Arc::new(Known::default());
        let before = known.still().unwrap();
        known.put(before, cluster("a"));
        assert_eq!(known.at(before, |known| known.get(cluster("a").id)), Some(cluster("a")));
        assert_eq!(known.at(before, |known| known.find(&cluster("a").name)), Some(cluster("a")));
        let change = known.change();
        assert_eq!(known.still(), None, "it may be committed or not");
        drop(change);
        let after = known.still().unwrap();
        assert!(after != before && known.at(after, |known| known.get(cluster("a").id)).is_none());
        assert!(known.at(after, |known| known.find(&cluster("a").name)).is_none());
        known.put(after, cluster("b"));
        // Whoever is late keeps nothing.
        known.put(before, cluster("a"));
        assert_eq!(known.at(after, |known| known.get(cluster("a").id)), Some(cluster("b")));
    }

    #[test]
    fn a_cluster_is_read_once_while_none_changes() {
        let known = Arc::new(Known::default());
        let look = |read: Option<Arc<Cluster>>| {
            known.look_or_read(|known| known.find(&cluster("a").name), || Ok::<_, ()>(read))
        };
        assert_eq!(look(None), Ok(None), "that there is none is not kept");
        assert_eq!(look(Some(cluster("a"))), Ok(Some(cluster("a"))));
        assert_eq!(look(None), Ok(Some(cluster("a"))));
        let change = known.change();
        assert_eq!(look(None), Ok(None));
        drop(change);
        assert_eq!(look(None), Ok(None));
    }

    #[test]
    fn it_is_still_once_all_changes_have_ended() {
        let known = Arc::new(Known::default());
        let changes = [known.change(), known.change()];
        for change in changes {
            assert_eq!(known.still(), None);
            drop(change);
        }
        assert_eq!(known.still(), Some(2));
    }
}
