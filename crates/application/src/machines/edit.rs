//! Changing a machine's name, tags and protection.

use std::sync::Arc;

use cloudm_domain::{Edit, Machine, MachineId};

use super::{MachineCommands, MachineView};
use crate::error::Error;
use crate::idempotency::Stop;
use crate::writing::Writing;

/// Changes a machine's name, tags and protection.
pub struct EditMachine {
    pub(crate) commands: Arc<MachineCommands>,
}

impl EditMachine {
    /// The machine after the change.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::Refused`] where it is TERMINATED, [`Error::NameTaken`],
    /// [`Error::VersionMismatch`], [`Error::SettleLimit`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, id: MachineId, edit: Edit, writing: Writing<MachineView>) -> Result<MachineView, Error> {
        let decide = |machine: Machine, cluster: &_, now, rules: &_| machine.edit_in(&edit, Some(cluster), now, rules);
        self.commands.run(id, &writing, decide).await.map_err(Stop::into_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{CommitError, MockMachineStore};
    use cloudm_domain::Preset;

    fn rename() -> Edit {
        Edit { name: Some("web-2".parse().unwrap()), ..Edit::default() }
    }

    async fn edit(machines: MockMachineStore, dry_run: bool) -> Result<MachineView, Error> {
        let commands = Arc::new(fixtures::commands(fixtures::world(), machines));
        let writing = Writing { dry_run, ..Writing::default() };
        EditMachine { commands }.run(MachineId::from_bytes([0; 12]), rename(), writing).await
    }

    fn machines() -> MockMachineStore {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(Some(fixtures::placed(Preset::Instant, "web-1"))));
        machines
    }

    #[tokio::test]
    async fn a_rename_is_one_event() {
        let mut machines = machines();
        machines
            .expect_commit()
            .once()
            .withf(|commit| {
                let before = commit.write.before.as_ref().is_some_and(|before| before.version == 3);
                before && commit.write.after.is_some() && commit.write.events.len() == 1
            })
            .returning(|_| Ok(()));
        assert_eq!(edit(machines, false).await.unwrap().machine.name.as_str(), "web-2");
    }

    #[tokio::test]
    async fn a_name_that_another_holds_is_refused_also_dry() {
        for dry_run in [false, true] {
            let mut machines = machines();
            machines.expect_commit().returning(|_| Err(CommitError::NameTaken));
            machines.expect_holder().returning(|_, _| Ok(Some(fixtures::created(Preset::Instant, "web-2").machine)));
            assert!(matches!(edit(machines, dry_run).await, Err(Error::NameTaken)));
        }
    }
}
