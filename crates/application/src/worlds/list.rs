//! Listing worlds.

use std::sync::Arc;

use cloudm_domain::WorldName;

use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::{Store, WorldView};

use super::clouds::Clouds;

/// A page of worlds.
#[derive(Debug, Clone)]
pub struct WorldList {
    /// The worlds, in the order of their names.
    pub items: Vec<WorldView>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
}

/// Lists worlds.
pub struct ListWorlds {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clouds: Arc<Clouds>,
    pub(crate) tokens: Arc<PageTokens>,
}

const SCOPE: &str = "worlds";

impl ListWorlds {
    /// A page of worlds. One that goes meanwhile is left out.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], [`Error::Store`].
    pub async fn run(&self, page_size: usize, page_token: Option<String>) -> Result<WorldList, Error> {
        let after: Option<WorldName> = page_token.map(|token| self.tokens.open(SCOPE, &token)).transpose()?;
        let mut names = self.store.worlds(after, page_size.saturating_add(1)).await?;
        let more = names.len() > page_size;
        names.truncate(page_size);
        let next_page_token = match names.last() {
            Some(last) if more => Some(self.tokens.seal(SCOPE, last)?),
            _ => None,
        };
        let mut items = Vec::new();
        for name in names {
            match self.look(&name).await {
                Err(error) if error.is_gone() => {}
                view => items.push(view?),
            }
        }
        Ok(WorldList { items, next_page_token })
    }

    async fn look(&self, name: &WorldName) -> Result<WorldView, Error> {
        self.clouds.open(name).await?.view().await
    }
}
