//! Making the machines of a fleet operation.

use std::sync::Arc;

use cloudm_domain::{Cluster, FleetOutcome, Machine, MachineId, NewMachine, Outcome};

use super::Fleet;
use super::fleet::{Decided, noted, outcome_of, refusal, without_place};
use crate::error::Error;
use crate::ports::{
    CommitError, Cursor, FleetEntry, FleetOperation, FleetResult, FleetTemplate, MachineWrite, WorldView,
};

/// How often the machines of a batch are tried. Each time is another id for those whose id was used before: by a machine that the
/// same template made in the same second, and that has gone.
const MAX_TRIALS: usize = 10_000;

/// A machine to make, and which of its ids is tried.
#[derive(Clone, Copy)]
struct Trial {
    number: u32,
    k: u32,
}

impl Fleet {
    /// Makes at most so many more machines of a template, of which some are made.
    pub(super) async fn make(
        &self,
        operation: &FleetOperation,
        template: &FleetTemplate,
        (made, most): (u32, usize),
    ) -> Result<Option<FleetOperation>, Error> {
        let (mut view, mut turn) = self.commands.deciding(None).await?;
        let cluster = self.cluster_for_faults(template, &view).await?;
        let cluster = cluster.as_deref();
        let until = template.count.min(made.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)));
        let (cursor, last) = (Cursor::Made(until), until >= template.count);
        let mut trials: Vec<_> = (made..until).map(|number| Trial { number, k: 0 }).collect();
        let try_to = |trial: &Trial, view: &WorldView| creation(operation, (template, cluster), *trial, view);
        let mut entries = Vec::with_capacity(trials.len());
        for trial in &trials {
            entries.push(noted(try_to(trial, &view), &mut view));
        }
        let mut waited = false;
        for _ in 0..MAX_TRIALS {
            let decided = Decided { entries, cursor: cursor.clone(), last };
            let Some(written) = self.write_once(operation, decided, &view).await? else { return Ok(None) };
            if written.refused.is_empty() {
                return Ok(Some(written.operation));
            }
            (view, turn) = self.commands.deciding(turn).await?;
            let full = !waited && self.wait_for_places(&written.refused, &view).await?;
            let mut again = Vec::with_capacity(written.refused.len());
            entries = Vec::with_capacity(written.refused.len());
            for (at, error) in written.refused {
                let Some(trial) = trials.get(at).copied() else { continue };
                let (trial, entry) = match error {
                    CommitError::NoPlace if waited => (trial, without_place(try_to(&trial, &view), &view)),
                    error => self.try_again(operation, (template, cluster), (trial, error), &view).await?,
                };
                again.push(trial);
                entries.push(noted(entry, &mut view));
            }
            trials = again;
            waited |= full;
        }
        Err(Error::Contention)
    }

    /// The cluster to make machines in, where faults may ask where it is.
    async fn cluster_for_faults(
        &self,
        template: &FleetTemplate,
        view: &WorldView,
    ) -> Result<Option<Arc<Cluster>>, Error> {
        if view.world.rules.faults.is_empty() {
            return Ok(None);
        }
        Ok(self.clusters.get(template.cluster).await?)
    }

    /// What is tried where a machine could not be made: its next id, or once more where its name has become free.
    async fn try_again(
        &self,
        operation: &FleetOperation,
        (template, cluster): (&FleetTemplate, Option<&Cluster>),
        (trial, error): (Trial, CommitError),
        view: &WorldView,
    ) -> Result<(Trial, FleetEntry), Error> {
        let next = match &error {
            CommitError::NoPlace | CommitError::Miscounted => Some(trial),
            CommitError::IdUsed => Some(Trial { k: trial.k.saturating_add(1), ..trial }),
            CommitError::NameTaken => match template.name.name(number_in_name(trial.number)) {
                Ok(name) => self.commands.free_name(template.cluster, &name, view).await?.then_some(trial),
                Err(_) => None,
            },
            _ => None,
        };
        Ok(match next {
            Some(next) => (next, creation(operation, (template, cluster), next, view)),
            None => (trial, refusal(id(operation, template, trial, view), outcome_of(&error))),
        })
    }
}

/// Numbers in names begin with 1.
pub(super) fn number_in_name(number: u32) -> u32 {
    number.saturating_add(1)
}

/// The id of a machine: of the second in which the operation was accepted, so that whoever takes it up finds the same.
fn id(operation: &FleetOperation, template: &FleetTemplate, trial: Trial, view: &WorldView) -> MachineId {
    let at = operation.accepted.at;
    MachineId::in_batch(view.world.seed, template.cluster, template.name.as_str(), at, (trial.k, trial.number))
}

