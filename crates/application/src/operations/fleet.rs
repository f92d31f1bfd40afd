//! Working off fleet operations, batch by batch.

use std::collections::HashSet;
use std::sync::Arc;

use cloudm_domain::{FleetOutcome, MachineId, OperationId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::decide::decide;
use super::walk::Ahead;
use crate::error::Error;
use crate::machines::{MachineCommands, Turn, attempts, refused};
use crate::ports::{
    ClusterStore, CommitError, Cursor, Ending, FleetBatch, FleetEntry, FleetOperation, FleetWork, Lease,
    OperationStore, Runner, WorkError, WorldView,
};
use crate::settler::Settler;

/// Machines that are decided together. More would hold up the writes of others for longer.
const BATCH: usize = 256;

/// How long a runner has an operation after it last wrote to it, in milliseconds of wall time. It is as long as another server waits
/// when one has died.
const LEASE: u64 = 5_000;

/// How long an operation is kept after it ended, in milliseconds of wall time: as long as its idempotency key.
const KEPT_FOR: u64 = crate::writing::KEPT_FOR;

/// Works off the fleet operations of one world.
pub(crate) struct Fleet {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) operations: Arc<dyn OperationStore>,
    pub(crate) settler: Settler,
    runner: Runner,
    /// Those that are worked on in this process.
    in_hand: Mutex<HashSet<OperationId>>,
    /// Told when there is more to do.
    pub(crate) accepted: Notify,
}

/// An operation in the hands of this process, as long as it lives.
pub(crate) struct InHand<'a> {
    fleet: &'a Fleet,
    id: OperationId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.fleet.in_hand.lock().remove(&self.id);
    }
}

/// What was written of a batch.
pub(super) struct Written {
    /// The operation, as it is now.
    pub(super) operation: FleetOperation,
    /// Which entries were not written, and why.
    pub(super) refused: Vec<(usize, CommitError)>,
}

/// Some machines that are decided, and where the operation goes on after them.
pub(super) struct Decided {
    pub(super) entries: Vec<FleetEntry>,
    pub(super) cursor: Cursor,
    pub(super) last: bool,
}

impl Fleet {
    pub(crate) fn new(
        commands: Arc<MachineCommands>,
        clusters: Arc<dyn ClusterStore>,
        operations: Arc<dyn OperationStore>,
        settler: Settler,
        runner: Runner,
    ) -> Self {
        let (in_hand, accepted) = (Mutex::default(), Notify::new());
        Self { commands, clusters, operations, settler, runner, in_hand, accepted }
    }

