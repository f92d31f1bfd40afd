//! Machines for which there is no place.

use cloudm_domain::{Cluster, Code, Machine, MachineEvent, NewMachine, PlaceAsked, WorldRefusal};

use super::command::Attempt;
use super::{MachineCommands, MachineView};
use crate::capacity::held;
use crate::error::Error;
use crate::idempotency::Stop;
use crate::ports::{CommitError, MachineWrite, WorldView};

/// What a pool without a place left comes to.
fn full(cluster: &Cluster, machine_type: Code) -> Error {
    Error::InsufficientCapacity { region_code: cluster.region_code.clone(), machine_type }
}

impl MachineCommands {
    /// Writes that a creation was refused; gives the refusal, or nothing where its id was used before.
    pub(crate) async fn refuse_creation(
        &self,
        new: NewMachine,
        cluster: &Cluster,
        view: &WorldView,
    ) -> Result<Option<Error>, Error> {
        let refused = full(cluster, new.machine_type.clone());
        let event = Machine::refuse_creation(new, view.now, WorldRefusal::InsufficientCapacity);
        let write = MachineWrite { before: None, after: None, events: vec![event] };
        match self.machines.commit(write.into()).await {
            Ok(()) => Ok(Some(refused)),
            Err(CommitError::IdUsed) => Ok(None),
            Err(error) => Err(Stop::from_commit(error).into_error()),
        }
    }

    /// Writes that a machine was refused a place.
    pub(super) async fn refuse_place(
        &self,
        stored: Machine,
        asked: PlaceAsked,
        view: &MachineView,
        world: &WorldView,
    ) -> Result<Attempt, Stop> {
        let why = WorldRefusal::InsufficientCapacity;
        let refused = stored.clone().refuse(asked.cause, why, view.now, &world.world.rules);
        let write = MachineWrite { before: Some(stored), after: Some(refused.machine), events: refused.events };
        match self.machines.commit(write.into()).await {
            Ok(()) => Err(full(&view.cluster, asked.machine_type).into()),
            Err(CommitError::Conflict) => Ok(Attempt::Lost),
            Err(error) => Err(Stop::from_commit(error)),
        }
    }

