//! One world's use cases, wired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloudm_domain::{Catalogue, Incarnation, Instant};

use crate::background::Background;
use crate::behaviour::{GetBehaviour, SetBehaviour};
use crate::bell::Bell;
use crate::capacity::{GetCapacity, SetCapacity};
use crate::clock::{Advance, GetClock, RunUntilIdle, SetRate};
use crate::clusters::{CreateCluster, DeleteCluster, EditCluster, GetCluster, ListClusters};
use crate::digest::GetDigest;
use crate::error::Error;
use crate::events::{FollowEvents, ListEvents, Matcher};
use crate::faults::{GetFaults, SetFaults, StrikeRequest};
use crate::idempotency::Answers;
use crate::machines::{
    CreateMachine, DeleteMachine, EditMachine, GetMachine, ImportMachines, ListMachines, MachineCommands,
    OperateMachine, PastMachines, WaitForMachine,
};
use crate::operations::{
    CancelOperation, Fleet, GetOperation, ListOperations, OperationResults, StartOperation, WaitForOperation,
};
use crate::paging::PageTokens;
use crate::ports::{Runner, WorldPorts, WorldStore, WorldView};
use crate::records::Records;
use crate::schedule::{GetSchedule, SetSchedule};
use crate::scorecard::GetScorecard;
use crate::settler::Settler;
use crate::stats::GetStats;
use crate::stripes::Stripes;
use crate::watched::Watched;

/// The simulated cloud of one world: everything a client can ask of it.
pub struct Cloud {
    incarnation: Incarnation,
    world: Arc<Watched>,
    records: Arc<Records>,
    used: AtomicBool,
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
    /// Sees machines as they were.
    pub past_machines: PastMachines,
    /// Changes a machine's name, tags and protection.
    pub edit_machine: EditMachine,
    /// Asks an operation of a machine.
    pub operate_machine: OperateMachine,
    /// Makes many machines.
    pub import_machines: ImportMachines,
    /// Counts machines.
    pub get_stats: GetStats,
    /// Starts a fleet operation.
    pub start_operation: StartOperation,
    /// Reads a fleet operation.
    pub get_operation: GetOperation,
    /// Lists fleet operations.
    pub list_operations: ListOperations,
    /// Reads the results of a fleet operation.
    pub operation_results: OperationResults,
    /// Waits for a fleet operation to end.
    pub wait_for_operation: WaitForOperation,
    /// Cancels a fleet operation.
    pub cancel_operation: CancelOperation,
    /// Deletes a machine.
    pub delete_machine: DeleteMachine,
    /// Waits for a machine to come to a state.
    pub wait_for_machine: WaitForMachine,
    /// Follows events.
    pub follow_events: FollowEvents,
    /// Lists events.
    pub list_events: ListEvents,
    /// Reads the clock.
    pub get_clock: GetClock,
    /// Sets how fast the clock runs.
    pub set_rate: SetRate,
    /// Moves the clock.
    pub advance: Arc<Advance>,
    /// Moves the clock until nothing is on its way.
    pub run_until_idle: RunUntilIdle,
    /// Reads how machines behave.
    pub get_behaviour: GetBehaviour,
    /// Changes how machines behave.
    pub set_behaviour: SetBehaviour,
    /// Reads what the world has room for.
    pub get_capacity: GetCapacity,
    /// Changes what it has room for.
    pub set_capacity: SetCapacity,
    /// Reads the schedule.
    pub get_schedule: GetSchedule,
    /// Changes the schedule.
    pub set_schedule: SetSchedule,
    /// Reads the faults.
    pub get_faults: GetFaults,
    /// Changes them.
    pub set_faults: SetFaults,
    /// Lets them strike requests.
    pub strike_request: StrikeRequest,
    /// Keeps the score of its fleets.
    pub get_scorecard: GetScorecard,
    /// Tells the digest of the history.
    pub get_digest: GetDigest,
    /// Writes what is due; a test calls it by hand.
    pub settler: Settler,
    /// What a server runs beside the requests.
    pub(crate) background: Background,
    /// Works off fleet operations.
    pub(crate) fleet: Arc<Fleet>,
}

/// What the clouds of all worlds share.
pub(crate) struct Common {
    catalogue: Arc<Catalogue>,
    pub(crate) tokens: Arc<PageTokens>,
    machine_stripes: Arc<Stripes>,
    cluster_stripes: Arc<Stripes>,
    runner: Runner,
}

impl Common {
    /// `token_key` is the store's; `runner` is who works on fleet operations.
    pub(crate) fn new(catalogue: Arc<Catalogue>, token_key: [u8; 32], runner: Runner) -> Self {
        let stripes = || Arc::new(Stripes::new());
        let tokens = Arc::new(PageTokens::new(token_key));
        Self { catalogue, tokens, machine_stripes: stripes(), cluster_stripes: stripes(), runner }
    }
}

