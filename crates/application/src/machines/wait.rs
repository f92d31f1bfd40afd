//! Waiting for a machine to come to a state.

use std::sync::Arc;
use std::time::Duration;

use cloudm_domain::{MachineId, MachineState};

use super::{MachineView, view_at};
use crate::bell::Bell;
use crate::error::Error;
use crate::ports::{MachineStore, WorldStore, WorldView};

/// Waits for a machine to come to a state.
pub struct WaitForMachine {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) bell: Arc<Bell>,
}

impl WaitForMachine {
    /// The longest wait, in wall time.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);

    /// The machine as soon as it is in one of these states, waiting in wall time for at most `timeout`, of which more than
    /// [`WaitForMachine::MAX_TIMEOUT`] counts as that.
    ///
    /// It is woken by what happens to the machine and by the clock, and looks at nothing between.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::Unreachable`] once the machine is TERMINATED or forgotten, [`Error::WaitTimeout`],
    /// [`Error::SettleLimit`], [`Error::Store`].
    pub async fn run(&self, id: MachineId, states: &[MachineState], timeout: Duration) -> Result<MachineView, Error> {
        let (first, _) = self.look(id).await?.ok_or(Error::NoSuchMachine)?;
        if states.contains(&first.machine.state) {
            return Ok(first);
        }
        let mut state = first.machine.state;
        let waited = tokio::time::timeout(timeout.min(Self::MAX_TIMEOUT), self.wait(id, states, &mut state)).await;
        waited.unwrap_or(Err(Error::WaitTimeout { state }))
    }

    /// The machine as soon as it is at rest, or as it is after so long; none where it is forgotten by then. Otherwise as
    /// [`WaitForMachine::run`].
    ///
    /// # Errors
    /// [`Error::SettleLimit`], [`Error::Store`].
    pub async fn at_rest(&self, id: MachineId, timeout: Duration) -> Result<Option<MachineView>, Error> {
        let at_rest: Vec<_> = MachineState::ALL.iter().copied().filter(|state| !state.is_active()).collect();
        match self.run(id, &at_rest, timeout).await {
            Ok(view) => Ok(Some(view)),
            Err(Error::WaitTimeout { .. }) => Ok(self.look(id).await?.map(|(view, _)| view)),
            Err(Error::NoSuchMachine | Error::Unreachable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for ever; tells what it sees in `state`.
    async fn wait(
        &self,
        id: MachineId,
        states: &[MachineState],
        state: &mut MachineState,
    ) -> Result<MachineView, Error> {
        let waiting = self.bell.wait_for(id).await?;
        loop {
            let mut changed = std::pin::pin!(waiting.changed.notified());
            // From here on, and so before the look.
            changed.as_mut().enable();
            let Some((view, world)) = self.look(id).await? else { return Err(Error::Unreachable { state: None }) };
            *state = view.machine.state;
            if states.contains(state) {
                return Ok(view);
            }
            if *state == MachineState::Terminated {
                return Err(Error::Unreachable { state: Some(*state) });
            }
            match due_in(&view, &world) {
                Some(due) => drop(tokio::time::timeout(due, changed).await),
                None => changed.await,
            }
        }
    }

    async fn look(&self, id: MachineId) -> Result<Option<(MachineView, WorldView)>, Error> {
        let Some(placed) = self.machines.get(id).await? else { return Ok(None) };
        let world = self.world.read().await?;
        Ok(view_at(placed, world.now, &world.world.rules)?.map(|view| (view, world)))
    }
}

/// In how long the clock comes to what happens next to the machine, or may; none where it stands still before that.
fn due_in(view: &MachineView, world: &WorldView) -> Option<Duration> {
    let told = world.world.rules.schedule.next_due().filter(|at| *at > world.now);
    let due = view.machine.wakes_at().into_iter().chain(told).min()?;
    let wall = world.world.clock.wall_at(due)?;
    Some(Duration::from_millis(wall.saturating_sub(world.wall).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockEventStore, MockMachineStore, MockWorldStore, Position, StoreError};
    use cloudm_domain::Preset;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A wait for a machine that is made at the start of a world whose clock runs with the test's time.
    fn wait(preset: Preset) -> (WaitForMachine, MachineId) {
        let placed = fixtures::placed(preset, "web-1");
        let id = placed.machine.id;
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(move |asked| Ok((asked == id).then(|| placed.clone())));
        let mut world = MockWorldStore::new();
        let looks = AtomicU64::new(0);
        // Each look is half a minute after the one before.
        world.expect_read().returning(move || {
            let mut view = fixtures::view(preset, "0s");
            view.now = view.now.plus(cloudm_domain::Span::from_secs(30 * looks.fetch_add(1, Ordering::SeqCst)));
            Ok(view)
        });
        let mut events = MockEventStore::new();
        events.expect_position().returning(|| Ok(Position(vec![])));
        events.expect_wait().returning(|_| Err(StoreError::Unavailable("it tells nothing".into())));
        let (world, machines): (Arc<dyn WorldStore>, Arc<dyn MachineStore>) = (Arc::new(world), Arc::new(machines));
        let bell = Bell::new(world.clone(), Arc::new(events));
        (WaitForMachine { world, machines, bell }, id)
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_is_waited_for_as_the_clock_goes_on() {
        let (wait, id) = wait(Preset::Realistic);
        let seen = wait.run(id, &[MachineState::Running], Duration::from_secs(600)).await.unwrap();
        assert_eq!(seen.machine.state, MachineState::Running);
        assert!(wait.bell.is_quiet(), "nothing is left behind");
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_is_waited_for_until_it_is_at_rest() {
        let (wait, id) = wait(Preset::Realistic);
        let seen = wait.at_rest(id, Duration::from_secs(600)).await.unwrap().unwrap();
        assert_eq!(seen.machine.state, MachineState::Running);
        let absent = wait.at_rest(MachineId::from_bytes([0; 12]), Duration::from_secs(5)).await.unwrap();
        assert_eq!(absent, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_in_time_and_is_not_begun_for_what_is_not_there() {
        let (wait, id) = wait(Preset::Instant);
        let late = wait.run(id, &[MachineState::Stopped], Duration::from_secs(5)).await;
        assert!(matches!(late, Err(Error::WaitTimeout { state: MachineState::Running })), "{late:?}");
        let absent = wait.run(MachineId::from_bytes([0; 12]), &[MachineState::Running], Duration::from_secs(5)).await;
        assert!(matches!(absent, Err(Error::NoSuchMachine)));
    }
    #[test]
    fn who_waits_looks_again_when_machines_are_told() {
        let mut view = fixtures::view(Preset::Instant, "0s");
        let seen = view_at(fixtures::placed(Preset::Instant, "web-1"), view.now, &view.world.rules).unwrap().unwrap();
        assert_eq!(due_in(&seen, &view), None);
        let mut world = crate::ports::World::clone(&view.world);
        let (selector, at) = (cloudm_domain::Selector::default(), world.start.plus("5m".parse().unwrap()));
        let (kind, notice) = (cloudm_domain::ScheduleKind::SpotTermination, "1m".parse().unwrap());
        let rule = cloudm_domain::ScheduleRule { kind, selector, not_before: at, deadline: at, notice };
        world.rules.schedule.push(rule, world.start, world.seed);
        view.world = Arc::new(world);
        assert_eq!(due_in(&seen, &view), Some(Duration::from_secs(240)));
    }
}
