//! Making one machine.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Cluster, Code, Machine, MachineId, Name, NewMachine, Outcome, Protection, Tags};

use super::counted::attempts;
use super::import::machine_type;
use super::{MachineCommands, MachineView};
use crate::error::Error;
use crate::idempotency::Stop;
use crate::ids::least_unused;
use crate::ports::{ClusterStore, Commit, CommitError, MachineWrite, WorldView};
use crate::writing::{Reply, Writing};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachineRequest {
    /// Its name.
    pub name: Name,
    /// The name of the cluster to make it in.
    pub cluster_name: Name,
    /// Its tags.
    pub tags: Tags,
    /// Its machine type; the catalogue's first where none is given.
    pub machine_type: Option<Code>,
    /// Whether it goes on to RUNNING; else it ends STOPPED.
    pub start: bool,
    /// What it refuses.
    pub protection: Protection,
}

/// Makes one machine.
pub struct CreateMachine {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) catalogue: Arc<Catalogue>,
}

/// What came of one attempt.
enum Attempt {
    Done(Box<MachineView>),
    /// The id of this number was used before.
    IdUsed,
    /// Something changed meanwhile.
    Lost,
}

impl CreateMachine {
    /// The machine after its creation was begun.
    ///
    /// # Errors
    /// [`Error::UnknownCluster`], [`Error::UnknownMachineType`], [`Error::NameTaken`], [`Error::StruckDown`], [`Error::InsufficientCapacity`],
    /// [`Error::Settling`], those of idempotency keys, [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        request: NewMachineRequest,
        writing: Writing<MachineView>,
    ) -> Result<Reply<MachineView>, Error> {
        self.commands.answers.once(&writing, Box::pin(self.create(&request, &writing))).await
    }

    async fn create(&self, request: &NewMachineRequest, writing: &Writing<MachineView>) -> Result<MachineView, Stop> {
        let machine_type = machine_type(&self.catalogue, request.machine_type.as_ref())?;
        let (mut k, mut waited) = (0, false);
        for attempt in 0.. {
            let cluster = self.clusters.find(&request.cluster_name).await?;
            let cluster = cluster.ok_or_else(|| Error::UnknownCluster(request.cluster_name.clone()))?;
            let (world, turn) = self.commands.deciding(None).await?;
            if attempt >= attempts(&turn) {
                break;
            }
            let cluster_id = cluster.id;
            let id = |k| MachineId::of(world.world.seed, cluster_id, &request.name, world.now, k);
            let new = NewMachine {
                id: id(k),
                cluster_id,
                name: request.name.clone(),
                machine_type: machine_type.clone(),
                tags: request.tags.clone(),
                protection: request.protection,
                start: request.start,
            };
            let outcome = Machine::create_in(new, Some(&cluster), world.now, &world.world.rules);
            match self.attempt((outcome, &mut waited), cluster, &world, writing).await? {
                Attempt::Done(view) => return Ok(*view),
                Attempt::IdUsed => k = least_unused(|k| self.commands.machines.id_used(id(k))).await?,
                // In another second the numbers begin anew.
                Attempt::Lost => k = 0,
            }
        }
        Err(Error::Contention.into())
    }

    async fn attempt(
        &self,
        (outcome, waited): (Outcome, &mut bool),
        cluster: Arc<Cluster>,
        world: &WorldView,
        writing: &Writing<MachineView>,
    ) -> Result<Attempt, Stop> {
        let view = MachineView { machine: outcome.machine, cluster, now: world.now };
        let (cluster, name) = (view.cluster.id, view.machine.name.clone());
        if let Some(down) = outcome.struck_down {
            if !self.commands.free_name(cluster, &name, world).await? {
                return Err(Error::NameTaken.into());
            }
            let write = MachineWrite { before: None, after: None, events: outcome.events };
            let id = view.machine.id;
            self.commands.strike_down((write, down), writing.dry_run).await?;
            let used = self.commands.machines.id_used(id).await?;
            return Ok(if used { Attempt::IdUsed } else { Attempt::Lost });
        }
        if writing.dry_run {
            if !self.commands.free_name(cluster, &name, world).await? {
                return Err(Error::NameTaken.into());
            }
            self.commands.check_room(&view.cluster, (None, &outcome.events), world).await?;
            let used = self.commands.machines.id_used(view.machine.id).await?;
            return Ok(if used { Attempt::IdUsed } else { Attempt::Done(Box::new(view)) });
        }
        let keep = writing.keep(&view, world.wall);
        let write = MachineWrite { before: None, after: Some(view.machine.clone()), events: outcome.events };
        let sizes = world.sizes();
        let asking = sizes.is_some().then(|| write.clone());
        match self.commands.machines.commit(Commit { write, keep, sizes }).await {
            Ok(()) => Ok(Attempt::Done(Box::new(view))),
            Err(CommitError::IdUsed) => Ok(Attempt::IdUsed),
            Err(CommitError::NoCluster | CommitError::Miscounted) => Ok(Attempt::Lost),
            Err(CommitError::NameTaken) if self.commands.free_name(cluster, &name, world).await? => Ok(Attempt::Lost),
            Err(CommitError::NoPlace) => {
                match self.commands.without_place((asking, waited), &view.cluster, world).await? {
                    Some(refused) => Err(refused.into()),
                    None => Ok(Attempt::Lost),
                }
            }
            Err(error) => Err(Stop::from_commit(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockClusterStore, MockMachineStore};
    use cloudm_domain::{MachineState, Preset};

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

    async fn create(
        machines: MockMachineStore,
        request: NewMachineRequest,
        after: &'static str,
        dry_run: bool,
    ) -> Result<MachineView, Error> {
        let mut clusters = MockClusterStore::new();
        clusters.expect_find().returning(|name| Ok((name.as_str() == "web").then(|| Arc::new(fixtures::cluster()))));
        let commands = Arc::new(fixtures::commands(fixtures::world_of(Preset::Instant, after), machines));
        let create = CreateMachine { commands, clusters: Arc::new(clusters), catalogue: Arc::default() };
        match create.run(request, Writing { dry_run, ..Writing::default() }).await? {
            Reply::Fresh(view) => Ok(view),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    #[tokio::test]
    async fn a_machine_of_the_first_type_is_made_whole_in_one_commit() {
        let mut machines = MockMachineStore::new();
        machines.expect_commit().once().withf(|commit| commit.write.events.len() == 3).returning(|_| Ok(()));
        let view = create(machines, request(), "0s", false).await.unwrap();
        assert_eq!((view.machine.state, view.machine.machine_type.as_str()), (MachineState::Running, "small"));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_named() {
        let elsewhere = NewMachineRequest { cluster_name: "db".parse().unwrap(), ..request() };
        let refused = create(MockMachineStore::new(), elsewhere, "0s", false).await;
        assert!(matches!(refused, Err(Error::UnknownCluster(name)) if name.as_str() == "db"));
        let huge = NewMachineRequest { machine_type: Some("huge".parse().unwrap()), ..request() };
        assert!(matches!(create(MockMachineStore::new(), huge, "0s", false).await, Err(Error::UnknownMachineType(_))));
    }

    #[tokio::test]
    async fn a_used_id_leads_to_the_least_unused_one() {
        let view = fixtures::view(Preset::Instant, "0s");
        let id = move |k| MachineId::of(view.world.seed, fixtures::cluster().id, &request().name, view.now, k);
        let used = {
            let id = id.clone();
            move |asked: MachineId| (0..3).any(|k| id(k) == asked)
        };
        let mut machines = MockMachineStore::new();
        let used_too = used.clone();
        machines.expect_id_used().returning(move |asked| Ok(used_too(asked)));
        machines.expect_commit().times(2).returning(move |commit| match commit.write.after {
            Some(machine) if !used(machine.id) => Ok(()),
            _ => Err(CommitError::IdUsed),
        });
        assert_eq!(create(machines, request(), "0s", false).await.unwrap().machine.id, id(3));
    }

    #[tokio::test]
    async fn what_a_fault_refuses_is_told_once_it_is_written() {
        let faults = || vec![fixtures::refusing(cloudm_domain::Cause::Create)];
        let mut machines = MockMachineStore::new();
        machines.expect_holder().returning(|_, _| Ok(None));
        machines.expect_id_used().returning(|id| Ok(id.as_bytes()[11] & 1 == 0));
        let mut results = [Err(CommitError::IdUsed), Ok(())].into_iter();
        let unmade = |commit: &Commit| commit.write.unmade().is_some() && commit.write.is_whole();
        machines.expect_commit().times(2).withf(unmade).returning(move |_| results.next().unwrap());
        let mut clusters = MockClusterStore::new();
        clusters.expect_find().returning(|_| Ok(Some(Arc::new(fixtures::cluster()))));
        let commands = Arc::new(fixtures::commands(fixtures::world_with(faults(), Preset::Instant, "0s"), machines));
        let create = CreateMachine { commands, clusters: Arc::new(clusters), catalogue: Arc::default() };
        let refused = create.run(request(), Writing::default()).await;
        assert!(matches!(refused, Err(Error::StruckDown(down)) if fixtures::is_refused(&down)));
    }

    #[tokio::test]
    async fn a_held_name_is_refused_also_dry() {
        for dry_run in [false, true] {
            let mut machines = MockMachineStore::new();
            machines.expect_commit().returning(|_| Err(CommitError::NameTaken));
            machines.expect_holder().returning(|_, _| Ok(Some(fixtures::created(Preset::Instant, "web-1").machine)));
            assert!(matches!(create(machines, request(), "0s", dry_run).await, Err(Error::NameTaken)));
        }
    }

    #[tokio::test]
    async fn a_holder_whose_end_is_due_is_settled_first() {
        let start = fixtures::view(Preset::Realistic, "0s");
        let made = fixtures::created(Preset::Realistic, "web-1").machine;
        let ending = made.delete(start.now, &start.world.rules).unwrap().machine;
        let mut machines = MockMachineStore::new();
        machines.expect_holder().once().return_once(|_, _| Ok(Some(ending)));
        let mut taken = [true, false].into_iter();
        machines.expect_commit().times(3).returning(move |commit| match (commit.write.before, commit.write.after) {
            (None, Some(_)) if taken.next().unwrap() => Err(CommitError::NameTaken),
            (None, _) | (_, None) => Ok(()),
            (Some(_), Some(_)) => panic!("the holder is to be forgotten"),
        });
        assert!(create(machines, request(), "10m", false).await.is_ok());
    }
}
