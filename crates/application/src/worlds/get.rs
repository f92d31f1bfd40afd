//! Reading a world.

use std::sync::Arc;

use cloudm_domain::WorldName;

use super::clouds::Clouds;
use crate::error::Error;
use crate::ports::WorldView;

/// Reads a world.
pub struct GetWorld {
    pub(crate) clouds: Arc<Clouds>,
}

impl GetWorld {
    /// The world as it is now.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::Store`].
    pub async fn run(&self, name: &WorldName) -> Result<WorldView, Error> {
        self.clouds.open(name).await?.view().await
    }
}
