//! Changing a world.

use std::sync::Arc;

use cloudm_domain::{Span, WorldName};

use super::clouds::Clouds;
use crate::error::Error;
use crate::ports::WorldView;

/// Changes what of a world is not for ever.
pub struct EditWorld {
    pub(crate) clouds: Arc<Clouds>,
}

impl EditWorld {
    /// Changes how long machines stay readable that come to be TERMINATED from now on.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::TooManyRules`], [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, name: &WorldName, retention: Option<Span>) -> Result<WorldView, Error> {
        let cloud = self.clouds.open(name).await?;
        let view = cloud.view().await?;
        match retention {
            Some(retention) if *view.world.rules.retention.at(view.now) != retention => {
                cloud.records().change_rules(|rules| &mut rules.retention, retention).await
            }
            _ => Ok(view),
        }
    }
}
