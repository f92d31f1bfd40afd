//! Every way to write, each tried on a world of its own.

use cloudm_application::ports::{
    ClusterCommit, ClusterWrite, Commit, KeptAnswer, NewWorld, Store, World, WorldCommit, WorldPorts,
};
use cloudm_domain::{Clock, Cluster, Incarnation, Machine, Preset, Rules};
use cloudm_persistence_contract::builders::{
    self, FOREVER, after, answer, cluster, create, draft, events, new_world, remove, renamed, touched, update,
};

use crate::fleets::Fleet;

/// A way to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    MakeWorld,
    ResetWorld,
    DeleteWorld,
    MoveClock,
    CreateCluster,
    EditCluster,
    DeleteCluster,
    CreateMachine,
    UpdateMachine,
    RenameMachine,
    RemoveMachine,
    KeepAnswer,
    PurgeAnswers,
    ForgetMachine,
    WriteMany,
    AcceptOperation,
    ClaimOperation,
    WorkMachines,
    WorkDecisions,
    WorkToTheEnd,
    EndOperation,
    PurgeOperations,
}

impl Way {
    pub(crate) const ALL: [Self; 22] = [
        Self::MakeWorld,
        Self::ResetWorld,
        Self::DeleteWorld,
        Self::MoveClock,
        Self::CreateCluster,
        Self::EditCluster,
        Self::DeleteCluster,
        Self::CreateMachine,
        Self::UpdateMachine,
        Self::RenameMachine,
        Self::RemoveMachine,
        Self::KeepAnswer,
        Self::PurgeAnswers,
        Self::ForgetMachine,
        Self::WriteMany,
        Self::AcceptOperation,
        Self::ClaimOperation,
        Self::WorkMachines,
        Self::WorkDecisions,
        Self::WorkToTheEnd,
        Self::EndOperation,
        Self::PurgeOperations,
    ];

    /// Whether it is of many machines, or of operations on them.
    fn is_of_fleets(self) -> bool {
        Self::ALL[13..].contains(&self)
    }
}

/// A world in which one write is tried.
pub(crate) struct Trial {
    way: Way,
    new: NewWorld,
    web: Cluster,
    machine: Machine,
    rules: Rules,
}

/// What the wall says all the time.
const WALL: u64 = 1_900_000_000_000;

/// The key of the answer that each write of a machine or cluster keeps.
pub(crate) const KEY: &str = "key";

impl Trial {
    /// Makes a world with what the write needs, through a store that nothing happens to.
    pub(crate) async fn prepare(store: &dyn Store, way: Way, number: u32) -> Self {
        let mut incarnation = [7; 12];
        incarnation[..4].copy_from_slice(&number.to_be_bytes());
        let name = format!("world-{number}").parse().unwrap();
        let new = NewWorld { name, incarnation: Incarnation::from_bytes(incarnation), ..new_world("any", 1) };
        let rules = Rules::new(builders::seed(), Preset::Instant.behaviour());
        let web = cluster("web");
        let made = draft(&web, "a").made(&rules);
        let trial = Self { way, new, web, machine: made.machine.clone(), rules };
        if way == Way::MakeWorld {
            return trial;
        }
        let ports = store.ensure_world(trial.new.clone()).await.unwrap();
        if way != Way::CreateCluster {
            let write = ClusterWrite::Create(trial.web.clone());
            ports.clusters.commit(ClusterCommit { write, keep: None }).await.unwrap();
        }
        if [Way::UpdateMachine, Way::RenameMachine, Way::RemoveMachine].contains(&way) {
            ports.machines.commit(create(made)).await.unwrap();
        }
        if way.is_of_fleets() {
            trial.fleet().prepare(&ports).await;
        }
        if way == Way::PurgeAnswers {
            assert!(ports.answers.keep(answer("old", 100), 0).await.unwrap());
        }
        trial
    }

