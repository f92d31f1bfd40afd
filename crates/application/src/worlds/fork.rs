//! Copying a world.

use std::sync::Arc;

use cloudm_domain::{Seed, WorldName};

use super::clouds::Clouds;
use super::{MAX_ATTEMPTS, asked, incarnation, is_made_by, refused};
use crate::error::Error;
use crate::ports::{Entropy, ForkedWorld, Store, WorldView, WorldsError};
use crate::writing::RequestKey;

/// Copies a world.
pub struct ForkWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clouds: Arc<Clouds>,
}

impl ForkWorld {
    /// Makes a world that is what `source` is at this instant, with the same seed and so the same future, or with another
    /// one. Under the key that it was made with it is shown again; says whether that is so.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::WorldNameTaken`], [`Error::TooManyWorlds`], [`Error::IdempotencyMismatch`],
    /// [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        source: &WorldName,
        (name, seed): (WorldName, Option<Seed>),
        key: Option<RequestKey>,
    ) -> Result<(WorldView, bool), Error> {
        let asked = asked(key);
        for _ in 0..MAX_ATTEMPTS {
            let from = self.store.find_world(source).await?.ok_or(Error::NoSuchWorld)?.incarnation;
            let (name, asked) = (name.clone(), asked.clone());
            let fork = ForkedWorld {
                name: name.clone(),
                incarnation: incarnation(&*self.entropy),
                seed,
                asked: asked.clone(),
            };
            match self.store.fork_world(from, fork).await {
                Ok(ports) => return Ok((ports.world.read().await?, false)),
                // It was reset meanwhile, or deleted.
                Err(WorldsError::Conflict) => {}
                Err(WorldsError::NameTaken) => {
                    let view = self.clouds.open(&name).await?.view().await?;
                    return if is_made_by(&view, asked.as_ref())? {
                        Ok((view, true))
                    } else {
                        Err(Error::WorldNameTaken)
                    };
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::Contention)
    }
}
