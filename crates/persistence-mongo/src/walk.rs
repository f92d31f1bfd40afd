//! A walk through machines, over cursors of the database that stay open from page to page.
//!
//! To find each page anew is as good a plan, but it leaves the database to read less than its index ranges hold, and not
//! every server of its protocol does: there, what a walk takes would grow with the square of the fleet.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{MachinePage, MachineQuery, MachineWalk, StoreError};
use mongodb::ClientSession;
use tokio::time::timeout;

use crate::error::{overdue, store_error};
use crate::fork::PATIENCE;
use crate::list::{Listing, Places};
use crate::stream::Stream;
use crate::transaction::Stop;
use crate::world::OpenWorld;

/// The pages that are read from one opening. A cursor may show what it met as it was when it was opened, and this is how old
/// that may become.
const PAGES: usize = 256;

/// A walk.
pub(crate) struct Walk {
    listing: Listing,
    open: Option<Open>,
}

/// What stays open.
struct Open {
    session: ClientSession,
    streams: Vec<Stream>,
    pages: usize,
}

impl Walk {
    pub(crate) fn new(world: Arc<OpenWorld>, query: MachineQuery) -> Self {
        Self { listing: Listing { world, query }, open: None }
    }

    /// Opens it where it is not, and reads a page.
    async fn page(&mut self) -> Result<MachinePage, Stop<StoreError>> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.opened().await?,
        };
        let page = self.listing.page(&mut open.session, &mut open.streams, Places::default()).await?;
        open.pages += 1;
        self.open = Some(open).filter(|open| open.pages < PAGES && page.next.is_some());
        Ok(page)
    }

    async fn opened(&self) -> Result<Open, Stop<StoreError>> {
        let mut session = self.listing.world.base().database().client().start_session().await?;
        let streams = self.listing.open(&mut session).await?;
        Ok(Open { session, streams, pages: 0 })
    }
}

#[async_trait]
impl MachineWalk for Walk {
    async fn next(&mut self) -> Result<MachinePage, StoreError> {
        self.listing.world.base().check_open()?;
        let was_open = self.open.is_some();
        let page = timeout(PATIENCE, async {
            match self.page().await {
                // The database may have closed what was left open.
                Err(Stop::Failed(_)) if was_open => self.page().await,
                page => page,
            }
        });
        let page = page.await.map_err(|_| overdue())?.map_err(|stop| match stop {
            Stop::Refused(error) => error,
            Stop::Failed(error) | Stop::Undone(error) => store_error(&error),
            Stop::Again => overdue(),
        })?;
        self.listing.query.after.clone_from(&page.next);
        Ok(page)
    }
}
