//! Clusters: one use case a file.

mod create;
mod delete;
mod edit;
mod get;
mod list;

pub use create::{CreateCluster, NewCluster};
pub use delete::DeleteCluster;
pub use edit::EditCluster;
pub use get::GetCluster;
pub use list::{ClusterList, ClusterListQuery, ListClusters};

use cloudm_domain::{Catalogue, Cluster, Code};

use crate::error::Error;
use crate::idempotency::Stop;
use crate::ports::{ClusterCommitError, WorldView};

/// Fails where the catalogue has no such region.
pub(crate) fn check_region(catalogue: &Catalogue, code: &Code) -> Result<(), Error> {
    match catalogue.region(code.as_str()) {
        Some(_) => Ok(()),
        None => Err(Error::UnknownRegion(code.clone())),
    }
}

/// Fails where the region of one of these is out.
fn check_outage<const N: usize>(clusters: [&Cluster; N], view: &WorldView) -> Result<(), Error> {
    let out = |cluster: &&Cluster| view.world.rules.outage(Some(*cluster), view.now);
    clusters.iter().find_map(out).map_or(Ok(()), |down| Err(Error::StruckDown(down)))
}

/// What a failed commit means where trying again does not help.
fn stop(error: ClusterCommitError) -> Stop {
    match error {
        ClusterCommitError::KeyTaken => Stop::KeyTaken,
        ClusterCommitError::NameTaken => Error::NameTaken.into(),
        ClusterCommitError::TooMany => Error::TooManyClusters.into(),
        ClusterCommitError::NotEmpty => Error::ClusterNotEmpty.into(),
        ClusterCommitError::Conflict | ClusterCommitError::IdUsed | ClusterCommitError::NoPlace(_) => {
            Error::Contention.into()
        }
        ClusterCommitError::Store(error) => error.into(),
    }
}
