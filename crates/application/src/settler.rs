//! The settler: writes what was due.

use std::sync::Arc;

use cloudm_domain::{Cluster, Machine, Order, ScheduleEntry, Selector};
use futures_util::future::join_all;

use crate::clock::next_due;
use crate::error::Error;
use crate::idempotency::Stop;
use crate::machines::MAX_ATTEMPTS;
use crate::ports::{
    CommitError, MachineQuery, MachineStore, MachineWrite, PlacedMachine, StoreError, World, WorldStore, WorldView,
};
use crate::records::Records;

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
///
/// What it does for a request is boxed, because few requests need it, and the future of each would be as large as all of it.
#[derive(Clone)]
pub struct Settler {
    records: Arc<Records>,
    machines: Arc<dyn MachineStore>,
}

impl Settler {
    pub(crate) fn new(world: Arc<dyn WorldStore>, machines: Arc<dyn MachineStore>) -> Self {
        Self { records: Arc::new(Records::new(world)), machines }
    }

    /// Settles a bounded number of machines; says whether nothing is left that was due when it began.
    ///
    /// # Errors
    /// When the store fails. What was settled stays so.
    pub async fn run_once(&self) -> Result<bool, Error> {
        let view = self.records.read().await?;
        self.tell_through(&view).await?;
        self.settle(&view, MAX_FOR_A_REQUEST).await
    }

