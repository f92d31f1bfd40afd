//! Asking an operation of one machine.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Command, Machine, MachineId, Request};

use super::{MachineCommands, MachineView};
use crate::error::Error;
use crate::writing::{Reply, Writing};

/// Asks an operation of one machine.
pub struct OperateMachine {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl OperateMachine {
    /// The machine after the operation was begun, or found done.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::Refused`], [`Error::StruckDown`], [`Error::UnknownMachineType`], [`Error::VersionMismatch`], those of
    /// idempotency keys, [`Error::SettleLimit`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        id: MachineId,
        request: Request,
        writing: Writing<MachineView>,
    ) -> Result<Reply<MachineView>, Error> {
        let attempt = async {
            if let Command::Resize(code) = &request.command
                && self.catalogue.machine_type(code.as_str()).is_none()
            {
                return Err(Error::UnknownMachineType(code.clone()).into());
            }
            let decide =
                |machine: Machine, cluster: &_, now, rules: &_| machine.request_in(&request, Some(cluster), now, rules);
            self.commands.run(id, &writing, decide).await
        };
        self.commands.answers.once(&writing, Box::pin(attempt)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::machines::EditMachine;
    use crate::machines::command::MAX_ATTEMPTS;
    use crate::ports::{CommitError, MockMachineStore};
    use crate::writing::VersionMatch;
    use cloudm_domain::{Edit, MachineState, Operation, Preset, Refusal};

    fn machines(preset: Preset) -> MockMachineStore {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(move |_| Ok(Some(fixtures::placed(preset, "web-1"))));
        machines
    }

    async fn operate(
        machines: MockMachineStore,
        after: &'static str,
        request: impl Into<Request>,
        writing: Writing<MachineView>,
    ) -> Result<MachineView, Error> {
        let commands = fixtures::commands(fixtures::world_of(Preset::Realistic, after), machines);
        let operate = OperateMachine { commands: Arc::new(commands), catalogue: Arc::default() };
        match operate.run(MachineId::from_bytes([0; 12]), request.into(), writing).await? {
            Reply::Fresh(view) => Ok(view),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    #[tokio::test]
    async fn what_was_due_and_what_was_asked_are_one_write() {
        let mut machines = machines(Preset::Realistic);
        machines
            .expect_commit()
            .once()
            .withf(|commit| {
                let versions: Vec<_> = commit.write.events.iter().map(|event| event.version).collect();
                commit.write.before.as_ref().is_some_and(|before| before.version == 1) && versions == [2, 3, 4]
            })
            .returning(|_| Ok(()));
        let view = operate(machines, "10m", Command::Stop, Writing::default()).await.unwrap();
        assert_eq!((view.machine.state, view.machine.version), (MachineState::Stopping, 4));
    }

    #[tokio::test]
    async fn a_lost_race_is_decided_anew_a_bounded_number_of_times() {
        let mut lost_once = machines(Preset::Realistic);
        let mut results = [Err(CommitError::Conflict), Ok(())].into_iter();
        lost_once.expect_commit().times(2).returning(move |_| results.next().unwrap());
        assert!(operate(lost_once, "10m", Command::Stop, Writing::default()).await.is_ok());

        let mut always = machines(Preset::Realistic);
        always.expect_commit().times(MAX_ATTEMPTS).returning(|_| Err(CommitError::Conflict));
        let refused = operate(always, "10m", Command::Stop, Writing::default()).await;
        assert!(matches!(refused, Err(Error::Contention)));
    }

    #[tokio::test]
    async fn a_refusal_a_dry_run_and_work_found_done_write_nothing() {
        let refused = operate(machines(Preset::Realistic), "10m", Command::Resume, Writing::default()).await;
        assert!(refused.is_ok(), "RESUME finds a RUNNING machine resumed");
        let refused = operate(machines(Preset::Realistic), "0s", Command::Stop, Writing::default()).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::InProgress { operation: Operation::Stop, .. }))));
        let dry_run = Writing { dry_run: true, ..Writing::default() };
        let view = operate(machines(Preset::Realistic), "10m", Command::Stop, dry_run).await.unwrap();
        assert_eq!(view.machine.state, MachineState::Stopping);
    }

    #[tokio::test]
    async fn what_a_fault_refuses_is_told_once_it_is_written() {
        let struck = |dry_run| {
            let mut machines = machines(Preset::Realistic);
            let refused = |commit: &crate::ports::Commit| {
                commit.write.after.as_ref().is_some_and(|machine| machine.attempt == 1) && commit.keep.is_none()
            };
            let mut results = [Err(CommitError::Conflict), Ok(())].into_iter();
            let times = if dry_run { 0 } else { 2 };
            machines.expect_commit().times(times).withf(refused).returning(move |_| results.next().unwrap());
            let faults = vec![fixtures::refusing(cloudm_domain::Cause::Stop)];
            let commands = fixtures::commands(fixtures::world_with(faults, Preset::Realistic, "10m"), machines);
            OperateMachine { commands: Arc::new(commands), catalogue: Arc::default() }
        };
        for dry_run in [false, true] {
            let writing = Writing { dry_run, ..Writing::default() };
            let refused = struck(dry_run).run(MachineId::from_bytes([0; 12]), Command::Stop.into(), writing).await;
            assert!(matches!(refused, Err(Error::StruckDown(down)) if fixtures::is_refused(&down)));
        }
    }

    #[tokio::test]
    async fn another_version_than_expected_is_refused() {
        let writing = Writing { if_match: Some(VersionMatch::Versions(vec![1, 2])), ..Writing::default() };
        let refused = operate(machines(Preset::Realistic), "10m", Command::Stop, writing).await;
        assert!(matches!(refused, Err(Error::VersionMismatch { current: 3 })));
    }

    #[tokio::test]
    async fn a_resize_needs_a_type_of_the_catalogue() {
        let resize = Command::Resize("huge".parse().unwrap());
        let refused = operate(MockMachineStore::new(), "0s", resize, Writing::default()).await;
        assert!(matches!(refused, Err(Error::UnknownMachineType(_))));
    }

    /// A future is moved several times on its way to where it waits, as a whole.
    #[test]
    fn the_future_of_a_command_is_small() {
        let commands = Arc::new(fixtures::commands(fixtures::world(), MockMachineStore::new()));
        let id = fixtures::placed(Preset::Instant, "web-1").machine.id;
        let operate = OperateMachine { commands: commands.clone(), catalogue: Arc::default() };
        let edit = EditMachine { commands };
        let sizes = [
            size_of_val(&operate.run(id, Command::Stop.into(), Writing::default())),
            size_of_val(&edit.run(id, Edit::default(), Writing::default())),
        ];
        assert!(sizes.iter().all(|size| *size <= 1_536), "{sizes:?}");
    }
}
