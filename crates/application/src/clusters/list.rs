//! Listing clusters.

use std::sync::Arc;

use cloudm_domain::{Cluster, ClusterId, Code, Instant, Name, NamePattern, Order, OrderKey};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::{ClusterStore, WorldStore};

/// Which clusters to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterListQuery {
    /// In any of these regions; in any at all where empty.
    pub regions: Vec<Code>,
    /// With a name like this.
    pub name: Option<NamePattern>,
    /// In what order.
    pub order: Order,
    /// The most clusters in the page.
    pub page_size: usize,
    /// Where to go on.
    pub page_token: Option<String>,
}

/// A page of clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterList {
    /// The clusters, in order.
    pub items: Vec<Arc<Cluster>>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
}

/// Lists clusters. A world has few, so it reads them all.
pub struct ListClusters {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) tokens: Arc<PageTokens>,
}

/// Where a cluster stands in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    CreatedAt(Instant, ClusterId),
    Name(Name, ClusterId),
}

impl Key {
    fn of(cluster: &Cluster, key: OrderKey) -> Self {
        match key {
            OrderKey::CreatedAt => Self::CreatedAt(cluster.created_at, cluster.id),
            OrderKey::Name => Self::Name(cluster.name.clone(), cluster.id),
        }
    }
}

impl ListClusters {
    /// A page of the clusters that match.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], [`Error::Store`].
    pub async fn run(&self, query: ClusterListQuery) -> Result<ClusterList, Error> {
        let incarnation = self.world.read().await?.world.incarnation;
        let ClusterListQuery { regions, name, order, page_size, page_token } = query;
        let scope = format!("clusters {incarnation} {order} {regions:?} {name:?}");
        let after: Option<Key> = page_token.map(|token| self.tokens.open(&scope, &token)).transpose()?;
        let mut items: Vec<_> = self.clusters.all().await?.into_iter().map(|c| (Key::of(&c, order.key), c)).collect();
        items.retain(|(key, cluster)| {
            let beyond = |after: &Key| if order.descending { key < after } else { key > after };
            after.as_ref().is_none_or(beyond)
                && (regions.is_empty() || regions.contains(&cluster.region_code))
                && name.as_ref().is_none_or(|name| name.matches(&cluster.name))
        });
        items.sort_by(|(a, _), (b, _)| if order.descending { b.cmp(a) } else { a.cmp(b) });
        let more = items.len() > page_size;
        items.truncate(page_size);
        let last = items.last().filter(|_| more);
        let next_page_token = last.map(|(key, _)| self.tokens.seal(&scope, key)).transpose()?;
        Ok(ClusterList { items: items.into_iter().map(|(_, cluster)| cluster).collect(), next_page_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockClusterStore;

    fn list() -> ListClusters {
        let mut clusters = MockClusterStore::new();
        clusters.expect_all().returning(|| {
            let named = |(i, name): (u8, &&str)| {
                let region = if i % 2 == 0 { "A" } else { "B" };
                let at = Instant::from_millis(u64::from(i)).unwrap();
                let id = ClusterId::from_bytes([i; 12]);
                Arc::new(Cluster::create(id, name.parse().unwrap(), region.parse().unwrap(), at))
            };
            Ok((0..).zip(&["web", "db", "cache", "web-2", "queue"]).map(named).collect())
        });
        let world = Arc::new(fixtures::world());
        ListClusters { world, clusters: Arc::new(clusters), tokens: Arc::new(PageTokens::new([1; 32])) }
    }

    async fn walk(order: &str, regions: &[&str], name: Option<&str>) -> Vec<String> {
        let (list, mut names, mut page_token) = (list(), Vec::new(), None);
        loop {
            let query = ClusterListQuery {
                regions: regions.iter().map(|code| code.parse().unwrap()).collect(),
                name: name.map(|name| name.parse().unwrap()),
                order: order.parse().unwrap(),
                page_size: 2,
                page_token,
            };
            let page = list.run(query).await.unwrap();
            names.extend(page.items.iter().map(|cluster| cluster.name.to_string()));
            page_token = page.next_page_token;
            if page_token.is_none() {
                return names;
            }
        }
    }

    #[tokio::test]
    async fn a_walk_meets_each_cluster_once_in_order() {
        assert_eq!(walk("created_at", &[], None).await, ["web", "db", "cache", "web-2", "queue"]);
        assert_eq!(walk("-created_at", &[], None).await, ["queue", "web-2", "cache", "db", "web"]);
        assert_eq!(walk("name", &[], None).await, ["cache", "db", "queue", "web", "web-2"]);
        assert_eq!(walk("-name", &["A"], None).await, ["web", "queue", "cache"]);
        assert_eq!(walk("name", &[], Some("web*")).await, ["web", "web-2"]);
        assert_eq!(walk("name", &["B"], Some("web")).await, [""; 0]);
    }
}