    /// Fails where there is no place for what these events ask; for a dry run, which takes none.
    pub(crate) async fn check_room(
        &self,
        cluster: &Cluster,
        (before, events): (Option<&Machine>, &[MachineEvent]),
        view: &WorldView,
    ) -> Result<(), Error> {
        let Some(sizes) = view.sizes() else { return Ok(()) };
        let Some(asked) = sizes.asked(before, events) else { return Ok(()) };
        self.settler.settle_all(view).await?;
        let held = held(&self.machines.counts().await?, &sizes, &cluster.region_code);
        let own = |machine: &Machine| !machine.is_due(view.now) && sizes.is_held_in(machine.state);
        let others = held.get(&asked.machine_type).copied().unwrap_or_default();
        let others = others.saturating_sub(u64::from(before.is_some_and(own)));
        let room = sizes.has_room(&cluster.region_code, &asked.machine_type, others);
        if room { Ok(()) } else { Err(full(cluster, asked.machine_type)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures;
    use crate::machines::{CreateMachine, ImportMachines, NewMachineRequest, OperateMachine};
    use crate::ports::{MachineCount, MockClusterStore, MockMachineStore, PlacedMachine};
    use crate::writing::{Reply, Writing};
    use cloudm_domain::{Cause, Change, Command, MachineState, Preset, Protection, Tags};

    fn stopped() -> PlacedMachine {
        let placed = fixtures::placed(Preset::Instant, "web-1");
        let view = fixtures::view(Preset::Instant, "0s");
        let stopped = placed.machine.request(&Command::Stop.into(), view.now, &view.world.rules).unwrap();
        PlacedMachine { machine: stopped.machine, cluster: placed.cluster }
    }

    fn request() -> NewMachineRequest {
        NewMachineRequest {
            name: "web-1".parse().unwrap(),
            cluster_name: "web".parse().unwrap(),
            tags: Tags::default(),
            machine_type: None,
            start: true,
            protection: Protection::default(),
        }
    }

    fn clusters() -> Arc<MockClusterStore> {
        let mut clusters = MockClusterStore::new();
        clusters.expect_find().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        Arc::new(clusters)
    }

    fn commands(machines: MockMachineStore) -> Arc<MachineCommands> {
        Arc::new(fixtures::commands(fixtures::full_world(Preset::Instant, "0s"), machines))
    }

    async fn start(machines: MockMachineStore, dry_run: bool) -> Result<MachineView, Error> {
        let operate = OperateMachine { commands: commands(machines), catalogue: Arc::default() };
        let writing = Writing { dry_run, ..Writing::default() };
        match operate.run(stopped().machine.id, Command::Start.into(), writing).await? {
            Reply::Fresh(view) => Ok(view),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    async fn create(machines: MockMachineStore, dry_run: bool) -> Result<MachineView, Error> {
        let create = CreateMachine { commands: commands(machines), clusters: clusters(), catalogue: Arc::default() };
        match create.run(request(), Writing { dry_run, ..Writing::default() }).await? {
            Reply::Fresh(view) => Ok(view),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    /// A store without a place, for so many askers, that writes refusals; what is due is asked for once.
    fn full(asked: usize) -> MockMachineStore {
        let mut machines = MockMachineStore::new();
        machines.expect_get().returning(|_| Ok(Some(stopped())));
        machines.expect_due().once().returning(|_, _| Ok(vec![]));
        let no_place = |commit: &crate::ports::Commit| commit.sizes.is_some();
        machines.expect_commit().times(asked).withf(no_place).returning(|_| Err(CommitError::NoPlace));
        machines
    }

    fn is_full<T>(result: &Result<T, Error>) -> bool {
        matches!(result, Err(Error::InsufficientCapacity { region_code, machine_type })
            if region_code.as_str() == "A" && machine_type.as_str() == "small")
    }

    #[tokio::test]
    async fn without_a_place_what_is_due_is_settled_and_then_it_is_refused_and_told() {
        let mut machines = full(2);
        machines
            .expect_commit()
            .once()
            .withf(|commit| {
                let refused = |change: &Change| matches!(change, Change::Refused { cause: Cause::Start, .. });
                let after = commit.write.after.as_ref().unwrap();
                let told = commit.write.events.iter().all(|event| refused(&event.change));
                commit.sizes.is_none() && commit.keep.is_none() && told && after.state == MachineState::Stopped
            })
            .returning(|_| Ok(()));
        assert!(is_full(&start(machines, false).await));
    }

    #[tokio::test]
    async fn a_place_that_was_given_back_meanwhile_is_taken() {
        let mut machines = full(1);
        machines.expect_commit().once().withf(|commit| commit.write.events.len() == 2).returning(|_| Ok(()));
        assert_eq!(start(machines, false).await.unwrap().machine.state, MachineState::Running);
    }

    #[tokio::test]
    async fn a_creation_that_is_refused_is_told_under_the_id_it_would_have_had() {
        let mut machines = full(3);
        machines.expect_id_used().returning(|_| Ok(false));
        let mut used = [Err(CommitError::IdUsed), Ok(())].into_iter();
        let unmade =
            |commit: &crate::ports::Commit| commit.write.unmade().is_some_and(|one| one.name.as_str() == "web-1");
        machines.expect_commit().times(2).withf(unmade).returning(move |_| used.next().unwrap());
        assert!(is_full(&create(machines, false).await), "also where its id was used before");
    }

    #[tokio::test]
    async fn a_dry_run_is_refused_and_writes_nothing() {
        let counted = || {
            let mut machines = MockMachineStore::new();
            machines.expect_get().returning(|_| Ok(Some(stopped())));
            machines.expect_holder().returning(|_, _| Ok(None));
            machines.expect_due().returning(|_, _| Ok(vec![]));
            machines.expect_counts().once().returning(|| {
                let (cluster, machine_type) = (Arc::new(fixtures::cluster()), "small".parse().unwrap());
                Ok(vec![MachineCount { cluster, machine_type, state: MachineState::Running, count: 3 }])
            });
            machines
        };
        assert!(is_full(&start(counted(), true).await));
        assert!(is_full(&create(counted(), true).await));
    }

    #[tokio::test]
    async fn of_an_import_each_without_a_place_is_refused() {
        let mut machines = full(0);
        let mut calls = 0;
        machines.expect_commit_all().times(2).returning(move |writes, sizes| {
            assert!(sizes.is_some());
            calls += 1;
            let made = |number| if calls == 1 && number == 0 { Ok(()) } else { Err(CommitError::NoPlace) };
            Ok((0..writes.len()).map(made).collect())
        });
        machines.expect_commit().once().withf(|commit| commit.write.unmade().is_some()).returning(|_| Ok(()));
        let import = ImportMachines { commands: commands(machines), clusters: clusters(), catalogue: Arc::default() };
        let asked = vec![request(), NewMachineRequest { name: "web-2".parse().unwrap(), ..request() }];
        let made = import.run(asked).await.unwrap();
        assert!(made[0].is_ok() && is_full(&made[1]));
    }
}
