//! Deleting a world.

use std::sync::Arc;

use cloudm_domain::WorldName;

use super::{MAX_ATTEMPTS, refused};
use crate::error::Error;
use crate::ports::{Store, WorldsError};

/// Deletes a world.
pub struct DeleteWorld {
    pub(crate) store: Arc<dyn Store>,
}

impl DeleteWorld {
    /// Deletes the world with all that is in it. `default` always exists.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::DefaultWorld`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, name: &WorldName) -> Result<(), Error> {
        if *name == WorldName::default_world() {
            return Err(Error::DefaultWorld);
        }
        for _ in 0..MAX_ATTEMPTS {
            let old = self.store.find_world(name).await?.ok_or(Error::NoSuchWorld)?.incarnation;
            match self.store.delete_world(name, old).await {
                // It was reset meanwhile, or deleted.
                Err(WorldsError::Conflict) => {}
                deleted => return deleted.map_err(refused),
            }
        }
        Err(Error::Contention)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{FoundWorld, MockStore};
    use cloudm_domain::Incarnation;

    #[tokio::test]
    async fn the_world_default_is_not_deleted() {
        let delete = DeleteWorld { store: Arc::new(MockStore::new()) };
        assert!(matches!(delete.run(&WorldName::default_world()).await, Err(Error::DefaultWorld)));
    }

    #[tokio::test]
    async fn a_world_that_was_reset_meanwhile_is_deleted_all_the_same() {
        let mut store = MockStore::new();
        let mut lives = [1, 2].into_iter();
        store.expect_find_world().times(2).returning(move |_| {
            let incarnation = Incarnation::from_bytes([lives.next().unwrap(); 12]);
            Ok(Some(FoundWorld { incarnation, request_faults: false }))
        });
        store.expect_delete_world().times(2).returning(|_, old| {
            if old == Incarnation::from_bytes([1; 12]) { Err(WorldsError::Conflict) } else { Ok(()) }
        });
        DeleteWorld { store: Arc::new(store) }.run(&"test".parse().unwrap()).await.unwrap();
    }
}
