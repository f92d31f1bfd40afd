//! Whether the lines of a snapshot fit together, so that a store may take them as they are.

use std::collections::{HashMap, HashSet};

use cloudm_domain::{
    Cluster, ClusterId, Fault, Faults, Instant, Machine, MachineData, MachineEvent, MachineId, Schedule, ScheduleEntry,
    Timeline,
};

use super::{Head, Line};
use crate::records::MAX_CHANGES;

/// The most machines that a snapshot tells of, those that exist no more included.
const MAX_MACHINES: usize = 5_000_000;

/// What was met so far.
pub(super) struct Check {
    now: Instant,
    /// The kind of the last line.
    kind: u8,
    clusters: HashSet<ClusterId>,
    gone: HashSet<ClusterId>,
    cluster_names: HashSet<String>,
    /// Those of living machines, with their clusters, as hashes.
    names: HashSet<[u8; 16]>,
    last_machine: Option<MachineId>,
    /// The version that each machine has to come to.
    versions: HashMap<MachineId, u64>,
    /// The last event of each machine.
    events: HashMap<MachineId, (u64, Instant)>,
}

type Checked = Result<(), &'static str>;

fn holds(condition: bool, else_why: &'static str) -> Checked {
    if condition { Ok(()) } else { Err(else_why) }
}

impl Check {
    pub(super) fn begin(head: &Head) -> Result<Self, &'static str> {
        holds(
            head.start <= head.now && head.now < Instant::MAX,
            "its clock is before its start, or at the end of time",
        )?;
        holds(head.origin.start.is_none_or(|start| start < Instant::MAX), "it begins at the end of time")?;
        rules(&head.behaviour, head.now)?;
        rules(&head.retention, head.now)?;
        faults(&head.faults)?;
        schedule(&head.schedule)?;
        holds(head.behaviour.values().all(|one| one.mistakes().is_empty()), "its behaviour makes no sense")?;
        Ok(Self {
            now: head.now,
            kind: 0,
            clusters: HashSet::new(),
            gone: HashSet::new(),
            cluster_names: HashSet::new(),
            names: HashSet::new(),
            last_machine: None,
            versions: HashMap::new(),
            events: HashMap::new(),
        })
    }

    pub(super) fn line(&mut self, line: &Line) -> Checked {
        let kind = match line {
            Line::Snapshot(_) | Line::End(_) => 0,
            Line::Cluster(_) => 1,
            Line::GoneCluster { .. } => 2,
            Line::Machine(_) => 3,
            Line::Event(_) => 4,
        };
        holds(kind >= self.kind, "it comes after what it has to come before")?;
        self.kind = kind;
        match line {
            Line::Snapshot(_) | Line::End(_) => Ok(()),
            Line::Cluster(cluster) => self.cluster(cluster),
            Line::GoneCluster { cluster, at } => self.gone_cluster(cluster, *at),
            Line::Machine(machine) => self.machine(machine),
            Line::Event(event) => self.event(event),
        }
    }

    /// Whether everything is there.
    pub(super) fn end(&self) -> Checked {
        let whole = |(id, version): (&MachineId, &u64)| self.events.get(id).is_some_and(|last| last.0 == *version);
        holds(self.versions.iter().all(whole), "a machine has not all of its events")
    }

    fn cluster(&mut self, cluster: &Cluster) -> Checked {
        holds(self.clusters.len() < Cluster::MAX_IN_WORLD, "it has too many clusters")?;
        holds(self.clusters.insert(cluster.id), "there is another cluster with this id")?;
        holds(self.cluster_names.insert(cluster.name.to_string()), "there is another cluster with this name")?;
        self.dated(cluster)
    }

    fn gone_cluster(&mut self, cluster: &Cluster, at: Instant) -> Checked {
        holds(self.gone.len() < MAX_MACHINES, "it has too many clusters")?;
        let is_new = !self.clusters.contains(&cluster.id) && self.gone.insert(cluster.id);
        holds(is_new, "there is another cluster with this id")?;
        holds(at <= self.now, "it was deleted after now")?;
        self.dated(cluster)
    }

    fn dated(&self, cluster: &Cluster) -> Checked {
        let in_order = cluster.created_at <= cluster.updated_at && cluster.updated_at <= self.now;
        holds(in_order && cluster.version > 0, "its instants or its version make no sense")
    }

    fn machine(&mut self, machine: &MachineData) -> Checked {
        holds(self.versions.len() < MAX_MACHINES, "it has too many machines")?;
        holds(Machine::try_from(machine.clone()).is_ok(), "no machine is like this")?;
        holds(self.last_machine < Some(machine.id), "the ids of machines are not in order")?;
        holds(self.clusters.contains(&machine.cluster_id), "its cluster does not exist")?;
        holds(machine.updated_at <= self.now, "something happened to it after now")?;
        let lives = machine.state != cloudm_domain::MachineState::Terminated;
        let free = !lives || self.names.insert(name(machine));
        holds(free, "there is another machine with this name")?;
        self.last_machine = Some(machine.id);
        self.versions.insert(machine.id, machine.version);
        Ok(())
    }

    fn event(&mut self, event: &MachineEvent) -> Checked {
        holds(event.at <= self.now, "it happened after now")?;
        let last = self.events.get(&event.machine);
        let is_next = match last {
            None => event.version == 1 && event.change.begins(),
            Some((version, at)) => event.version == version + 1 && event.at >= *at,
        };
        holds(is_next, "it is not the next event of its machine")?;
        holds(last.is_some() || self.events.len() < MAX_MACHINES, "it has too many machines")?;
        self.events.insert(event.machine, (event.version, event.at));
        Ok(())
    }
}

/// The place of a name, which one living machine has.
fn name(machine: &MachineData) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    hash.update(machine.cluster_id.as_bytes()).update(machine.name.as_str().as_bytes());
    let mut short = [0; 16];
    hash.finalize_xof().fill(&mut short);
    short
}

fn faults(faults: &Faults) -> Checked {
    let live = faults.iter().count();
    holds(faults.ever() <= Faults::MAX && live <= Faults::MAX_AT_ONCE, "it has too many faults")?;
    let ids: HashSet<_> = faults.iter().map(|fault| fault.id).collect();
    holds(ids.len() == live, "there is another fault with this id")?;
    let makes_sense = |fault: &Fault| fault.rule.check(Instant::MIN).is_ok();
    holds(faults.iter().all(makes_sense), "a fault makes no sense")
}

fn schedule(schedule: &Schedule) -> Checked {
    holds(schedule.len() <= Schedule::MAX, "its schedule has too many entries")?;
    let ids: HashSet<_> = schedule.iter().map(|entry| entry.id).collect();
    holds(ids.len() == schedule.len(), "there is another entry of the schedule with this id")?;
    let makes_sense =
        |entry: &ScheduleEntry| entry.rule.check(Instant::MIN).is_ok() && entry.announced_at <= entry.rule.not_before;
    holds(schedule.iter().all(makes_sense), "an entry of the schedule makes no sense")
}

fn rules<T>(timeline: &Timeline<T>, now: Instant) -> Checked {
    holds(timeline.changes() <= MAX_CHANGES, "its rules have changed too often")?;
    holds(timeline.last_change().is_none_or(|last| last <= now), "its rules change after now")
}
