//! How often faults matched.

use async_trait::async_trait;
use cloudm_domain::FaultId;

use super::StoreError;

/// How often a fault matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultMatches {
    /// The fault.
    pub fault: FaultId,
    /// How often, also where it let the match pass.
    pub matches: u64,
    /// How often it struck.
    pub struck: u64,
}

/// As what a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestCounted {
    /// As one for which it is drawn whether the fault matches.
    Drawn,
    /// As one that it matches.
    Matched,
}

/// How often the faults of a world matched.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait FaultStore: Send + Sync {
    /// How often faults matched machines, as the history tells: each event of a match counts once. None of which there is none; in
    /// no order.
    ///
    /// MUST be exact: what a commit tells is counted with it or not at all. A fork MUST begin with what its source had, and a world
    /// that is loaded with what its events tell. MUST NOT cost more with more machines or a longer history.
    async fn matches(&self) -> Result<Vec<FaultMatches>, StoreError>;

    /// Counts a request for a fault; gives how many were counted so before.
    ///
    /// Of calls that race, no two MUST be given the same number. Forks and worlds that are loaded begin anew.
    async fn count_request(&self, fault: FaultId, counted: RequestCounted) -> Result<u64, StoreError>;

    /// How often faults matched requests. None of which there is none; in no order.
    async fn requests(&self) -> Result<Vec<(FaultId, u64)>, StoreError>;
}