    fn fleet(&self) -> Fleet<'_> {
        Fleet { way: self.way, web: &self.web, machine: &self.machine, rules: &self.rules }
    }

    async fn open(&self, store: &dyn Store) -> WorldPorts {
        store.open_world(&self.new.name).await.unwrap().unwrap()
    }

    /// Opens the world through the store that things happen to.
    pub(crate) async fn ready(&self, store: &dyn Store) -> Option<WorldPorts> {
        if self.way == Way::MakeWorld { None } else { Some(self.open(store).await) }
    }

    /// Writes.
    pub(crate) async fn write(&self, store: &dyn Store, ports: Option<&WorldPorts>) -> Result<(), String> {
        let Some(ports) = ports else {
            return store.ensure_world(self.new.clone()).await.map(drop).map_err(|error| error.to_string());
        };
        match self.way {
            Way::ResetWorld => return text(store.replace_world(self.new.incarnation, self.anew()).await.map(drop)),
            Way::DeleteWorld => return text(store.delete_world(&self.new.name, self.new.incarnation).await),
            way if way.is_of_fleets() => return self.fleet().write(ports).await,
            _ => {}
        }
        let keep = Some(answer(KEY, FOREVER));
        let cluster = |write| ClusterCommit { write, keep: keep.clone() };
        let commit = |commit: Commit| Commit { keep: keep.clone(), ..commit };
        let (web, machine) = (&self.web, &self.machine);
        let written = match self.way {
            Way::MoveClock => return text(ports.world.commit(self.moved(keep)).await),
            Way::CreateCluster => return text(ports.clusters.commit(cluster(ClusterWrite::Create(web.clone()))).await),
            Way::EditCluster => {
                let write = ClusterWrite::Update { expected: 1, cluster: renamed(web, "front"), sizes: None };
                return text(ports.clusters.commit(cluster(write)).await);
            }
            Way::DeleteCluster => {
                let write = ClusterWrite::Delete { id: web.id, expected: 1, at: cloudm_domain::Instant::DEFAULT_START };
                return text(ports.clusters.commit(cluster(write)).await);
            }
            Way::KeepAnswer => {
                let kept = ports.answers.keep(answer(KEY, FOREVER), 0).await;
                return kept.map_err(|error| error.to_string()).map(|kept| assert!(kept));
            }
            Way::PurgeAnswers => {
                return ports.answers.purge(100, 10).await.map(drop).map_err(|error| error.to_string());
            }
            Way::CreateMachine => create(draft(web, "a").made(&self.rules)),
            Way::UpdateMachine => update(machine, touched(machine, &self.rules)),
            Way::RenameMachine => update(machine, builders::named(machine, "b", &self.rules)),
            Way::RemoveMachine => remove(machine, touched(machine, &self.rules).events),
            way => return Err(format!("{way:?} is tried elsewhere")),
        };
        text(ports.machines.commit(commit(written)).await)
    }

    /// The world that takes the place of this one.
    fn anew(&self) -> NewWorld {
        let mut incarnation = *self.new.incarnation.as_bytes();
        incarnation[11] = 8;
        NewWorld { incarnation: Incarnation::from_bytes(incarnation), ..self.new.clone() }
    }

    /// The clock of the world a minute on.
    fn moved(&self, keep: Option<KeptAnswer>) -> WorldCommit {
        let mut world = World::create(self.new.clone(), WALL);
        world.clock = Clock::new(after(60_000), WALL, self.new.rate);
        world.version = 2;
        WorldCommit { expected: 1, world, unseen: None, keep }
    }

    /// Looks through a store that nothing happens to: the effect is there, once and whole.
    pub(crate) async fn check(&self, store: &dyn Store) {
        if self.way == Way::DeleteWorld {
            assert!(store.open_world(&self.new.name).await.unwrap().is_none());
            return;
        }
        let ports = self.open(store).await;
        if self.way == Way::ResetWorld {
            assert_eq!(ports.incarnation, self.anew().incarnation);
            assert!(ports.clusters.all().await.unwrap().is_empty());
            return;
        }
        if self.way.is_of_fleets() {
            return self.fleet().check(&ports).await;
        }
        let kept = ports.answers.get(KEY, 0).await.unwrap().is_some();
        assert_eq!(kept, ![Way::MakeWorld, Way::PurgeAnswers].contains(&self.way));
        let clusters = ports.clusters.all().await.unwrap();
        let found = ports.machines.get(self.machine.id).await.unwrap();
        let happened = ports.events.page(&events(None, None, 100)).await.unwrap().events;
        let versions: Vec<_> = happened.iter().map(|one| one.event.version).collect();
        let versions_and = |more: u64| (1..=self.machine.version + more).collect::<Vec<_>>();
        match self.way {
            Way::MakeWorld => {
                assert_eq!(ports.world.read().await.unwrap().world.incarnation, self.new.incarnation);
            }
            Way::MoveClock => {
                let view = ports.world.read().await.unwrap();
                assert_eq!((view.world.version, view.now), (2, after(60_000)));
            }
            Way::CreateCluster | Way::KeepAnswer => assert_eq!(*clusters[0], self.web),
            Way::EditCluster => assert_eq!(*clusters[0], renamed(&self.web, "front")),
            Way::DeleteCluster => assert!(clusters.is_empty() && ports.clusters.id_used(self.web.id).await.unwrap()),
            Way::PurgeAnswers => assert_eq!(ports.answers.get("old", 0).await.unwrap(), None),
            Way::CreateMachine => {
                assert_eq!((found.unwrap().machine, versions), (self.machine.clone(), versions_and(0)));
            }
            Way::UpdateMachine => {
                let touched = touched(&self.machine, &self.rules).machine;
                assert_eq!((found.unwrap().machine, versions), (touched, versions_and(1)));
            }
            Way::RenameMachine => {
                assert_eq!((found.unwrap().machine.name.as_str(), versions), ("b", versions_and(1)));
            }
            Way::RemoveMachine => assert_eq!((found, versions), (None, versions_and(1))),
            way => unreachable!("{way:?} is looked at elsewhere"),
        }
    }
}

pub(crate) fn text<E: std::fmt::Display>(written: Result<(), E>) -> Result<(), String> {
    written.map_err(|error| error.to_string())
}
