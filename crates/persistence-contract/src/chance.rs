//! What looks like chance and is the same each time.

use cloudm_application::ports::{ClusterCommit, ClusterWrite, MachineWrite, WorldPorts};
use cloudm_domain::{Cluster, Command, Edit, Machine, MachineId, MachineState, Outcome, Tags};

use crate::Scene;
use crate::builders::{after, changed, cluster_in, draft_at, edited, forgotten, made, named, new_world};

/// A die with as many sides as are asked for.
struct Dice(u64);

impl Dice {
    /// A number below `sides`, which is at least 1.
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Writes of every kind to the machines of two clusters, some of them in vain: of versions that are no more, of names that are
/// taken and of ids that were used.
pub(crate) struct Chance<'s> {
    scene: &'s Scene<'s>,
    /// Another world, in which each write is committed by itself.
    pub(crate) other: WorldPorts,
    dice: Dice,
    clusters: [Cluster; 3],
    /// Machines as they were after some write.
    known: Vec<Machine>,
    made: u32,
}

impl<'s> Chance<'s> {
    /// The chances that a number stands for. Makes the clusters.
    pub(crate) async fn new(scene: &'s Scene<'s>, number: u64) -> Self {
        let other = scene.store.create_world(new_world("other", 200)).await.unwrap();
        let clusters = [cluster_in("web", "A"), cluster_in("db", "B"), cluster_in("absent", "A")];
        for cluster in &clusters[..2] {
            for ports in [&scene.ports, &other] {
                let write = ClusterWrite::Create(cluster.clone());
                ports.clusters.commit(ClusterCommit { write, keep: None }).await.unwrap();
            }
        }
        Self { scene, other, dice: Dice(number), clusters, known: Vec::new(), made: 0 }
    }

    /// So many writes, and what came of each where it was committed by itself.
    pub(crate) async fn writes(&mut self, count: usize) -> Vec<(MachineWrite, String)> {
        let mut writes = Vec::new();
        for _ in 0..count {
            let write = self.write();
            let committed = self.other.machines.commit(write.clone().into()).await;
            if committed.is_ok() {
                self.known.extend(write.after.clone());
            }
            writes.push((write, format!("{committed:?}")));
        }
        writes
    }

    fn write(&mut self) -> MachineWrite {
        if self.known.is_empty() || self.dice.roll(4) == 0 {
            return made(self.creation());
        }
        let machine = self.one();
        match self.outcome(&machine) {
            Some(outcome) => changed(&machine, outcome),
            None if machine.state == MachineState::Terminated => forgotten(&machine, Vec::new()),
            None => {
                let ended = machine.clone().request(&Command::Terminate.into(), machine.updated_at, &self.scene.rules);
                forgotten(&machine, ended.map(|ended| ended.events).unwrap_or_default())
            }
        }
    }

    fn one(&mut self) -> Machine {
        self.known[self.dice.roll(self.known.len() as u64) as usize].clone()
    }

    fn creation(&mut self) -> Outcome {
        let cluster = &self.clusters[[0, 0, 0, 1, 1, 2][self.dice.roll(6) as usize]];
        let name = format!("m-{}", self.dice.roll(25));
        self.made += 1;
        let mut id = [0; 12];
        id[8..].copy_from_slice(&self.made.to_be_bytes());
        let draft = draft_at(cluster, &name, after(self.dice.roll(1_000))).id(MachineId::from_bytes(id));
        let draft = draft.tags(&["x", "y", "z"][..self.dice.roll(4) as usize]);
        let draft = if !self.known.is_empty() && self.dice.roll(6) == 0 { draft.id(self.one().id) } else { draft };
        draft.made(if self.dice.roll(3) == 0 { &self.scene.slow } else { &self.scene.rules })
    }

    /// What a command or an edit comes to, where one is possible.
    fn outcome(&mut self, machine: &Machine) -> Option<Outcome> {
        let rules = &self.scene.rules;
        let at = machine.updated_at.max(after(self.dice.roll(1_000)));
        let ask = |command: Command| machine.clone().request(&command.into(), at, rules).ok();
        match self.dice.roll(7) {
            0 => ask(Command::Stop),
            1 => ask(Command::Start),
            2 => ask(Command::Terminate),
            3 => ask(Command::Resize("large".parse().unwrap())),
            4 if machine.holds_name() => Some(named(machine, &format!("m-{}", self.dice.roll(25)), rules)),
            5 if machine.holds_name() => {
                let tags = Tags::new(vec!["x".parse().unwrap(), "new".parse().unwrap()]).unwrap();
                Some(edited(machine, &Edit { tags: Some(tags), ..Edit::default() }, rules))
            }
            _ => None,
        }
    }
}
