//! Letting a world begin anew.

use std::sync::Arc;

use cloudm_domain::{Catalogue, WorldName};

use super::clouds::Clouds;
use super::scenario::{Anew, Stopped, load};
use super::{MAX_ATTEMPTS, asked, incarnation, is_made_by, refused};
use crate::error::Error;
use crate::ports::{Asked, Entropy, NewWorld, Scenario, Store, World, WorldPorts, WorldView, WorldsError};
use crate::writing::RequestKey;

/// Lets a world begin anew.
pub struct ResetWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clouds: Arc<Clouds>,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl ResetWorld {
    /// Gives the world back what was given when it was made, and nothing else. A fork begins where the world began that it
    /// is a fork of. A repeated request resets once; says whether it is one.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::IdempotencyMismatch`], [`Error::InvalidScenario`] where the scenario that made it does not fit
    /// the catalogue any more, [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, name: &WorldName, key: Option<RequestKey>) -> Result<(WorldView, bool), Error> {
        let asked = asked(key);
        for _ in 0..MAX_ATTEMPTS {
            let view = self.clouds.open(name).await?.view().await?;
            if is_made_by(&view, asked.as_ref())? {
                return Ok((view, true));
            }
            match self.replace(&view.world, asked.clone()).await? {
                Ok(ports) => return Ok((ports.world.read().await?, false)),
                // It was reset by another one meanwhile, or deleted.
                Err(WorldsError::Conflict) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::Contention)
    }

    async fn replace(&self, world: &World, asked: Option<Asked>) -> Result<Result<WorldPorts, WorldsError>, Error> {
        let Some(scenario) = &world.origin.scenario else {
            return Ok(self.store.replace_world(world.incarnation, self.anew(world, asked)).await);
        };
        let (store, entropy, catalogue) = (&*self.store, &*self.entropy, &*self.catalogue);
        let anew = Anew { store, entropy, catalogue, name: &world.name, old: world.incarnation, asked };
        // A fork may have another seed.
        let scenario = Scenario { seed: world.seed, ..Scenario::clone(scenario) };
        match load(anew, scenario).await {
            Ok(ports) => Ok(Ok(ports)),
            Err(Stopped::Worlds(error)) => Ok(Err(error)),
            Err(Stopped::Refused(error)) => Err(error),
        }
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
