//! Clusters: named groups of machines in one region.

use crate::id::ClusterId;
use crate::name::{Code, Name};
use crate::time::Instant;

/// A named group of machines in one region. Its name is unique in its world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cluster {
    /// Its id, for ever.
    pub id: ClusterId,
    /// Its name.
    pub name: Name,
    /// The code of the region it is in.
    pub region_code: Code,
    /// How often it was changed, its creation included.
    pub version: u64,
    /// When it was created.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// A change of a cluster; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterEdit {
    /// The new name.
    pub name: Option<Name>,
    /// The code of the new region.
    pub region_code: Option<Code>,
}

impl Cluster {
    /// The most clusters a world has.
    pub const MAX_IN_WORLD: usize = 1000;

    /// A cluster made at `now`.
    pub fn create(id: ClusterId, name: Name, region_code: Code, now: Instant) -> Self {
        Self { id, name, region_code, version: 1, created_at: now, updated_at: now }
    }

    /// The cluster after this change; none where it changes nothing.
    pub fn edit(&self, edit: &ClusterEdit, now: Instant) -> Option<Self> {
        let edited = Self {
            name: edit.name.clone().unwrap_or_else(|| self.name.clone()),
            region_code: edit.region_code.clone().unwrap_or_else(|| self.region_code.clone()),
            ..self.clone()
        };
        (edited != *self).then(|| Self { version: self.version + 1, updated_at: now.max(self.updated_at), ..edited })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_counts_only_where_it_changes_something() {
        let now = Instant::DEFAULT_START;
        let cluster = Cluster::create(ClusterId::from_bytes([1; 12]), "a".parse().unwrap(), "A".parse().unwrap(), now);
        let same = ClusterEdit { name: Some("a".parse().unwrap()), region_code: None };
        assert_eq!(cluster.edit(&same, now), None);
        let other = ClusterEdit { name: Some("b".parse().unwrap()), region_code: Some("B".parse().unwrap()) };
        let edited = cluster.edit(&other, now).unwrap();
        assert_eq!((edited.version, edited.name.as_str(), edited.region_code.as_str()), (2, "b", "B"));
        assert_eq!(edited.id, cluster.id);
    }
}
