//! Deleting one machine.

use std::sync::Arc;

use cloudm_domain::{Machine, MachineId};

use super::{MachineCommands, MachineView};
use crate::error::Error;
use crate::idempotency::Stop;
use crate::writing::Writing;

/// Deletes one machine: it is terminated, and forgotten once it is TERMINATED.
pub struct DeleteMachine {
    pub(crate) commands: Arc<MachineCommands>,
}

impl DeleteMachine {
    /// The machine on its way, or TERMINATED where that took no time: then it is forgotten already.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::Refused`] where it is protected, [`Error::StruckDown`], [`Error::VersionMismatch`],
    /// [`Error::SettleLimit`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, id: MachineId, writing: Writing<MachineView>) -> Result<MachineView, Error> {
        let decide = |machine: Machine, cluster: &_, now, rules: &_| machine.delete_in(Some(cluster), now, rules);
        self.commands.run(id, &writing, decide).await.map_err(Stop::into_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockMachineStore;
    use cloudm_domain::{MachineState, Preset};

    async fn delete(preset: Preset, removes: bool) -> MachineView {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(move |_| Ok(Some(fixtures::placed(preset, "web-1"))));
        machines
            .expect_commit()
            .once()
            .withf(move |commit| commit.write.after.is_none() == removes)
            .returning(|_| Ok(()));
        let commands = Arc::new(fixtures::commands(fixtures::world_of(preset, "0s"), machines));
        let id = MachineId::from_bytes([0; 12]);
        DeleteMachine { commands }.run(id, Writing::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_machine_that_ends_at_once_is_removed_with_its_last_events() {
        assert_eq!(delete(Preset::Instant, true).await.machine.state, MachineState::Terminated);
    }

    #[tokio::test]
    async fn a_machine_whose_end_takes_time_stays_until_then() {
        assert_eq!(delete(Preset::Realistic, false).await.machine.state, MachineState::Terminating);
    }
}
