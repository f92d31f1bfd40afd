//! Worlds: one use case a file, and [`Worlds`], which holds them.

mod clouds;
mod create;
mod delete;
mod edit;
mod fork;
mod get;
mod list;
mod reset;
mod scenario;
mod snapshot;

use std::sync::Arc;

use cloudm_domain::{Catalogue, Incarnation, WorldName};

pub use create::{CreateWorld, NewWorldRequest};
pub use delete::DeleteWorld;
pub use edit::EditWorld;
pub use fork::ForkWorld;
pub use get::GetWorld;
pub use list::{ListWorlds, WorldList};
pub use reset::ResetWorld;
pub use scenario::{GetScenario, PutScenario};
pub use snapshot::{ExportWorld, ImportWorld};

use self::clouds::Clouds;
use crate::cloud::{Cloud, Common};
use crate::error::Error;
use crate::ports::{Asked, Entropy, NewWorld, Runner, Store, StoreError, WorldView, WorldsError};
use crate::writing::RequestKey;

/// The worlds of a store, and what can be done with them.
pub struct Worlds {
    clouds: Arc<Clouds>,
    /// Makes a world.
    pub create: CreateWorld,
    /// Reads a world.
    pub get: GetWorld,
    /// Lists worlds.
    pub list: ListWorlds,
    /// Changes a world's retention.
    pub edit: EditWorld,
    /// Deletes a world.
    pub delete: DeleteWorld,
    /// Lets a world begin anew.
    pub reset: ResetWorld,
    /// Copies a world.
    pub fork: ForkWorld,
    /// Writes a world out.
    pub export: ExportWorld,
    /// Reads a world in.
    pub import: ImportWorld,
    /// Makes a world of a scenario.
    pub put_scenario: PutScenario,
    /// Gives a world as a scenario.
    pub get_scenario: GetScenario,
}

impl Worlds {
    /// The worlds of this store. `default` is made where it is not there yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
        catalogue: Arc<Catalogue>,
        default: NewWorld,
    ) -> Result<Self, StoreError> {
        store.ensure_world(default).await?;
        let common = Common::new(catalogue.clone(), store.page_token_key().await?, Runner(entropy.bytes()));
        let tokens = common.tokens.clone();
        let clouds = Arc::new(Clouds::new(store.clone(), common));
        Ok(Self {
            create: CreateWorld { store: store.clone(), entropy: entropy.clone(), clouds: clouds.clone() },
            get: GetWorld { clouds: clouds.clone() },
            list: ListWorlds { store: store.clone(), clouds: clouds.clone(), tokens },
            edit: EditWorld { clouds: clouds.clone() },
            delete: DeleteWorld { store: store.clone() },
            reset: ResetWorld {
                store: store.clone(),
                entropy: entropy.clone(),
                clouds: clouds.clone(),
                catalogue: catalogue.clone(),
            },
            fork: ForkWorld { store: store.clone(), entropy: entropy.clone(), clouds: clouds.clone() },
            export: ExportWorld { store: store.clone(), clouds: clouds.clone() },
            import: ImportWorld { store: store.clone(), entropy: entropy.clone() },
            put_scenario: PutScenario { store, entropy, catalogue },
            get_scenario: GetScenario { clouds: clouds.clone() },
            clouds,
        })
    }

    /// The cloud of a world.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::Store`].
    pub async fn cloud(&self, name: &WorldName) -> Result<Arc<Cloud>, Error> {
        self.clouds.open(name).await
    }

    /// The cloud of a world for a request of the simulated cloud, and whether there may be faults on such.
    ///
    /// # Errors
    /// [`Error::NoSuchWorld`], [`Error::Store`].
    pub async fn cloud_for_request(&self, name: &WorldName) -> Result<(Arc<Cloud>, bool), Error> {
        self.clouds.open_for_request(name).await
    }

    /// Does what a server does without being asked, for all worlds that are in use, until it is dropped.
    pub async fn run(&self) {
        self.clouds.run().await;
    }
}

/// How often a change of a world is tried anew because it was replaced meanwhile.
const MAX_ATTEMPTS: usize = 8;

fn incarnation(entropy: &dyn Entropy) -> Incarnation {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&entropy.bytes()[..12]);
    Incarnation::from_bytes(bytes)
}

fn asked(key: Option<RequestKey>) -> Option<Asked> {
    key.map(|RequestKey { key, fingerprint }| Asked { key, fingerprint })
}

/// Whether the world was made by this very request, which is repeated then.
fn is_made_by(view: &WorldView, asked: Option<&Asked>) -> Result<bool, Error> {
    match (&view.world.asked, asked) {
        (Some(made_by), Some(asked)) if made_by.key == asked.key => {
            if made_by == asked {
                Ok(true)
            } else {
                Err(Error::IdempotencyMismatch)
            }
        }
        _ => Ok(false),
    }
}

fn refused(error: WorldsError) -> Error {
    match error {
        WorldsError::NameTaken => Error::WorldNameTaken,
        WorldsError::TooMany => Error::TooManyWorlds,
        WorldsError::Conflict => Error::NoSuchWorld,
        WorldsError::Store(error) => error.into(),
    }
}
