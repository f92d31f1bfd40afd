//! Making many machines at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_domain::{Catalogue, Cluster, Code, Machine, MachineId, Name, NewMachine, StruckDown};

use super::counted::attempts;
use super::{MachineCommands, NewMachineRequest};
use crate::error::Error;
use crate::idempotency::Stop;
use crate::ids::least_unused;
use crate::ports::{ClusterStore, CommitError, MachineWrite, WorldView};

/// Makes many machines at once, each of which is made or refused by itself.
pub struct ImportMachines {
    pub(crate) commands: Arc<MachineCommands>,
    pub(crate) clusters: Arc<dyn ClusterStore>,
    pub(crate) catalogue: Arc<Catalogue>,
}

/// A machine that is still to be made.
struct Waiting {
    /// Its place among those that were asked for.
    place: usize,
    request: NewMachineRequest,
    cluster: Arc<Cluster>,
    machine_type: Code,
    k: u32,
    /// Whether there was no place for it, and what was due has been settled since.
    waited: bool,
}

impl ImportMachines {
    /// The most machines of one call: more share no commit.
    pub const MAX: usize = 256;

    /// Makes the machines, in their order; says of each whether it was made, or why not.
    ///
    /// The whole call fails only where the store does: then some may have been made.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`]. Of each: [`Error::UnknownCluster`], [`Error::UnknownMachineType`],
    /// [`Error::NameTaken`], [`Error::StruckDown`], [`Error::InsufficientCapacity`], [`Error::Contention`].
    pub async fn run(&self, requests: Vec<NewMachineRequest>) -> Result<Vec<Result<(), Error>>, Error> {
        let mut made: Vec<_> = requests.iter().map(|_| Err(Error::Contention)).collect();
        let mut waiting = self.check(requests, &mut made).await?;
        for attempt in 0.. {
            if waiting.is_empty() {
                break;
            }
            let (mut view, turn) = self.commands.deciding(None).await?;
            if attempt >= attempts(&turn) {
                break;
            }
            let (mut writes, mut struck) = (Vec::with_capacity(waiting.len()), Vec::with_capacity(waiting.len()));
            for one in &waiting {
                let (write, down) = creation(one, &view);
                view.note(&write.events);
                writes.push(write);
                struck.push(down);
            }
            let written = self.commands.machines.commit_all(writes, view.sizes()).await?;
            let mut again = Vec::new();
            for ((mut one, down), written) in waiting.into_iter().zip(struck).zip(written) {
                match self.again(&mut one, written, &view).await? {
                    Some(end) => made[one.place] = end.and(down.map_or(Ok(()), |down| Err(Error::StruckDown(down)))),
                    None => again.push(one),
                }
            }
            waiting = again;
        }
        Ok(made)
    }

    /// Those that may be made; why the others are not is put in their places.
    async fn check(
        &self,
        requests: Vec<NewMachineRequest>,
        made: &mut [Result<(), Error>],
    ) -> Result<Vec<Waiting>, Error> {
        let mut clusters: BTreeMap<Name, Option<Arc<Cluster>>> = BTreeMap::new();
        let mut waiting = Vec::with_capacity(requests.len());
        for (place, request) in requests.into_iter().enumerate() {
            if !clusters.contains_key(&request.cluster_name) {
                let found = self.clusters.find(&request.cluster_name).await?;
                clusters.insert(request.cluster_name.clone(), found);
            }
            let cluster = clusters.get(&request.cluster_name).and_then(Option::clone);
            let checked = cluster
                .ok_or_else(|| Error::UnknownCluster(request.cluster_name.clone()))
                .and_then(|cluster| Ok((cluster, machine_type(&self.catalogue, request.machine_type.as_ref())?)));
            match checked {
                Ok((cluster, machine_type)) => {
                    waiting.push(Waiting { place, request, cluster, machine_type, k: 0, waited: false });
                }
                Err(why) => made[place] = Err(why),
            }
        }
        Ok(waiting)
    }

