//! Machines for which there is no place.

use cloudm_domain::{Cluster, Code, Machine, MachineEvent, PlaceAsked, WorldRefusal};

use super::MachineCommands;
use crate::capacity::held;
use crate::error::Error;
use crate::idempotency::Stop;
use crate::ports::{MachineWrite, WorldView};

/// What a pool without a place left comes to.
fn full(cluster: &Cluster, machine_type: Code) -> Error {
    Error::InsufficientCapacity { region_code: cluster.region_code.clone(), machine_type }
}

/// What is written in the place of a write for which there is no place: that the world refused it. Nothing where it asks for none.
///
/// All that its machine is to be told by the view's now was told, or its cluster is given.
pub(crate) fn refused(
    write: &MachineWrite,
    cluster: Option<&Cluster>,
    view: &WorldView,
) -> Option<(PlaceAsked, MachineWrite)> {
    let asked = view.sizes()?.asked(write.before.as_ref(), &write.events)?;
    let why = WorldRefusal::InsufficientCapacity;
    let refused = match &write.before {
        None => MachineWrite { before: None, after: None, events: vec![write.events.first()?.refused(why)?] },
        Some(before) => {
            let refused = before.clone().refuse((asked.cause, why), cluster, view.now, &view.world.rules);
            MachineWrite { before: Some(before.clone()), after: Some(refused.machine), events: refused.events }
        }
    };
    Some((asked, refused))
}

impl MachineCommands {
    /// What a write comes to for which there was no place. The first time what is due is settled, for that may give places back, and
    /// it is to be tried again; then it is refused, and the history says so. Nothing where it is to be tried again, also because
    /// something changed meanwhile.
    pub(super) async fn without_place(
        &self,
        (write, waited): (Option<MachineWrite>, &mut bool),
        cluster: &Cluster,
        view: &WorldView,
    ) -> Result<Option<Error>, Stop> {
        if !std::mem::replace(waited, true) {
            self.settler.settle_all(view).await?;
            return Ok(None);
        }
        let Some((asked, refusal)) = write.and_then(|write| refused(&write, Some(cluster), view)) else {
            return Ok(None);
        };
        Ok(self.tell(refusal).await?.then(|| full(cluster, asked.machine_type)))
    }

    /// Fails where there is no place for what these events ask; for a dry run, which takes none.
    pub(super) async fn check_room(
        &self,
        cluster: &Cluster,
        (before, events): (Option<&Machine>, &[MachineEvent]),
        view: &WorldView,
    ) -> Result<(), Error> {
        let Some(sizes) = view.sizes() else { return Ok(()) };
        let Some(mut asked) = sizes.asked(before, events) else { return Ok(()) };
        self.settler.settle_all(view).await?;
        // Where it was due, what it held is given back by now.
        asked.holds &= !before.is_some_and(|before| before.is_due(Some(cluster), view.now, &view.world.rules));
        let held = held(&self.machines.counts().await?, &sizes, &cluster.region_code);
        let held = held.get(&asked.machine_type).copied().unwrap_or_default();
        let room = sizes.has_place(&cluster.region_code, &asked, held);
        if room { Ok(()) } else { Err(full(cluster, asked.machine_type)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures;
    use crate::machines::{CreateMachine, ImportMachines, MachineView, NewMachineRequest, OperateMachine};
    use crate::ports::{CommitError, MachineCount, MockClusterStore, MockMachineStore, PlacedMachine};
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
