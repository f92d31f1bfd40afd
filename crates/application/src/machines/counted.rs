//! What is decided by how often faults matched in the whole world.
//!
//! The store takes only the match that comes next, so who decides at the same time as another may have to decide anew. In one process
//! they come one after the other, and none has to.

use std::sync::Arc;

use cloudm_domain::MachineEvent;
use tokio::sync::MutexGuard;

use super::{MAX_ATTEMPTS, MachineCommands};
use crate::ports::{StoreError, WorldView};

/// The turn of whoever decides so: to be held until what was decided is written. None where no fault counts so.
pub(crate) type Turn<'a> = Option<MutexGuard<'a, ()>>;

/// How often a command is decided, at most. Servers have no turns among them: the one that is behind decides by what it read
/// before the other wrote, each time, until the other has nothing more to write. None of that is in vain, so it goes on for long.
pub(crate) const fn attempts(turn: &Turn<'_>) -> usize {
    if turn.is_some() { 64 * MAX_ATTEMPTS } else { MAX_ATTEMPTS }
}

impl MachineCommands {
    /// The world to decide commands in, once the turn that was had before is over.
    pub(crate) async fn deciding<'a>(&'a self, before: Turn<'a>) -> Result<(WorldView, Turn<'a>), StoreError> {
        drop(before);
        self.counted(self.world.read().await?).await
    }

    /// The same world, with how often the faults matched that count for all of it.
    pub(crate) async fn counted(&self, mut view: WorldView) -> Result<(WorldView, Turn<'_>), StoreError> {
        if !view.world.rules.faults.count_in_world(view.now) {
            return Ok((view, None));
        }
        let turn = self.counting.lock().await;
        let matches = self.faults.matches().await?;
        let faults = &mut Arc::make_mut(&mut view.world).rules.faults;
        faults.recount(matches.iter().map(|one| (one.fault, one.matches)));
        Ok((view, Some(turn)))
    }
}