impl Cloud {
    /// The use cases over these ports.
    pub(crate) fn new(ports: WorldPorts, common: &Common) -> Self {
        let WorldPorts { incarnation, world, clusters, machines, events, answers: kept, operations, faults } = ports;
        let watched = Arc::new(Watched::new(world));
        let world: Arc<dyn WorldStore> = watched.clone();
        let answers = Arc::new(Answers::new(world.clone(), kept.clone()));
        let settler = Settler::new(world.clone(), machines.clone());
        let commands = Arc::new(MachineCommands::new(
            (world.clone(), machines.clone(), faults.clone()),
            answers.clone(),
            settler.clone(),
            common.machine_stripes.clone(),
        ));
        let (tokens, stripes, catalogue) =
            (common.tokens.clone(), common.cluster_stripes.clone(), common.catalogue.clone());
        let records = Arc::new(Records::new(world.clone()));
        let fleet =
            Arc::new(Fleet::new(commands.clone(), clusters.clone(), operations, settler.clone(), common.runner));
        let wait_for_operation = WaitForOperation { fleet: fleet.clone() };
        let advance = Arc::new(Advance {
            records: records.clone(),
            machines: machines.clone(),
            events: events.clone(),
            settler: settler.clone(),
            answers: answers.clone(),
            fleet: fleet.clone(),
        });
        let matcher = Matcher { clusters: clusters.clone(), machines: machines.clone(), events: events.clone() };
        let wait_for_machine = WaitForMachine {
            world: world.clone(),
            machines: machines.clone(),
            bell: Bell::new(world.clone(), events.clone()),
        };
        let get_capacity = GetCapacity { world: world.clone(), machines: machines.clone(), settler: settler.clone() };
        Self {
            get_clock: GetClock { world: world.clone(), machines: machines.clone(), settler: settler.clone() },
            set_rate: SetRate { records: records.clone(), machines: machines.clone() },
            run_until_idle: RunUntilIdle { advance: advance.clone() },
            advance,
            get_behaviour: GetBehaviour { world: world.clone() },
            set_behaviour: SetBehaviour { records: records.clone() },
            set_capacity: SetCapacity {
                records: records.clone(),
                catalogue: catalogue.clone(),
                get: get_capacity.clone(),
            },
            get_capacity,
            get_schedule: GetSchedule { world: world.clone() },
            set_schedule: SetSchedule {
                records: records.clone(),
                catalogue: catalogue.clone(),
                answers: answers.clone(),
            },
            get_faults: GetFaults { world: world.clone(), faults: faults.clone(), settler: settler.clone() },
            set_faults: SetFaults { records: records.clone(), catalogue: catalogue.clone(), answers: answers.clone() },
            strike_request: StrikeRequest { world: world.clone(), faults },
            get_scorecard: GetScorecard {
                world: world.clone(),
                clusters: clusters.clone(),
                events: events.clone(),
                catalogue: catalogue.clone(),
                settler: settler.clone(),
            },
            get_digest: GetDigest { world: world.clone(), events: events.clone(), settler: settler.clone() },
            get_stats: GetStats { world: world.clone(), machines: machines.clone(), settler: settler.clone() },
            start_operation: StartOperation {
                fleet: fleet.clone(),
                answers: answers.clone(),
                catalogue: catalogue.clone(),
                wait: wait_for_operation.clone(),
            },
            get_operation: GetOperation { fleet: fleet.clone() },
            list_operations: ListOperations { fleet: fleet.clone(), tokens: tokens.clone() },
            operation_results: OperationResults { fleet: fleet.clone(), tokens: tokens.clone() },
            wait_for_operation,
            cancel_operation: CancelOperation { fleet: fleet.clone() },
            import_machines: ImportMachines {
                commands: commands.clone(),
                clusters: clusters.clone(),
                catalogue: catalogue.clone(),
            },
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
                machines: machines.clone(),
                settler: settler.clone(),
            },
            delete_cluster: DeleteCluster {
                world: world.clone(),
                clusters: clusters.clone(),
                machines: machines.clone(),
                settler: settler.clone(),
                stripes,
            },
            past_machines: PastMachines {
                world: world.clone(),
                clusters: clusters.clone(),
                machines: machines.clone(),
                events: events.clone(),
                tokens: tokens.clone(),
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
            wait_for_machine,
            follow_events: FollowEvents {
                commands: commands.clone(),
                events: events.clone(),
                matcher: matcher.clone(),
            },
            list_events: ListEvents { commands, events, tokens, matcher },
            background: Background {
                world: world.clone(),
                answers: kept,
                settler: settler.clone(),
                fleet: fleet.clone(),
            },
            fleet,
            settler,
            catalogue,
            incarnation,
            world: watched,
            records,
            used: AtomicBool::new(true),
        }
    }

    /// The world as it is now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn view(&self) -> Result<WorldView, Error> {
        Ok(self.world.read().await?)
    }

    /// How often the clock was read.
    pub fn reads(&self) -> u64 {
        self.world.reads()
    }

    /// What the clock has said since it had been read so often; it is read where it was not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn now_since(&self, reads: u64) -> Result<Instant, Error> {
        match self.world.latest() {
            Some(latest) if self.reads() > reads => Ok(latest),
            _ => Ok(self.world.read().await?.now),
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) fn clusters(&self) -> &dyn crate::ports::ClusterStore {
        &*self.get_cluster.clusters
    }

    pub(crate) fn machines(&self) -> &dyn crate::ports::MachineStore {
        &*self.get_machine.machines
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    pub(crate) fn use_it(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was asked last.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The regions and machine types that exist.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}
