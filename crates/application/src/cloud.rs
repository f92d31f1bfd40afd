//! One world's use cases, wired.

use std::sync::Arc;

use cloudm_domain::Catalogue;

use crate::background::Background;
use crate::clusters::{CreateCluster, DeleteCluster, EditCluster, GetCluster, ListClusters};
use crate::events::ListEvents;
use crate::idempotency::Answers;
use crate::machines::{
    CreateMachine, DeleteMachine, EditMachine, GetMachine, ListMachines, MachineCommands, OperateMachine,
};
use crate::paging::PageTokens;
use crate::ports::WorldPorts;
use crate::settler::Settler;
use crate::stripes::Stripes;

/// The simulated cloud of one world: everything a client can ask of it.
pub struct Cloud {
    catalogue: Arc<Catalogue>,
    /// Makes a cluster.
    pub create_cluster: CreateCluster,
    /// Reads a cluster.
    pub get_cluster: GetCluster,
    /// Lists clusters.
    pub list_clusters: ListClusters,
    /// Renames or moves a cluster.
    pub edit_cluster: EditCluster,
    /// Deletes a cluster.
    pub delete_cluster: DeleteCluster,
    /// Makes a machine.
    pub create_machine: CreateMachine,
    /// Reads a machine.
    pub get_machine: GetMachine,
    /// Lists machines.
    pub list_machines: ListMachines,
    /// Changes a machine's name, tags and protection.
    pub edit_machine: EditMachine,
    /// Asks an operation of a machine.
    pub operate_machine: OperateMachine,
    /// Deletes a machine.
    pub delete_machine: DeleteMachine,
    /// Lists events.
    pub list_events: ListEvents,
    /// Writes what is due; a test calls it by hand.
    pub settler: Settler,
    /// What a server runs beside the requests.
    pub background: Background,
}

impl Cloud {
    /// The use cases over these ports. `token_key` is the store's.
    pub fn new(ports: WorldPorts, catalogue: Arc<Catalogue>, token_key: [u8; 32]) -> Self {
        let WorldPorts { world, clusters, machines, events, answers: kept } = ports;
        let answers = Arc::new(Answers::new(world.clone(), kept.clone()));
        let settler = Settler::new(world.clone(), machines.clone());
        let commands =
            Arc::new(MachineCommands::new(world.clone(), machines.clone(), answers.clone(), settler.clone()));
        let tokens = Arc::new(PageTokens::new(token_key));
        let stripes = Arc::new(Stripes::new());
        Self {
            create_cluster: CreateCluster {
                world: world.clone(),
                clusters: clusters.clone(),
                answers,
                catalogue: catalogue.clone(),
            },
            get_cluster: GetCluster { clusters: clusters.clone() },
            list_clusters: ListClusters { world: world.clone(), clusters: clusters.clone(), tokens: tokens.clone() },
            edit_cluster: EditCluster {
                world: world.clone(),
                clusters: clusters.clone(),
                catalogue: catalogue.clone(),
                stripes: stripes.clone(),
            },
            delete_cluster: DeleteCluster {
                world: world.clone(),
                clusters: clusters.clone(),
                machines: machines.clone(),
                settler: settler.clone(),
                stripes,
            },
            create_machine: CreateMachine { commands: commands.clone(), clusters, catalogue: catalogue.clone() },
            get_machine: GetMachine { world: world.clone(), machines: machines.clone() },
            list_machines: ListMachines {
                world: world.clone(),
                machines,
                events: events.clone(),
                settler: settler.clone(),
                tokens: tokens.clone(),
            },
            edit_machine: EditMachine { commands: commands.clone() },
            operate_machine: OperateMachine { commands: commands.clone(), catalogue: catalogue.clone() },
            delete_machine: DeleteMachine { commands: commands.clone() },
            list_events: ListEvents { commands, events, tokens },
            background: Background { world, answers: kept, settler: settler.clone() },
            settler,
            catalogue,
        }
    }

    /// The regions and machine types that exist.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}
