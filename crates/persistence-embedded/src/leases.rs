//! Who works on which fleet operation.

use std::collections::BTreeMap;

use cloudm_application::ports::{Lease, Runner};
use cloudm_domain::{OperationId, WallMillis};
use parking_lot::Mutex;

/// The leases of a world's operations. They are in memory: no other process has the directory, so what a process held is free
/// when it has died.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<OperationId, (Runner, WallMillis)>>);

impl Leases {
    /// Takes an operation, where nobody else has it now.
    pub(crate) fn take(&self, operation: OperationId, lease: &Lease) -> bool {
        let mut leases = self.0.lock();
        let others = |(runner, until): &(Runner, WallMillis)| *runner != lease.runner && *until > lease.wall;
        let free = !leases.get(&operation).is_some_and(others);
        if free {
            leases.insert(operation, (lease.runner, lease.until));
        }
        free
    }

    /// Makes a lease longer, also one that has run out; says no where the runner is not the last that took the operation.
    pub(crate) fn renew(&self, operation: OperationId, lease: &Lease) -> bool {
        match self.0.lock().get_mut(&operation) {
            Some((runner, until)) if *runner == lease.runner => {
                *until = lease.until;
                true
            }
            _ => false,
        }
    }

    /// Forgets who had an operation, which has ended.
    pub(crate) fn forget(&self, operation: OperationId) {
        self.0.lock().remove(&operation);
    }
}
