//! Making a world.

use std::sync::Arc;

use cloudm_domain::{Instant, Preset, Rate, Rules, Seed, Span, WorldName};

use super::clouds::Clouds;
use super::{asked, incarnation, is_made_by, refused};
use crate::error::Error;
use crate::ports::{Entropy, NewWorld, Store, WorldView, WorldsError};
use crate::writing::RequestKey;

/// What is asked of a new world; what is absent is chosen for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWorldRequest {
    /// Its name.
    pub name: WorldName,
    /// Its seed; else a random one.
    pub seed: Option<Seed>,
    /// Its first instant; else [`Instant::DEFAULT_START`].
    pub start: Option<Instant>,
    /// How fast its clock runs; else not at all.
    pub rate: Option<Rate>,
    /// How machines behave in it; else as [`Preset::Instant`].
    pub preset: Option<Preset>,
    /// How long a TERMINATED machine stays readable; else [`Rules::DEFAULT_RETENTION`].
    pub retention: Option<Span>,
}

/// Makes a world.
pub struct CreateWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clouds: Arc<Clouds>,
}

impl CreateWorld {
    /// Makes the world. Under the key that it was made with it is shown again, as it is then; says whether that is so.
    ///
    /// # Errors
    /// [`Error::WorldNameTaken`], [`Error::TooManyWorlds`], [`Error::IdempotencyMismatch`], [`Error::Store`].
    pub async fn run(&self, new: NewWorldRequest, key: Option<RequestKey>) -> Result<(WorldView, bool), Error> {
        let new = self.complete(new, key);
        let (name, asked) = (new.name.clone(), new.asked.clone());
        match self.store.create_world(new).await {
            Ok(ports) => Ok((ports.world.read().await?, false)),
            Err(WorldsError::NameTaken) => {
                let view = self.clouds.open(&name).await?.view().await?;
                if is_made_by(&view, asked.as_ref())? { Ok((view, true)) } else { Err(Error::WorldNameTaken) }
            }
            Err(error) => Err(refused(error)),
        }
    }

    fn complete(&self, new: NewWorldRequest, key: Option<RequestKey>) -> NewWorld {
        let random = || {
            let bytes = self.entropy.bytes();
            Seed::from_random(bytes.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
        };
        NewWorld {
            name: new.name,
            incarnation: incarnation(&*self.entropy),
            seed: new.seed.unwrap_or_else(random),
            start: Some(new.start.unwrap_or(Instant::DEFAULT_START)),
            rate: new.rate.unwrap_or(Rate::PAUSED),
            preset: new.preset.unwrap_or_default(),
            retention: new.retention.unwrap_or(Rules::DEFAULT_RETENTION),
            asked: asked(key),
        }
    }
}