fn creation(
    operation: &FleetOperation,
    (template, cluster): (&FleetTemplate, Option<&Cluster>),
    trial: Trial,
    view: &WorldView,
) -> FleetEntry {
    let machine = id(operation, template, trial, view);
    // That every number makes a name was seen when the operation was accepted.
    let Ok(name) = template.name.name(number_in_name(trial.number)) else {
        return refusal(machine, FleetOutcome::NameTaken);
    };
    let new = NewMachine {
        id: machine,
        cluster_id: template.cluster,
        name,
        machine_type: template.machine_type.clone(),
        tags: template.tags.clone(),
        protection: template.protection,
        start: template.start,
    };
    let Outcome { machine: made, events, struck_down, .. } =
        Machine::create_in(new, cluster, view.now.max(operation.accepted.at), &view.world.rules);
    let outcome = struck_down.as_ref().map_or(FleetOutcome::Done, |down| down.outcome());
    let write = MachineWrite { before: None, after: struck_down.is_none().then_some(made), events };
    FleetEntry { result: FleetResult { machine, outcome }, write: Some(write) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::operations::walk::Ahead;
    use crate::ports::{FleetBatch, FleetWork, FleetWorked, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{Preset, Protection, Tags};

    fn template() -> FleetTemplate {
        FleetTemplate {
            count: 3,
            name: "web-{n}".parse().unwrap(),
            cluster: fixtures::cluster().id,
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start: true,
        }
    }

    fn names(batch: &FleetBatch) -> Vec<String> {
        let made = batch.entries.iter().filter_map(|entry| entry.write.as_ref()?.after.as_ref());
        made.map(|machine| machine.name.to_string()).collect()
    }

    async fn make(machines: MockMachineStore, operations: MockOperationStore) -> Option<FleetOperation> {
        let world = fixtures::world_of(Preset::Realistic, "10m");
        let fleet = fixtures::fleet(world, machines, MockClusterStore::new(), operations);
        let operation = fixtures::operation(FleetWork::Create(template()));
        fleet.step(operation, 100, &mut Ahead::default()).await.unwrap()
    }

    fn worked(batch: &FleetBatch, refused: impl Fn(usize) -> Option<CommitError>) -> FleetWorked {
        let operation = fixtures::operation(FleetWork::Create(template()));
        let entries = (0..batch.entries.len()).map(|at| refused(at).map_or(Ok(()), Err)).collect();
        FleetWorked { operation, entries }
    }

    #[tokio::test]
    async fn each_number_makes_a_machine_of_its_own_name() {
        let mut operations = MockOperationStore::new();
        operations
            .expect_work()
            .once()
            .withf(|batch| {
                let ids: Vec<_> = batch.entries.iter().map(|entry| entry.result.machine.number_in_batch()).collect();
                ids == [0, 1, 2] && names(batch) == ["web-1", "web-2", "web-3"] && batch.cursor == Cursor::Made(3)
            })
            .returning(|batch| Ok(worked(&batch, |_| None)));
        assert!(make(MockMachineStore::new(), operations).await.is_some());
    }

    #[tokio::test]
    async fn machines_without_a_place_are_refused_and_told() {
        let mut machines = MockMachineStore::new();
        machines.expect_due().once().returning(|_, _| Ok(vec![]));
        let mut operations = MockOperationStore::new();
        let mut batches = 0;
        operations.expect_work().times(3).returning(move |batch| {
            batches += 1;
            let told = |entry: &FleetEntry| entry.write.as_ref().is_some_and(|write| write.unmade().is_some());
            let refused = |entry: &FleetEntry| entry.result.outcome == FleetOutcome::InsufficientCapacity;
            let entries = &batch.entries;
            assert_eq!(entries.iter().filter(|entry| told(entry) && refused(entry)).count(), [0, 0, 2][batches - 1]);
            assert_eq!(entries.len(), [3, 2, 2][batches - 1]);
            assert!(batch.sizes.is_some());
            Ok(worked(&batch, |at| (batches == 2 || batches == 1 && at > 0).then_some(CommitError::NoPlace)))
        });
        let world = fixtures::full_world(Preset::Realistic, "10m");
        let fleet = fixtures::fleet(world, machines, MockClusterStore::new(), operations);
        let operation = fixtures::operation(FleetWork::Create(template()));
        assert!(fleet.step(operation, 100, &mut Ahead::default()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_used_id_is_followed_by_the_next_one() {
        let mut operations = MockOperationStore::new();
        let mut tried = Vec::new();
        operations.expect_work().times(3).returning(move |batch| {
            let id = batch.entries.last().unwrap().result.machine;
            assert!(!tried.contains(&id), "each trial has an id of its own");
            tried.push(id);
            let trials = tried.len();
            assert_eq!(batch.entries.len(), if trials == 1 { 3 } else { 1 });
            Ok(worked(&batch, |at| (trials < 3 && at == batch.entries.len() - 1).then_some(CommitError::IdUsed)))
        });
        assert!(make(MockMachineStore::new(), operations).await.is_some());
    }

    #[tokio::test]
    async fn a_name_that_is_held_and_a_cluster_that_went_are_told() {
        let cases =
            [(CommitError::NameTaken, FleetOutcome::NameTaken), (CommitError::NoCluster, FleetOutcome::UnknownCluster)];
        for (error, outcome) in cases {
            let mut machines = MockMachineStore::new();
            machines.expect_holder().returning(|_, _| Ok(Some(fixtures::created(Preset::Realistic, "web-1").machine)));
            let mut operations = MockOperationStore::new();
            let mut first = Some(error);
            operations.expect_work().times(2).returning(move |batch| {
                let Some(error) = first.take() else {
                    assert_eq!(batch.entries[0].result.outcome, outcome);
                    return Ok(worked(&batch, |_| None));
                };
                let error = std::cell::RefCell::new(Some(error));
                Ok(worked(&batch, |at| if at == 0 { error.take() } else { None }))
            });
            assert!(make(machines, operations).await.is_some());
        }
    }
}
