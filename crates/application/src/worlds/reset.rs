//! Letting a world begin anew.

use std::sync::Arc;

use cloudm_domain::WorldName;

use super::clouds::Clouds;
use super::{MAX_ATTEMPTS, asked, incarnation, is_made_by, refused};
use crate::error::Error;
use crate::ports::{Asked, Entropy, NewWorld, Store, World, WorldView, WorldsError};
use crate::writing::RequestKey;

/// Lets a world begin anew.
pub struct ResetWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clouds: Arc<Clouds>,
}

impl ResetWorld {
    /// Gives the world back what was given when it was made, and nothing else. A fork begins where the world began that it
    /// is a fork of. A repeated request resets once; says whether it is one.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::IdempotencyMismatch`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, name: &WorldName, key: Option<RequestKey>) -> Result<(WorldView, bool), Error> {
        let asked = asked(key);
        for _ in 0..MAX_ATTEMPTS {
            let view = self.clouds.open(name).await?.view().await?;
            if is_made_by(&view, asked.as_ref())? {
                return Ok((view, true));
            }
            match self.store.replace_world(view.world.incarnation, self.anew(&view.world, asked.clone())).await {
                Ok(ports) => return Ok((ports.world.read().await?, false)),
                // It was reset by another one meanwhile, or deleted.
                Err(WorldsError::Conflict) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::Contention)
    }

    fn anew(&self, world: &World, asked: Option<Asked>) -> NewWorld {
        NewWorld {
            name: world.name.clone(),
            incarnation: incarnation(&*self.entropy),
            seed: world.seed,
            start: world.origin.start,
            rate: world.origin.rate,
            preset: world.preset,
            retention: world.origin.retention,
            asked,
        }
    }
}