impl WorldView {
    /// Takes what was decided, for what is decided after it before it is written.
    pub(crate) fn note(&mut self, events: &[MachineEvent]) {
        let counts = |event: &MachineEvent| event.change.fault_match().is_some_and(|told| told.number.is_some());
        if events.iter().any(counts) {
            Arc::make_mut(&mut self.world).rules.faults.note(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{Cause, Command, FaultRule, FaultScope, Preset};

    use super::*;
    use crate::error::Error;
    use crate::fixtures;
    use crate::machines::{ImportMachines, NewMachineRequest, OperateMachine};
    use crate::ports::{
        Commit, CommitError, FaultMatches, FleetWork, FleetWorked, MachinePage, MockClusterStore, MockFaultStore,
        MockMachineStore, MockOperationStore,
    };
    use crate::writing::Writing;

    /// What is asked is refused for the whole world, but for the first times.
    fn refusing(cause: Cause, after: u32) -> FaultRule {
        FaultRule { scope: FaultScope::World, after, ..fixtures::refusing(cause) }
    }

    /// It matched so often, each time that it is asked.
    fn matched(rule: &FaultRule, counts: &'static [u64]) -> MockFaultStore {
        let view = fixtures::view_with(std::slice::from_ref(rule), Preset::Instant, "0s");
        let fault = view.world.rules.faults.iter().next().unwrap().id;
        let mut counts = counts.iter();
        let mut faults = MockFaultStore::new();
        faults.expect_matches().times(counts.len()).returning(move || {
            let matches = *counts.next().unwrap();
            Ok(if matches > 0 { vec![FaultMatches { fault, matches, struck: 0 }] } else { vec![] })
        });
        faults
    }

    fn numbers(commit: &Commit) -> Vec<u64> {
        commit.write.numbered().map(|(_, number)| number).collect()
    }

    #[tokio::test]
    async fn a_command_that_another_match_came_before_is_decided_anew() {
        let rule = refusing(Cause::Stop, 1);
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(Some(fixtures::placed(Preset::Instant, "web-1"))));
        let mut tried = 0;
        machines.expect_commit().times(2).returning(move |commit| {
            tried += 1;
            assert_eq!(numbers(&commit), [tried]);
            if tried == 1 { Err(CommitError::Miscounted) } else { Ok(()) }
        });
        let faults = matched(&rule, &[0, 1]);
        let world = fixtures::world_with(vec![rule], Preset::Instant, "0s");
        let commands = Arc::new(fixtures::commands_counting(world, machines, faults));
        let operate = OperateMachine { commands, catalogue: Arc::default() };
        let id = fixtures::placed(Preset::Instant, "web-1").machine.id;
        let refused = operate.run(id, Command::Stop.into(), Writing::default()).await;
        assert!(matches!(refused, Err(Error::StruckDown(down)) if fixtures::is_refused(&down)), "the second is");
    }

    #[tokio::test]
    async fn a_server_that_is_behind_has_its_turn_in_the_end() {
        let rule = refusing(Cause::Stop, 100);
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(Some(fixtures::placed(Preset::Instant, "web-1"))));
        let mut tried = 0;
        machines.expect_commit().times(33).returning(move |_| {
            tried += 1;
            if tried <= 32 { Err(CommitError::Miscounted) } else { Ok(()) }
        });
        const COUNTS: [u64; 33] = [0; 33];
        let faults = matched(&rule, &COUNTS);
        let world = fixtures::world_with(vec![rule], Preset::Instant, "0s");
        let commands = Arc::new(fixtures::commands_counting(world, machines, faults));
        let operate = OperateMachine { commands, catalogue: Arc::default() };
        let id = fixtures::placed(Preset::Instant, "web-1").machine.id;
        assert!(operate.run(id, Command::Stop.into(), Writing::default()).await.is_ok());
    }

    #[tokio::test]
    async fn of_an_import_each_knows_of_those_before_it() {
        let rule = refusing(Cause::Create, 6);
        let mut machines = MockMachineStore::new();
        machines.expect_commit_all().once().returning(|writes, _| {
            let told: Vec<_> = writes.iter().flat_map(|write| write.numbered()).map(|(_, number)| number).collect();
            assert_eq!((told, writes[2].unmade().is_some()), (vec![5, 6, 7], true));
            Ok(writes.iter().map(|_| Ok(())).collect())
        });
        let mut clusters = MockClusterStore::new();
        clusters.expect_find().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        let faults = matched(&rule, &[4]);
        let world = fixtures::world_with(vec![rule], Preset::Instant, "0s");
        let commands = Arc::new(fixtures::commands_counting(world, machines, faults));
        let import = ImportMachines { commands, clusters: Arc::new(clusters), catalogue: Arc::default() };
        let request = |number: usize| NewMachineRequest {
            name: format!("web-{number}").parse().unwrap(),
            cluster_name: "web".parse().unwrap(),
            tags: Default::default(),
            machine_type: None,
            start: true,
            protection: Default::default(),
        };
        let made = import.run((1..=3).map(request).collect()).await.unwrap();
        assert_eq!(made.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    }

    #[tokio::test]
    async fn of_a_fleet_operation_each_knows_of_those_before_it_also_when_decided_anew() {
        let rule = refusing(Cause::Stop, 100);
        let placed = |name| fixtures::placed(Preset::Instant, name);
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let pages =
            fixtures::walking(move |_| MachinePage { machines: ["a", "b", "c"].map(placed).into(), next: None });
        machines.expect_walk().returning(pages);
        let find = move |id| ["a", "b", "c"].map(placed).into_iter().find(|one| one.machine.id == id);
        machines.expect_get().returning(move |id| Ok(find(id)));
        let mut operations = MockOperationStore::new();
        let mut tried = 0;
        operations.expect_work().times(2).returning(move |batch| {
            tried += 1;
            let writes = batch.entries.iter().filter_map(|entry| entry.write.as_ref());
            let told: Vec<_> = writes.flat_map(|write| write.numbered()).map(|(_, number)| number).collect();
            assert_eq!(told, [vec![1, 2, 3], vec![11, 12]][tried - 1]);
            let taken = |at: usize| if tried == 1 && at > 0 { Err(CommitError::Miscounted) } else { Ok(()) };
            let entries = (0..batch.entries.len()).map(taken).collect();
            Ok(FleetWorked {
                operation: fixtures::operation(FleetWork::DeleteCluster(fixtures::cluster().id)),
                entries,
            })
        });
        let faults = matched(&rule, &[0, 10]);
        let world = fixtures::world_with(vec![rule], Preset::Instant, "0s");
        let commands = fixtures::commands_counting(world, machines, faults);
        let fleet = fixtures::fleet_of(commands, MockClusterStore::new(), operations);
        let stop = FleetWork::Operate(Default::default(), Command::Stop.into());
        fleet.step(fixtures::operation(stop), 100, &mut Default::default()).await.unwrap();
    }
}
