//! A command on one machine: one read, one decision, one write.

use std::sync::Arc;

use cloudm_domain::{
    Cluster, ClusterId, Instant, Machine, MachineEvent, MachineId, Name, Outcome, Refusal, Rules, StruckDown,
};
use futures_util::future::try_join;
use tokio::sync::Mutex;

use super::counted::attempts;
use super::{MachineView, view_at};
use crate::error::Error;
use crate::idempotency::{Answers, Stop};
use crate::ports::{Commit, CommitError, FaultStore, MachineStore, MachineWrite, WorldStore, WorldView};
use crate::settler::Settler;
use crate::stripes::Stripes;
use crate::writing::Writing;

/// How often a command is decided anew because another change came first.
pub(crate) const MAX_ATTEMPTS: usize = 16;

/// Carries out commands on machines.
pub(crate) struct MachineCommands {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) machines: Arc<dyn MachineStore>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) settler: Settler,
    pub(super) faults: Arc<dyn FaultStore>,
    /// Whose turn it is to decide by how often faults matched in the whole world.
    pub(super) counting: Mutex<()>,
    stripes: Arc<Stripes>,
}

/// What came of one attempt at a command.
enum Attempt {
    Done(Box<MachineView>),
    /// Another change came first, which may happen so often at most.
    Lost {
        most: usize,
    },
}

impl MachineCommands {
    pub(crate) fn new(
        (world, machines, faults): (Arc<dyn WorldStore>, Arc<dyn MachineStore>, Arc<dyn FaultStore>),
        answers: Arc<Answers>,
        settler: Settler,
        stripes: Arc<Stripes>,
    ) -> Self {
        Self { world, machines, answers, settler, faults, counting: Mutex::default(), stripes }
    }

    /// Reads the machine, lets `decide` decide, and writes what came of it, until no other change comes between.
    pub(crate) async fn run(
        &self,
        id: MachineId,
        writing: &Writing<MachineView>,
        decide: impl Fn(Machine, &Cluster, Instant, &Rules) -> Result<Outcome, Refusal> + Sync,
    ) -> Result<MachineView, Stop> {
        let _turn = self.stripes.turn(id.as_bytes()).await;
        let mut waited = false;
        for attempt in 0.. {
            // Boxed, or the future of every request would be moved with all that it seldom needs.
            match Box::pin(self.attempt(id, writing, &decide, &mut waited)).await? {
                Attempt::Done(view) => return Ok(*view),
                Attempt::Lost { most } if attempt + 1 >= most => break,
                Attempt::Lost { .. } => {}
            }
        }
        Err(Error::Contention.into())
    }

    /// Writes what was due for one machine, so that its history is told whole.
    pub(crate) async fn settle(&self, id: MachineId) -> Result<(), Error> {
        let _turn = self.stripes.turn(id.as_bytes()).await;
        let placed = self.machines.get(id).await?.ok_or(Error::NoSuchMachine)?;
        let view = self.world.read().await?;
        let machine = placed.machine.clone();
        let seen = view_at(placed, view.now, &view.world.rules)?.ok_or(Error::NoSuchMachine)?;
        if seen.machine.version > machine.version {
            self.settler.settle_one(machine, Some(&seen.cluster), &view).await?;
        }
        Ok(())
    }

    /// Whether a name of a cluster is free, or was freed: a holder whose end is due is settled first.
    pub(crate) async fn free_name(&self, cluster: ClusterId, name: &Name, view: &WorldView) -> Result<bool, Error> {
        self.settler.tell_all(view).await?;
        let Some(holder) = self.machines.holder(cluster, name).await? else { return Ok(true) };
        let now = view.now.max(holder.updated_at);
        let settled = holder.clone().settle_within(crate::settler::MAX_STEPS, None, now, &view.world.rules)?;
        if settled.machine.holds_name() {
            return Ok(false);
        }
        self.settler.settle_one(holder, None, view).await?;
        Ok(true)
    }