    /// Takes an operation in hand, unless this process has it already.
    pub(crate) fn take(&self, id: OperationId) -> Option<InHand<'_>> {
        let is_free = self.in_hand.lock().insert(id);
        is_free.then(|| InHand { fleet: self, id })
    }

    /// Whether this process has it in hand.
    pub(super) fn is_in_hand(&self, id: OperationId) -> bool {
        self.in_hand.lock().contains(&id)
    }

    /// This process's right to work on an operation.
    pub(crate) fn lease(&self, wall: u64) -> Lease {
        Lease { runner: self.runner, wall, until: wall.saturating_add(LEASE) }
    }

    /// Works an operation off, until it has ended, or waits for its cluster to be empty, or is not this process's any more.
    pub(crate) async fn work_off(&self, mut operation: FleetOperation) -> Result<(), Error> {
        let mut ahead = Ahead::default();
        while !operation.state.is_ended() {
            let waits = operation.cursor == Cursor::Emptying;
            match self.step(operation, BATCH, &mut ahead).await? {
                Some(next) if !(waits && next.cursor == Cursor::Emptying) => operation = next,
                _ => return Ok(()),
            }
            // Whoever else has something to do has a turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Decides and writes at most `most` machines; gives the operation as it is then. Nothing where it has ended meanwhile, or
    /// another runner has it.
    pub(crate) async fn step(
        &self,
        operation: FleetOperation,
        most: usize,
        ahead: &mut Ahead,
    ) -> Result<Option<FleetOperation>, Error> {
        let most = most.min(BATCH);
        match (&operation.work, &operation.cursor) {
            (FleetWork::DeleteCluster(cluster), Cursor::Emptying) => self.empty(*cluster, operation.clone()).await,
            (FleetWork::Create(template), Cursor::Made(made)) => {
                let (template, made) = (template.clone(), *made);
                self.make(&operation, &template, (made, most)).await
            }
            (_, Cursor::Walked(after)) => {
                let after = after.clone();
                self.walk(&operation, after, most, ahead).await
            }
            _ => self.end(operation, Some(FleetOutcome::UnknownCluster)).await,
        }
    }

    /// Writes what was decided; what another change came before is decided anew.
    pub(super) async fn write(
        &self,
        operation: &FleetOperation,
        decided: Decided,
        (mut view, mut turn): (WorldView, Turn<'_>),
    ) -> Result<Option<FleetOperation>, Error> {
        let Decided { mut entries, cursor, last } = decided;
        let mut waited = false;
        for attempt in 1.. {
            let machines: Vec<_> = entries.iter().map(|entry| entry.result.machine).collect();
            let decided = Decided { entries, cursor: cursor.clone(), last };
            let Some(written) = self.write_once(operation, decided, &view).await? else { return Ok(None) };
            if written.refused.is_empty() {
                return Ok(Some(written.operation));
            }
            (view, turn) = self.commands.deciding(turn).await?;
            self.settler.tell_through(&view).await?;
            let full = !waited && self.wait_for_places(&written.refused, &view).await?;
            entries = Vec::with_capacity(written.refused.len());
            for (machine, error) in written.refused.iter().filter_map(|(at, error)| Some((machines.get(*at)?, error))) {
                let again = self.again(operation, (*machine, error), attempt < attempts(&turn), &view).await?;
                let is_full = waited && matches!(error, CommitError::NoPlace);
                let again = if is_full { again.map(|entry| without_place(entry, &view)) } else { again };
                entries.extend(again.map(|entry| noted(entry, &mut view)));
            }
            waited |= full;
        }
        Err(Error::Contention)
    }

    /// Where there was no place for some, settles what was due, for that may give places back; says whether it did.
    pub(super) async fn wait_for_places(
        &self,
        refused: &[(usize, CommitError)],
        view: &WorldView,
    ) -> Result<bool, Error> {
        let full = refused.iter().any(|(_, error)| matches!(error, CommitError::NoPlace));
        if full {
            self.settler.settle_through(view).await?;
        }
        Ok(full)
    }

    /// Decides a machine anew that was changed meanwhile; in the end, without it.
    async fn again(
        &self,
        operation: &FleetOperation,
        (machine, error): (MachineId, &CommitError),
        once_more: bool,
        view: &WorldView,
    ) -> Result<Option<FleetEntry>, Error> {
        if !once_more {
            return Ok(Some(refusal(machine, outcome_of(error))));
        }
        let placed = self.commands.machines.get(machine).await?;
        Ok(placed.and_then(|placed| decide(&operation.work, placed, view)))
    }

    /// Writes a batch; gives the operation as it is then, with what was not written.
    pub(super) async fn write_once(
        &self,
        operation: &FleetOperation,
        decided: Decided,
        view: &WorldView,
    ) -> Result<Option<Written>, Error> {
        let Decided { entries, cursor, last } = decided;
        // Where machines refused to be deleted, their cluster stays.
        let refuses = |entry: &FleetEntry| entry.result.outcome.is_refusal();
        let stays = operation.progress.rejected > 0 || entries.iter().any(refuses);
        let ending = (last && (cursor != Cursor::Emptying || stays)).then(|| ending(view, None));
        let batch = FleetBatch {
            operation: operation.id,
            lease: self.lease(view.wall),
            entries,
            cursor,
            ending,
            sizes: view.sizes(),
        };
        let worked = match self.operations.work(batch).await {
            Ok(worked) => worked,
            Err(WorkError::NotYours) => return Ok(None),
            Err(WorkError::Store(error)) => return Err(error.into()),
        };
        let mut refused = Vec::new();
        for (at, written) in worked.entries.into_iter().enumerate() {
            match written {
                Ok(()) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
                Err(why) => refused.push((at, why)),
            }
        }
        Ok(Some(Written { operation: worked.operation, refused }))
    }

    /// Ends an operation.
    pub(crate) async fn end(
        &self,
        operation: FleetOperation,
        reason: Option<FleetOutcome>,
    ) -> Result<Option<FleetOperation>, Error> {
        let view = self.commands.world.read().await?;
        let ended = self.operations.end(operation.id, ending(&view, reason)).await?;
        Ok(ended.map(|(operation, _)| operation))
    }
}

/// How an operation ends that has decided all its machines.
pub(super) fn ending(view: &WorldView, reason: Option<FleetOutcome>) -> Ending {
    let state = reason.map(|_| cloudm_domain::FleetState::Partial);
    Ending { at: view.now, state, reason, expires_at: view.wall.saturating_add(KEPT_FOR) }
}

/// An entry of which what is decided after it knows.
pub(super) fn noted(entry: FleetEntry, view: &mut WorldView) -> FleetEntry {
    entry.write.iter().for_each(|write| view.note(&write.events));
    entry
}

/// The entry of a machine that refuses.
pub(super) fn refusal(machine: MachineId, outcome: FleetOutcome) -> FleetEntry {
    FleetEntry { result: crate::ports::FleetResult { machine, outcome }, write: None }
}

/// What an entry comes to for which there is no place: the world refuses it, and says so in its history.
pub(super) fn without_place(entry: FleetEntry, view: &WorldView) -> FleetEntry {
    match entry.write.as_ref().and_then(|write| refused(write, None, view)) {
        Some((_, write)) => {
            FleetEntry { write: Some(write), ..refusal(entry.result.machine, FleetOutcome::InsufficientCapacity) }
        }
        // What asks for none any more is tried as it is.
        None => entry,
    }
}

/// What a write that was refused to the end comes to.
pub(super) fn outcome_of(error: &CommitError) -> FleetOutcome {
    match error {
        CommitError::NameTaken => FleetOutcome::NameTaken,
        CommitError::NoCluster => FleetOutcome::UnknownCluster,
        CommitError::NoPlace => FleetOutcome::InsufficientCapacity,
        _ => FleetOutcome::Contention,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, operation};
    use crate::machines::MAX_ATTEMPTS;
    use crate::ports::{
        FleetWorked, MachinePage, MockClusterStore, MockMachineStore, MockOperationStore, PlacedMachine, SortKey,
        StoreError,
    };
    use cloudm_domain::{Command, FleetState, Preset, Selector};

    fn stop_all() -> FleetWork {
        FleetWork::Operate(Selector::default(), Command::Stop.into())
    }

    fn machines(names: &'static [&'static str], more: bool) -> MockMachineStore {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        machines.expect_walk().returning(fixtures::walking(move |query| {
            assert!(query.made_by.is_some(), "machines made later are left out");
            let machines: Vec<_> = names.iter().map(|name| fixtures::placed(Preset::Realistic, name)).collect();
            let last = machines.last().map(|placed| SortKey::of(&placed.machine, query.order.key));
            MachinePage { machines, next: last.filter(|_| more) }
        }));
        machines.expect_get().returning(|_| Ok(Some(fixtures::placed(Preset::Realistic, "web-1"))));
        machines
    }

    fn fleet(machines: MockMachineStore, operations: MockOperationStore) -> Fleet {
        let world = fixtures::world_of(Preset::Realistic, "10m");
        fixtures::fleet(world, machines, MockClusterStore::new(), operations)
    }

    /// What a store does that writes all but what `refused` says.
    fn worked(batch: &FleetBatch, refused: impl Fn(usize) -> Option<CommitError>) -> FleetWorked {
        let mut operation = operation(stop_all());
        let entries: Vec<_> = (0..batch.entries.len()).map(|at| refused(at).map_or(Ok(()), Err)).collect();
        if entries.iter().all(Result::is_ok) {
            operation.cursor = batch.cursor.clone();
            batch.ending.iter().for_each(|ending| operation.end(ending));
        }
        FleetWorked { operation, entries }
    }

    async fn step(fleet: &Fleet) -> Result<Option<FleetOperation>, Error> {
        fleet.step(operation(stop_all()), BATCH, &mut Ahead::default()).await
    }

    #[tokio::test]
    async fn machines_are_decided_together_and_the_last_ones_end_it() {
        for (more, ended) in [(true, false), (false, true)] {
            let mut operations = MockOperationStore::new();
            operations
                .expect_work()
                .once()
                .withf(move |batch| {
                    let walked = matches!(&batch.cursor, Cursor::Walked(after) if after.is_some() == more);
                    batch.entries.len() == 2 && walked && batch.ending.is_some() == ended
                })
                .returning(|batch| Ok(worked(&batch, |_| None)));
            let fleet = fleet(machines(&["web-1", "web-2"], more), operations);
            let Some(operation) = step(&fleet).await.unwrap() else { panic!("it is ours") };
            assert_eq!(operation.state.is_ended(), ended);
        }
    }

    #[tokio::test]
    async fn what_another_change_came_before_is_decided_anew_and_in_the_end_told() {
        let mut operations = MockOperationStore::new();
        let mut batches = 0;
        operations.expect_work().times(MAX_ATTEMPTS + 1).returning(move |batch| {
            batches += 1;
            let outcomes: Vec<_> = batch.entries.iter().map(|entry| entry.result.outcome).collect();
            match batches {
                1 => assert_eq!(outcomes, [FleetOutcome::Done; 2]),
                n if n <= MAX_ATTEMPTS => assert_eq!(outcomes, [FleetOutcome::Done], "only the one that was lost"),
                _ => assert_eq!(outcomes, [FleetOutcome::Contention]),
            }
            let lost = |at| (at == 0 && batches <= MAX_ATTEMPTS).then_some(CommitError::Conflict);
            Ok(worked(&batch, lost))
        });
        let fleet = fleet(machines(&["web-1", "web-2"], false), operations);
        assert!(matches!(step(&fleet).await.unwrap(), Some(operation) if operation.state.is_ended()));
    }

    #[tokio::test]
    async fn machines_without_a_place_are_refused_and_told() {
        let view = fixtures::full_view(Preset::Instant, "0s");
        let stopped = |name| {
            let placed = fixtures::placed(Preset::Instant, name);
            let stopped = placed.machine.request(&Command::Stop.into(), view.now, &view.world.rules).unwrap();
            PlacedMachine { machine: stopped.machine, cluster: placed.cluster }
        };
        let (page, one) = (vec![stopped("web-1"), stopped("web-2")], stopped("web-2"));
        let mut machines = MockMachineStore::new();
        machines.expect_due().times(2).returning(|_, _| Ok(vec![]));
        let pages = fixtures::walking(move |_| MachinePage { machines: page.clone(), next: None });
        machines.expect_walk().returning(pages);
        machines.expect_get().returning(move |_| Ok(Some(one.clone())));
        let mut operations = MockOperationStore::new();
        let mut batches = 0;
        operations.expect_work().times(3).returning(move |batch| {
            batches += 1;
            let outcomes: Vec<_> = batch.entries.iter().map(|entry| entry.result.outcome).collect();
            if batches < 3 {
                assert!(outcomes.iter().all(|outcome| *outcome == FleetOutcome::Done));
                return Ok(worked(&batch, |at| (at + 1 == outcomes.len()).then_some(CommitError::NoPlace)));
            }
            assert_eq!(outcomes, [FleetOutcome::InsufficientCapacity]);
            let after = batch.entries[0].write.as_ref().and_then(|write| write.after.as_ref());
            assert_eq!(after.map(|machine| machine.attempt), Some(1));
            Ok(worked(&batch, |_| None))
        });
        let world = fixtures::full_world(Preset::Instant, "0s");
        let fleet = fixtures::fleet(world, machines, MockClusterStore::new(), operations);
        let work = FleetWork::Operate(Selector::default(), Command::Start.into());
        assert!(fleet.step(operation(work), BATCH, &mut Ahead::default()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn whoever_lost_an_operation_leaves_it_and_a_failing_store_is_told() {
        let mut operations = MockOperationStore::new();
        operations.expect_work().return_once(|_| Err(WorkError::NotYours));
        let lost = step(&fleet(machines(&["web-1"], false), operations)).await;
        assert!(matches!(lost, Ok(None)));
        let mut operations = MockOperationStore::new();
        operations.expect_work().return_once(|_| Err(StoreError::Unavailable("gone".into()).into()));
        assert!(step(&fleet(machines(&["web-1"], false), operations)).await.is_err());
    }

    #[tokio::test]
    async fn one_process_has_an_operation_in_hand_once() {
        let fleet = fleet(MockMachineStore::new(), MockOperationStore::new());
        let id = operation(stop_all()).id;
        let first = fleet.take(id);
        assert!(first.is_some() && fleet.take(id).is_none() && fleet.is_in_hand(id));
        drop(first);
        assert!(fleet.take(id).is_some());
    }

    #[test]
    fn an_operation_ends_as_its_progress_says() {
        let view = fixtures::view(Preset::Instant, "1m");
        let mut ended = operation(stop_all());
        ended.decided(FleetOutcome::Protected);
        ended.end(&ending(&view, None));
        assert_eq!((ended.state, ended.finished_at), (FleetState::Failed, Some(view.now)));
        let mut kept = operation(stop_all());
        kept.end(&ending(&view, Some(FleetOutcome::ClusterNotEmpty)));
        assert_eq!((kept.state, kept.reason), (FleetState::Partial, Some(FleetOutcome::ClusterNotEmpty)));
    }
}
