//! Listing fleet operations.

use std::sync::Arc;

use super::Fleet;
use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::FleetOperation;

/// A page of fleet operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationList {
    /// The operations, the last accepted first.
    pub items: Vec<FleetOperation>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
}

/// Lists fleet operations.
pub struct ListOperations {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) tokens: Arc<PageTokens>,
}

impl ListOperations {
    /// A page of the operations, the last accepted first.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], [`Error::Store`].
    pub async fn run(&self, page_size: usize, page_token: Option<String>) -> Result<OperationList, Error> {
        let world = self.fleet.commands.world.read().await?.world;
        let scope = format!("operations {}", world.incarnation);
        let before = page_token.map(|token| self.tokens.open::<u64>(&scope, &token)).transpose()?;
        let mut items = self.fleet.operations.list(before, page_size.saturating_add(1)).await?;
        let more = items.len() > page_size;
        items.truncate(page_size);
        let last = items.last().filter(|_| more).map(|last| last.number);
        let next_page_token = last.map(|number| self.tokens.seal(&scope, &number)).transpose()?;
        Ok(OperationList { items, next_page_token })
    }
}