    /// In how many milliseconds of wall time the next thing is due; none where nothing is, or where time stands still.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_in(&self) -> Result<Option<u64>, Error> {
        let view = self.records.read().await?;
        let Some(due) = next_due(&view, &*self.machines).await? else { return Ok(None) };
        let wall = if due <= view.now { Some(view.wall) } else { view.world.clock.wall_at(due) };
        Ok(wall.map(|wall| wall.saturating_sub(view.wall)))
    }

    /// Tells all machines what they are to be told by the view's now, for a request that depends on it.
    pub(crate) async fn tell_all(&self, view: &WorldView) -> Result<(), Error> {
        if Box::pin(self.tell(view, MAX_FOR_A_REQUEST)).await? { Ok(()) } else { Err(Error::Settling) }
    }

    /// Tells all machines what they are to be told by the view's now, however many they are.
    pub(crate) async fn tell_through(&self, view: &WorldView) -> Result<(), Error> {
        Box::pin(self.tell(view, usize::MAX)).await.map(drop)
    }

    /// Settles everything due at the view's now, for a request that depends on it.
    pub(crate) async fn settle_all(&self, view: &WorldView) -> Result<(), Error> {
        if Box::pin(self.settle(view, MAX_FOR_A_REQUEST)).await? { Ok(()) } else { Err(Error::Settling) }
    }

    /// Settles everything due at the view's now, however much it is. The memory that it takes is bounded.
    pub(crate) async fn settle_through(&self, view: &WorldView) -> Result<(), Error> {
        while !Box::pin(self.settle(view, usize::MAX)).await? {}
        Ok(())
    }

    async fn settle(&self, view: &WorldView, most: usize) -> Result<bool, Error> {
        if !self.tell(view, most).await? {
            return Ok(false);
        }
        let mut left = most;
        loop {
            let due = self.machines.due(view.now, BATCH.min(left.max(1))).await?;
            if due.is_empty() || left == 0 {
                return Ok(due.is_empty());
            }
            left = left.saturating_sub(due.len());
            for settled in join_all(due.into_iter().map(|machine| self.write((machine, None), STEPS, view))).await {
                settled?;
            }
        }
    }

    /// Tells machines what the schedule has for them by the view's now, and notes once all were told: from then on nobody looks
    /// for it. Looks at `most` machines; says whether those were all. The cost is that of one walk through the machines that an
    /// entry may select, once for each entry.
    async fn tell(&self, view: &WorldView, most: usize) -> Result<bool, Error> {
        let mut left = most;
        let telling: Vec<_> = view.world.rules.schedule.telling(view.now).collect();
        for entry in &telling {
            if !self.walk(entry, &mut left, view).await? {
                return Ok(false);
            }
        }
        if !telling.is_empty() {
            self.note_told(view).await?;
        }
        Ok(true)
    }

    async fn walk(&self, entry: &ScheduleEntry, left: &mut usize, view: &WorldView) -> Result<bool, Error> {
        // By their stored states and types, machines are not told apart: these may change when they are settled.
        let selector = Selector { states: Vec::new(), machine_types: Vec::new(), ..entry.rule.selector.clone() };
        let mut query = MachineQuery { selector, order: Order::default(), after: None, made_by: None, limit: BATCH };
        loop {
            let page = self.machines.list(&query).await?;
            if page.machines.len() > *left {
                return Ok(false);
            }
            *left -= page.machines.len();
            for told in join_all(page.machines.into_iter().map(|placed| self.settle_wholly(placed, view))).await {
                told?;
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(true);
            }
        }
    }

    /// Settles one machine until nothing is due, whoever writes it.
    async fn settle_wholly(&self, placed: PlacedMachine, view: &WorldView) -> Result<(), StoreError> {
        let mut placed = Some(placed);
        while let Some(PlacedMachine { machine, cluster }) = placed
            && machine.is_due(Some(&cluster), view.now, &view.world.rules)
        {
            let id = machine.id;
            self.write((machine, Some(&cluster)), STEPS, view).await?;
            placed = self.machines.get(id).await?;
        }
        Ok(())
    }

    async fn note_told(&self, view: &WorldView) -> Result<(), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let fresh = self.records.read().await?;
            let mut world = World::clone(&fresh.world);
            if !world.rules.schedule.all_told(view.now) {
                return Ok(());
            }
            if self.records.write(&fresh, world.into()).await.map_err(Stop::into_error)? {
                return Ok(());
            }
        }
        Err(Error::Contention)
    }

    /// Settles one machine and writes it. Losing a race is well: another wrote the same.
    pub(crate) async fn settle_one(
        &self,
        machine: Machine,
        cluster: Option<&Cluster>,
        view: &WorldView,
    ) -> Result<(), StoreError> {
        self.write((machine, cluster), MAX_STEPS, view).await
    }

    /// Without its cluster, a machine has been told already what its cluster decides.
    async fn write(
        &self,
        (machine, cluster): (Machine, Option<&Cluster>),
        steps: usize,
        view: &WorldView,
    ) -> Result<(), StoreError> {
        let id = machine.id;
        let settled = machine.clone().settle_at_most(steps, cluster, view.now, &view.world.rules);
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
    use crate::ports::{MachinePage, MockMachineStore, MockWorldStore, SortKey, WorldCommit, WorldCommitError};
    use cloudm_domain::{MachineState, OrderKey, Preset, ScheduleKind, ScheduleRule};

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
            let settled = settler.settle_one(fixtures::created(Preset::Realistic, "web-1").machine, None, &view).await;
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

    /// A world ten minutes after its start, which told every machine after five what is done an hour later.
    fn telling() -> WorldView {
        let mut view = fixtures::view(Preset::Realistic, "10m");
        let mut world = World::clone(&view.world);
        let at = |span: &str| world.start.plus(span.parse().unwrap());
        let (not_before, deadline) = (at("1h5m"), at("2h"));
        let (kind, selector) = (ScheduleKind::MaintenanceStop, Selector::default());
        let rule = ScheduleRule { kind, selector, not_before, deadline, notice: "1h".parse().unwrap() };
        world.rules.schedule.push(rule, world.start, world.seed);
        view.world = Arc::new(world);
        view
    }

    fn page(number: usize, more: bool) -> MachinePage {
        let placed = fixtures::placed(Preset::Realistic, "web-1");
        let next = more.then(|| SortKey::of(&placed.machine, OrderKey::CreatedAt));
        MachinePage { machines: vec![placed; number], next }
    }

    #[tokio::test]
    async fn every_machine_is_told_and_that_is_noted() {
        let view = telling();
        let told = {
            let PlacedMachine { machine, cluster } = fixtures::placed(Preset::Realistic, "web-1");
            let machine = machine.settle_in(Some(&cluster), view.now, &view.world.rules).machine;
            PlacedMachine { machine, cluster }
        };
        assert_eq!(told.machine.scheduled.len(), 1);
        let mut machines = MockMachineStore::new();
        let mut pages = [page(1, true), page(0, false)].into_iter();
        machines.expect_list().times(2).returning(move |_| Ok(pages.next().unwrap()));
        let expected = told.machine.clone();
        machines
            .expect_commit()
            .once()
            .withf(move |commit| commit.write.after.as_ref() == Some(&expected))
            .returning(|_| Ok(()));
        machines.expect_get().returning(move |_| Ok(Some(told.clone())));
        let mut world = MockWorldStore::new();
        let read = view.clone();
        world.expect_read().returning(move || Ok(read.clone()));
        let mut results = [Err(WorldCommitError::Conflict), Ok(())].into_iter();
        let is_noted =
            |commit: &WorldCommit| commit.world.rules.schedule.telling(cloudm_domain::Instant::MAX).count() == 0;
        world.expect_commit().times(2).withf(is_noted).returning(move |_| results.next().unwrap());
        Settler::new(Arc::new(world), Arc::new(machines)).tell_all(&view).await.unwrap();
    }

    #[tokio::test]
    async fn a_fleet_that_is_told_at_length_is_not_waited_for() {
        let mut machines = MockMachineStore::new();
        machines.expect_list().returning(|query| Ok(page(query.limit, true)));
        machines.expect_commit().times(MAX_FOR_A_REQUEST).returning(|_| Ok(()));
        machines.expect_get().returning(|_| Ok(None));
        let settler = Settler::new(Arc::new(fixtures::world()), Arc::new(machines));
        assert!(matches!(settler.tell_all(&telling()).await, Err(Error::Settling)));
    }

    #[tokio::test]
    async fn who_is_to_be_told_is_waited_for() {
        let mut view = telling();
        view.now = view.world.start;
        let mut machines = MockMachineStore::new();
        machines.expect_next_due().return_once(|| Ok(None));
        let mut world = MockWorldStore::new();
        let started = view.world.clock.wall_at(view.now).unwrap();
        view.wall = started;
        world.expect_read().return_once(move || Ok(view));
        let settler = Settler::new(Arc::new(world), Arc::new(machines));
        assert_eq!(settler.next_in().await.unwrap(), Some(300_000));
    }
}