    async fn attempt(
        &self,
        id: MachineId,
        writing: &Writing<MachineView>,
        decide: &(impl Fn(Machine, &Cluster, Instant, &Rules) -> Result<Outcome, Refusal> + Sync),
        waited: &mut bool,
    ) -> Result<Attempt, Stop> {
        let (placed, world) = try_join(self.machines.get(id), self.world.read()).await?;
        let placed = placed.ok_or(Error::NoSuchMachine)?;
        let (world, turn) = self.counted(world).await?;
        let lost = Attempt::Lost { most: attempts(&turn) };
        let stored = placed.machine.clone();
        let seen = view_at(placed, world.now, &world.world.rules)?.ok_or(Error::NoSuchMachine)?;
        writing.check_version(seen.machine.version)?;
        let outcome = decide(stored.clone(), &seen.cluster, seen.now, &world.world.rules).map_err(Error::from)?;
        let struck_down = outcome.struck_down;
        let view = MachineView { machine: outcome.machine, cluster: seen.cluster, now: seen.now };
        let renamed = view.machine.name != stored.name;
        if let Some(down) = struck_down {
            let write = write_of(&view, stored, outcome.events);
            return self.strike_down((write, down), writing.dry_run).await.map(|()| lost);
        }
        if writing.dry_run {
            self.check_room(&view.cluster, (Some(&stored), &outcome.events), &world).await?;
            let free = !renamed || self.free_name(view.cluster.id, &view.machine.name, &world).await?;
            return if free { Ok(Attempt::Done(Box::new(view))) } else { Err(Error::NameTaken.into()) };
        }
        let keep = writing.keep(&view, world.wall);
        if !outcome.changed {
            self.answers.keep(keep).await?;
            return Ok(Attempt::Done(Box::new(view)));
        }
        let (write, sizes) = (write_of(&view, stored, outcome.events), world.sizes());
        let asking = sizes.is_some().then(|| write.clone());
        match self.machines.commit(Commit { write, keep, sizes }).await {
            Ok(()) => Ok(Attempt::Done(Box::new(view))),
            Err(CommitError::Conflict | CommitError::Miscounted) => Ok(lost),
            Err(CommitError::NameTaken) if self.free_name(view.cluster.id, &view.machine.name, &world).await? => {
                Ok(lost)
            }
            Err(CommitError::NoPlace) => match self.without_place((asking, waited), &view.cluster, &world).await? {
                Some(refused) => Err(refused.into()),
                None => Ok(lost),
            },
            Err(error) => Err(Stop::from_commit(error)),
        }
    }
}

impl MachineCommands {
    /// Fails as the fault has it that refused a command, once the history says so. Where something changed meanwhile, the
    /// command is to be decided anew.
    pub(super) async fn strike_down(
        &self,
        (write, down): (MachineWrite, Box<StruckDown>),
        dry_run: bool,
    ) -> Result<(), Stop> {
        let unsaid = write.events.is_empty();
        if dry_run || unsaid || self.tell(write).await? { Err(Error::StruckDown(down).into()) } else { Ok(()) }
    }

    /// Writes that the world refused something; says no where something changed meanwhile, and it is to be decided anew.
    pub(super) async fn tell(&self, refusal: MachineWrite) -> Result<bool, Stop> {
        match self.machines.commit(refusal.into()).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict | CommitError::IdUsed | CommitError::NoCluster | CommitError::Miscounted) => {
                Ok(false)
            }
            Err(error) => Err(Stop::from_commit(error)),
        }
    }
}

/// What to write of a machine that was stored like this.
fn write_of(view: &MachineView, stored: Machine, events: Vec<MachineEvent>) -> MachineWrite {
    let stays = !view.machine.is_forgotten(view.now);
    MachineWrite { before: Some(stored), after: stays.then(|| view.machine.clone()), events }
}
