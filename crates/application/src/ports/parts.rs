//! What a world holds, part by part.

use std::sync::Arc;

use cloudm_domain::{Cluster, Instant, Machine, MachineEvent};
use tokio::sync::mpsc;

use super::{GoneCluster, World};

/// A part of what a world holds. They come in the order of the variants.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Its record, and what its clock says.
    World(Box<World>, Instant),
    /// Clusters, in the order of their creation.
    Clusters(Vec<Arc<Cluster>>),
    /// Clusters that were deleted, in the order of their ids.
    GoneClusters(Vec<GoneCluster>),
    /// Machines as they were last written, in the order of their ids.
    Machines(Vec<Machine>),
    /// Events, in the order in which they were committed.
    Events(Vec<MachineEvent>),
    /// There is no more.
    End,
}

/// Where parts go.
pub type Parts = mpsc::Sender<Part>;

/// Where parts come from.
pub type PartsToLoad = mpsc::Receiver<Part>;