    /// What came of a machine in the end; nothing where it is tried again.
    async fn again(
        &self,
        one: &mut Waiting,
        written: Result<(), CommitError>,
        view: &WorldView,
    ) -> Result<Option<Result<(), Error>>, Error> {
        let error = match written {
            Ok(()) => return Ok(Some(Ok(()))),
            Err(error) => error,
        };
        match error {
            CommitError::IdUsed => {
                one.k = least_unused(|k| self.commands.machines.id_used(id(one, view, k))).await?;
                Ok(None)
            }
            CommitError::NameTaken => {
                let free = self.commands.free_name(one.cluster.id, &one.request.name, view).await?;
                Ok((!free).then_some(Err(Error::NameTaken)))
            }
            CommitError::NoCluster => Ok(Some(Err(Error::UnknownCluster(one.request.cluster_name.clone())))),
            CommitError::NoPlace => {
                let asking = Some(creation(one, view).0);
                let refused = self.commands.without_place((asking, &mut one.waited), &one.cluster, view).await;
                Ok(refused.map_err(Stop::into_error)?.map(Err))
            }
            CommitError::Store(error) => Err(error.into()),
            CommitError::Conflict | CommitError::KeyTaken | CommitError::Miscounted => Ok(None),
        }
    }
}

/// Fails where the catalogue has no such machine type.
pub(crate) fn check_machine_type(catalogue: &Catalogue, code: &Code) -> Result<(), Error> {
    let known = catalogue.machine_type(code.as_str()).is_some();
    if known { Ok(()) } else { Err(Error::UnknownMachineType(code.clone())) }
}

/// The machine type that is asked for, or the catalogue's first.
pub(crate) fn machine_type(catalogue: &Catalogue, asked: Option<&Code>) -> Result<Code, Error> {
    match asked {
        None => Ok(catalogue.default_machine_type().code.clone()),
        Some(code) => check_machine_type(catalogue, code).map(|()| code.clone()),
    }
}

fn id(one: &Waiting, view: &WorldView, k: u32) -> MachineId {
    MachineId::of(view.world.seed, one.cluster.id, &one.request.name, view.now, k)
}

/// What to write for a machine to make, and the fault that refuses it.
fn creation(one: &Waiting, view: &WorldView) -> (MachineWrite, Option<Box<StruckDown>>) {
    let new = NewMachine {
        id: id(one, view, one.k),
        cluster_id: one.cluster.id,
        name: one.request.name.clone(),
        machine_type: one.machine_type.clone(),
        tags: one.request.tags.clone(),
        protection: one.request.protection,
        start: one.request.start,
    };
    let outcome = Machine::create_in(new, Some(&one.cluster), view.now, &view.world.rules);
    let after = outcome.struck_down.is_none().then_some(outcome.machine);
    (MachineWrite { before: None, after, events: outcome.events }, outcome.struck_down)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockClusterStore, MockMachineStore};
    use cloudm_domain::{Preset, Protection, Tags};

    fn request(name: &str, cluster: &str) -> NewMachineRequest {
        NewMachineRequest {
            name: name.parse().unwrap(),
            cluster_name: cluster.parse().unwrap(),
            tags: Tags::default(),
            machine_type: None,
            start: true,
            protection: Protection::default(),
        }
    }

    #[tokio::test]
    async fn each_is_made_or_refused_by_itself() {
        let mut clusters = MockClusterStore::new();
        let web = |name: &Name| (name.as_str() == "web").then(|| Arc::new(fixtures::cluster()));
        clusters.expect_find().times(2).returning(move |name| Ok(web(name)));
        let mut machines = MockMachineStore::new();
        let mut calls = 0;
        machines.expect_commit_all().times(2).returning(move |writes, _| {
            calls += 1;
            let (id_used, taken) = (Err(CommitError::IdUsed), Err(CommitError::NameTaken));
            Ok(if calls == 1 { vec![Ok(()), id_used, taken] } else { writes.iter().map(|_| Ok(())).collect() })
        });
        machines.expect_id_used().returning(|_| Ok(false));
        machines
            .expect_holder()
            .returning(|_, name| Ok(Some(fixtures::created(Preset::Realistic, name.as_str()).machine)));
        let commands = Arc::new(fixtures::commands(fixtures::world(), machines));
        let import = ImportMachines { commands, clusters: Arc::new(clusters), catalogue: Arc::default() };
        let huge = NewMachineRequest { machine_type: Some("huge".parse().unwrap()), ..request("e", "web") };
        let asked = vec![request("a", "web"), request("b", "db"), request("c", "web"), request("d", "web"), huge];
        let made = import.run(asked).await.unwrap();
        assert!(made[0].is_ok() && made[2].is_ok());
        assert!(matches!(made[1], Err(Error::UnknownCluster(_))));
        assert!(matches!(made[3], Err(Error::NameTaken)));
        assert!(matches!(made[4], Err(Error::UnknownMachineType(_))));
    }
}
