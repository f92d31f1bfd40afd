//! The settler: writes what was due.

use std::sync::Arc;

use cloudm_domain::Machine;
use futures_util::future::join_all;

use crate::error::Error;
use crate::ports::{CommitError, MachineStore, MachineWrite, StoreError, WorldStore, WorldView};

/// How many machines are settled side by side, so that their writes share a disk commit.
const BATCH: usize = 256;

/// The most machines that are settled for one request.
const MAX_FOR_A_REQUEST: usize = 2048;

/// The most things that happen to a machine in one write of the settler, of which so many are under way at a time.
const STEPS: usize = 1_000;

/// The most things that happen to a machine for one request.
pub(crate) const MAX_STEPS: usize = 10_000;

/// Writes what was due up to now.
///
/// It may run early, late, twice or in many servers at once: it writes what any reader sees anyway.
#[derive(Clone)]
pub struct Settler {
    world: Arc<dyn WorldStore>,
    machines: Arc<dyn MachineStore>,
}

impl Settler {
    pub(crate) fn new(world: Arc<dyn WorldStore>, machines: Arc<dyn MachineStore>) -> Self {
        Self { world, machines }
    }

    /// Settles a bounded number of machines; says whether nothing is left that was due when it began.
    ///
    /// # Errors
    /// When the store fails. What was settled stays so.
    pub async fn run_once(&self) -> Result<bool, Error> {
        let view = self.world.read().await?;
        self.settle(&view, MAX_FOR_A_REQUEST).await
    }

    /// In how many milliseconds of wall time the next thing is due; none where nothing is, or where time stands still.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_in(&self) -> Result<Option<u64>, Error> {
        let Some(due) = self.machines.next_due().await? else { return Ok(None) };
        let view = self.world.read().await?;
        let wall = if due <= view.now { Some(view.wall) } else { view.world.clock.wall_at(due) };
        Ok(wall.map(|wall| wall.saturating_sub(view.wall)))
    }

    /// Settles everything due at the view's now, for a request that depends on it.
    pub(crate) async fn settle_all(&self, view: &WorldView) -> Result<(), Error> {
        if self.settle(view, MAX_FOR_A_REQUEST).await? { Ok(()) } else { Err(Error::Settling) }
    }

    /// Settles everything due at the view's now, however much it is. The memory that it takes is bounded.
    pub(crate) async fn settle_through(&self, view: &WorldView) -> Result<(), Error> {
        while !self.settle(view, usize::MAX).await? {}
        Ok(())
    }

    async fn settle(&self, view: &WorldView, most: usize) -> Result<bool, Error> {
        let mut left = most;
        loop {
            let due = self.machines.due(view.now, BATCH.min(left.max(1))).await?;
            if due.is_empty() || left == 0 {
                return Ok(due.is_empty());
            }
            left = left.saturating_sub(due.len());
            for settled in join_all(due.into_iter().map(|machine| self.write(machine, STEPS, view))).await {
                settled?;
            }
        }
    }

    /// Settles one machine and writes it. Losing a race is well: another wrote the same.
    pub(crate) async fn settle_one(&self, machine: Machine, view: &WorldView) -> Result<(), StoreError> {
        self.write(machine, MAX_STEPS, view).await
    }

    async fn write(&self, machine: Machine, steps: usize, view: &WorldView) -> Result<(), StoreError> {
        let id = machine.id;
        let settled = machine.clone().settle_at_most(steps, view.now, &view.world.rules);
        let after = (!settled.machine.is_forgotten(view.now)).then_some(settled.machine);
        let write = MachineWrite { before: Some(machine), after, events: settled.events };
        match self.machines.commit(write.into()).await {
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Damaged(format!("settling machine {id}: {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockMachineStore;
    use cloudm_domain::{MachineState, Preset};

    #[tokio::test]
    async fn what_is_due_is_written_with_its_events() {
        let world = fixtures::world_of(Preset::Realistic, "10m");
        let starting = fixtures::created(Preset::Realistic, "web-1");
        let mut machines = MockMachineStore::new();
        let mut due = vec![vec![starting.machine], vec![]].into_iter();
        machines.expect_due().times(2).returning(move |_, _| Ok(due.next().unwrap()));
        machines
            .expect_commit()
            .once()
            .withf(|commit| {
                let MachineWrite { before: Some(before), after: Some(after), events } = &commit.write else {
                    return false;
                };
                let versions = (before.version, after.version);
                after.state == MachineState::Running && events.len() == 2 && versions == (1, 3)
            })
            .returning(|_| Ok(()));
        assert!(Settler::new(Arc::new(world), Arc::new(machines)).run_once().await.unwrap());
    }

    #[tokio::test]
    async fn a_lost_race_is_well_and_a_failing_store_is_not() {
        for (error, well) in [(CommitError::Conflict, true), (StoreError::Unavailable("gone".into()).into(), false)] {
            let mut machines = MockMachineStore::new();
            machines.expect_commit().return_once(|_| Err(error));
            let settler = Settler::new(Arc::new(fixtures::world()), Arc::new(machines));
            let view = fixtures::view(Preset::Realistic, "10m");
            let settled = settler.settle_one(fixtures::created(Preset::Realistic, "web-1").machine, &view).await;
            assert_eq!(settled.is_ok(), well);
        }
    }

    #[tokio::test]
    async fn a_backlog_beyond_the_bound_is_not_waited_for() {
        let machine = fixtures::created(Preset::Realistic, "web-1").machine;
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(move |_, limit| Ok(vec![machine.clone(); limit]));
        machines.expect_commit().times(MAX_FOR_A_REQUEST).returning(|_| Ok(()));
        let view = fixtures::view(Preset::Realistic, "10m");
        let settler = Settler::new(Arc::new(fixtures::world()), Arc::new(machines));
        assert!(matches!(settler.settle_all(&view).await, Err(Error::Settling)));
    }

    #[tokio::test]
    async fn the_next_wait_is_told_in_wall_time() {
        let view = fixtures::view(Preset::Instant, "0s");
        let due = view.now.plus("90s".parse().unwrap());
        let mut machines = MockMachineStore::new();
        machines.expect_next_due().return_once(move || Ok(Some(due)));
        let settler = Settler::new(Arc::new(fixtures::world()), Arc::new(machines));
        assert_eq!(settler.next_in().await.unwrap(), Some(90_000));
    }
}
