//! The ways to write many machines, and fleet operations.

use cloudm_application::ports::{FleetBatch, FleetOperation, WorldPorts};
use cloudm_domain::{Cluster, FleetOutcome, FleetState, Machine, MachineId, Rules};
use cloudm_persistence_contract::builders::{
    FOREVER, answer, changed, create, decided, done, draft, ending, events, lease, made, operation, remove, touched,
};

use crate::writes::{KEY, Way, text};

/// A cluster with a machine, and maybe an operation, of which one write is tried.
pub(crate) struct Fleet<'a> {
    pub(crate) way: Way,
    pub(crate) web: &'a Cluster,
    pub(crate) machine: &'a Machine,
    pub(crate) rules: &'a Rules,
}

/// A machine that does not exist, which an operation decides all the same.
const OTHER: MachineId = MachineId::from_bytes([9; 12]);

impl Fleet<'_> {
    /// Makes what the write needs.
    pub(crate) async fn prepare(&self, ports: &WorldPorts) {
        ports.machines.commit(create(draft(self.web, "a").made(self.rules))).await.unwrap();
        let by = match self.way {
            Way::WorkMachines | Way::WorkDecisions | Way::WorkToTheEnd | Way::EndOperation | Way::PurgeOperations => {
                Some(lease(1, 0, FOREVER))
            }
            Way::ClaimOperation => None,
            _ => return,
        };
        ports.operations.accept(operation(1), by, None).await.unwrap();
        if self.way == Way::PurgeOperations {
            ports.operations.work(self.batch(false)).await.unwrap();
            ports.operations.end(operation(1).id, ending(50)).await.unwrap().unwrap();
        }
    }

    /// Some work, of machines or of decisions alone.
    fn batch(&self, machines: bool) -> FleetBatch {
        let mut entries = vec![decided(OTHER, FleetOutcome::Protected)];
        if machines {
            entries.insert(0, done(changed(self.machine, touched(self.machine, self.rules))));
            entries.insert(1, done(made(draft(self.web, "b").made(self.rules))));
        }
        let ending = (self.way == Way::WorkToTheEnd).then(|| ending(FOREVER));
        let FleetOperation { id, cursor, .. } = operation(1);
        FleetBatch { operation: id, lease: lease(1, 0, FOREVER), entries, cursor, ending, sizes: None }
    }

    /// Writes.
    pub(crate) async fn write(&self, ports: &WorldPorts) -> Result<(), String> {
        let operations = &ports.operations;
        match self.way {
            Way::ForgetMachine => text(ports.machines.commit(remove(self.machine, Vec::new())).await),
            Way::WriteMany => {
                let second = made(draft(self.web, "b").made(self.rules));
                let writes = vec![changed(self.machine, touched(self.machine, self.rules)), second];
                let written = ports.machines.commit_all(writes, None).await;
                text(written.map(|answers| assert!(answers.iter().all(Result::is_ok), "{answers:?}")))
            }
            Way::AcceptOperation => {
                let accepted = operations.accept(operation(1), None, Some(answer(KEY, FOREVER))).await;
                text(accepted.map(|one| assert_eq!(one.state, FleetState::Pending)))
            }
            Way::ClaimOperation => {
                let claimed = operations.claim(operation(1).id, lease(1, 0, 100)).await;
                text(claimed.map(|one| assert!(one.is_some())))
            }
            Way::WorkMachines | Way::WorkToTheEnd => {
                let worked = operations.work(self.batch(true)).await;
                text(worked.map(|worked| assert!(worked.entries.iter().all(Result::is_ok), "{worked:?}")))
            }
            Way::WorkDecisions => text(operations.work(self.batch(false)).await.map(drop)),
            Way::EndOperation => {
                let ended = operations.end(operation(1).id, ending(FOREVER)).await;
                text(ended.map(|ended| assert!(ended.unwrap().1, "it was this that ended it")))
            }
            Way::PurgeOperations => text(operations.purge(100, 10).await.map(drop)),
            _ => Err("it is no write of a fleet".into()),
        }
    }

    /// Looks whether the effect is there, once and whole.
    pub(crate) async fn check(&self, ports: &WorldPorts) {
        let forgotten = u64::from(self.way != Way::ForgetMachine);
        let many = [Way::WriteMany, Way::WorkMachines, Way::WorkToTheEnd].contains(&self.way);
        let (machines, versions) =
            if many { (2, 2 * self.machine.version + 1) } else { (forgotten, self.machine.version) };
        let counts = ports.machines.counts().await.unwrap();
        assert_eq!(counts.iter().map(|one| one.count).sum::<u64>(), machines);
        assert_eq!(ports.machines.get(self.machine.id).await.unwrap().is_some(), self.way != Way::ForgetMachine);
        let happened = ports.events.page(&events(None, None, 100)).await.unwrap().events;
        assert_eq!(happened.len() as u64, versions);
        let kept = ports.answers.get(KEY, 0).await.unwrap().is_some();
        assert_eq!(kept, self.way == Way::AcceptOperation);
        let found = ports.operations.get(operation(1).id).await.unwrap();
        let results = ports.operations.results(operation(1).id, None, 10).await.unwrap();
        let progress = found.as_ref().map(|found| (found.state, found.progress.done, found.progress.rejected));
        let (expected, decided) = match self.way {
            Way::AcceptOperation => (Some((FleetState::Pending, 0, 0)), 0),
            Way::ClaimOperation => (Some((FleetState::Running, 0, 0)), 0),
            Way::WorkMachines => (Some((FleetState::Running, 2, 1)), 3),
            Way::WorkToTheEnd => (Some((FleetState::Partial, 2, 1)), 3),
            Way::WorkDecisions => (Some((FleetState::Running, 0, 1)), 1),
            Way::EndOperation => (Some((FleetState::Succeeded, 0, 0)), 0),
            _ => (None, 0),
        };
        assert_eq!((progress, results.len()), (expected, decided));
    }
}
