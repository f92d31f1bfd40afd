//! Reading one machine.

use std::sync::Arc;

use cloudm_domain::MachineId;
use futures_util::future::try_join;

use super::{MachineView, view_at};
use crate::error::Error;
use crate::ports::{MachineStore, WorldStore};

/// Reads one machine as it is now, and writes nothing.
pub struct GetMachine {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
}

impl GetMachine {
    /// The machine with this id.
    ///
    /// # Errors
    /// [`Error::NoSuchMachine`], [`Error::SettleLimit`], [`Error::Store`].
    pub async fn run(&self, id: MachineId) -> Result<MachineView, Error> {
        // Side by side, for a database is asked for both.
        let (placed, view) = try_join(self.machines.get(id), self.world.read()).await?;
        let placed = placed.ok_or(Error::NoSuchMachine)?;
        view_at(placed, view.now, &view.world.rules)?.ok_or(Error::NoSuchMachine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockMachineStore;
    use cloudm_domain::{MachineState, Preset};

    async fn get(preset: Preset, after: &'static str, delete: bool) -> Result<MachineView, Error> {
        let mut placed = fixtures::placed(preset, "web-1");
        if delete {
            let start = fixtures::view(preset, "0s");
            placed.machine = placed.machine.delete(start.now, &start.world.rules).unwrap().machine;
        }
        let id = placed.machine.id;
        let mut machines = MockMachineStore::new();
        machines.expect_get().return_once(move |_| Ok(Some(placed)));
        GetMachine { world: Arc::new(fixtures::world_of(preset, after)), machines: Arc::new(machines) }.run(id).await
    }

    #[tokio::test]
    async fn a_machine_is_shown_as_it_is_now_and_nothing_is_written() {
        let view = get(Preset::Realistic, "10m", false).await.unwrap();
        assert_eq!((view.machine.state, view.machine.version), (MachineState::Running, 3));
    }

    #[tokio::test]
    async fn a_deleted_machine_is_gone_once_terminated_settler_or_not() {
        assert_eq!(get(Preset::Realistic, "0s", true).await.unwrap().machine.state, MachineState::Terminating);
        assert!(matches!(get(Preset::Realistic, "10m", true).await, Err(Error::NoSuchMachine)));
    }

    #[tokio::test]
    async fn an_unknown_id_is_absent() {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(None));
        let get = GetMachine { world: Arc::new(fixtures::world()), machines: Arc::new(machines) };
        assert!(matches!(get.run(MachineId::from_bytes([0; 12])).await, Err(Error::NoSuchMachine)));
    }
}
