//! Writing a world out.

use std::io::Write;
use std::sync::Arc;

use cloudm_domain::WorldName;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::read::io_error;
use super::write::Writer;
use crate::error::Error;
use crate::ports::{PartsToLoad, Store, StoreError};
use crate::worlds::clouds::Clouds;
use crate::worlds::refused;

/// Parts on their way to whoever writes them.
pub(super) const ON_THE_WAY: usize = 4;

/// Writes a world out.
pub struct ExportWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clouds: Arc<Clouds>,
}

impl ExportWorld {
    /// Writes the world, as it is at one moment with what was due, and gives `to` back.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::Settling`], [`Error::Store`].
    pub async fn run<W: Write + Send + 'static>(&self, name: &WorldName, to: W) -> Result<W, Error> {
        let cloud = self.clouds.open(name).await?;
        cloud.settler.settle_all(&cloud.view().await?).await?;
        let (parts, to_write) = mpsc::channel(ON_THE_WAY);
        let writing = spawn_blocking(move || write(to_write, to));
        let read = self.store.read_world(cloud.incarnation(), parts).await;
        let written = writing.await.map_err(|why| StoreError::Failed(why.to_string()))?;
        read.map_err(refused)?;
        written?.ok_or_else(|| StoreError::Failed("a world was not read to its end".into()).into())
    }
}

/// Writes parts; gives nothing back where they stop before their end.
fn write<W: Write>(mut parts: PartsToLoad, to: W) -> Result<Option<W>, Error> {
    let mut writer = Writer::new(to);
    while let Some(part) = parts.blocking_recv() {
        if writer.part(part).map_err(|why| io_error(&why))? {
            return Ok(Some(writer.into_inner()));
        }
    }
    Ok(None)
}
