//! Making a world of a scenario.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Incarnation, WorldName};
use tokio::sync::mpsc;

use super::build::{Built, Named, build};
use crate::error::Error;
use crate::ports::{Asked, Entropy, Part, Parts, Scenario, Store, WorldPorts, WorldView, WorldsError};
use crate::worlds::{incarnation, refused};

/// Machines, or events, of a part.
const IN_A_PART: usize = 1_000;

/// Parts that are on their way to the store.
const ON_THE_WAY: usize = 4;

/// Makes a world of a scenario.
pub struct PutScenario {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl PutScenario {
    /// Puts the world of a scenario in the place of the one of this name, or makes it where there is none; says whether it was
    /// made. Nothing is changed before all of it was found to make sense, and nobody sees the world before it is whole.
    ///
    /// # Errors
    /// [`Error::InvalidScenario`], [`Error::TooManyWorlds`], [`Error::Contention`] where the world was replaced or deleted
    /// meanwhile, [`Error::Store`].
    pub async fn run(&self, name: &WorldName, scenario: Scenario) -> Result<(WorldView, bool), Error> {
        let named = Named { name: name.clone(), incarnation: incarnation(&*self.entropy), asked: None };
        let built = build(scenario, named, &self.catalogue)?;
        let old = self.store.find_world(name).await?.map(|found| found.incarnation);
        match send(&*self.store, old, built).await {
            Ok(ports) => Ok((ports.world.read().await?, old.is_none())),
            // It was made, replaced or deleted meanwhile.
            Err(WorldsError::Conflict | WorldsError::NameTaken) => Err(Error::Contention),
            Err(error) => Err(refused(error)),
        }
    }
}

/// Whose world is made anew of a scenario, and what with.
pub(in crate::worlds) struct Anew<'a> {
    pub(in crate::worlds) store: &'a dyn Store,
    pub(in crate::worlds) entropy: &'a dyn Entropy,
    pub(in crate::worlds) catalogue: &'a Catalogue,
    pub(in crate::worlds) name: &'a WorldName,
    pub(in crate::worlds) old: Incarnation,
    pub(in crate::worlds) asked: Option<Asked>,
}

/// Lets a world begin anew that a scenario made.
pub(in crate::worlds) async fn load(anew: Anew<'_>, scenario: Scenario) -> Result<WorldPorts, Stopped> {
    let named = Named { name: anew.name.clone(), incarnation: incarnation(anew.entropy), asked: anew.asked };
    let built = build(scenario, named, anew.catalogue).map_err(Stopped::Refused)?;
    send(anew.store, Some(anew.old), built).await.map_err(Stopped::Worlds)
}

/// Why a world does not begin anew.
pub(in crate::worlds) enum Stopped {
    /// Its scenario makes no sense any more: the catalogue is another one.
    Refused(Error),
    /// The store has it so.
    Worlds(WorldsError),
}

async fn send(store: &dyn Store, old: Option<Incarnation>, built: Built) -> Result<WorldPorts, WorldsError> {
    let Built { world, clusters, machines, events } = built;
    let (parts, to_load) = mpsc::channel(ON_THE_WAY);
    let sending = async move {
        let machines = machines.chunks(IN_A_PART).map(|some| Part::Machines(some.to_vec()));
        let events = events.chunks(IN_A_PART).map(|some| Part::Events(some.to_vec()));
        give([Part::Clusters(clusters)].into_iter().chain(machines).chain(events).chain([Part::End]), &parts).await;
    };
    tokio::join!(store.load_world(old, world, to_load), sending).0
}

/// Gives parts away, as long as somebody takes them.
async fn give(all: impl Iterator<Item = Part> + Send, to: &Parts) {
    for part in all {
        if to.send(part).await.is_err() {
            return;
        }
    }
}
