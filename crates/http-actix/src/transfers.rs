//! The places for exports and imports: each keeps some memory as long as it is on its way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::codes::Code;
use crate::problem::Problem;

/// The most exports and imports of a server on their way.
const MAX_TRANSFERS: usize = 16;

/// The places for exports and imports.
#[derive(Clone)]
pub(crate) struct Transfers(Arc<Semaphore>);

impl Default for Transfers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TRANSFERS)))
    }
}

impl Transfers {
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full =
            |_| Problem::new(Code::TooManyTransfers, "there is no room for another transfer").retry_after(Some(2));
        self.0.clone().try_acquire_owned().map_err(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_they_are_given_back() {
        let transfers = Transfers::default();
        let held: Vec<_> = (0..MAX_TRANSFERS).map(|_| transfers.place().unwrap()).collect();
        assert_eq!(transfers.place().unwrap_err().code, Code::TooManyTransfers);
        drop(held);
        assert!(transfers.place().is_ok());
    }
}
