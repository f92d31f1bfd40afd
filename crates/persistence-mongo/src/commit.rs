//! The write of one machine, in a transaction.

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{Commit, CommitError, StoreError};
use cloudm_domain::{ClusterId, Machine, MachineId, Name};
use futures_util::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};

use crate::append::Entry;
use crate::counts::{Kind, Tally};
use crate::document::{date, key, long};
use crate::machine_doc::MachineDoc;
use crate::numbers::Numbers;
use crate::plan::are_next;
use crate::room::{Room, is_asked_for};
use crate::transaction::{Stop, Work};
use crate::world::OpenWorld;
use crate::{answers, collections, counting, events, guards};

/// A write of one machine. See [`crate::sequence`] for the numbers of its events.
pub(crate) struct MachineCommit {
    world: Arc<OpenWorld>,
    commit: Commit,
    /// Those of its events.
    numbers: Numbers,
}

type Refused = Stop<CommitError>;

#[async_trait]
impl Work for MachineCommit {
    type Output = ();
    type Refusal = CommitError;

    async fn run(&self, session: &mut ClientSession) -> Result<(), Refused> {
        let keep = self.commit.keep.as_ref();
        if let Some(answer) = keep
            && answers::is_kept(&self.world, session, &answer.key).await?
        {
            return Err(Stop::Refused(CommitError::KeyTaken));
        }
        self.check_matches(session).await?;
        let write = &self.commit.write;
        let (tally, at) = match (&write.before, &write.after) {
            (None, None) => self.refuse(session).await?,
            (None, Some(machine)) => self.create(session, machine).await?,
            (Some(before), Some(machine)) => self.update(session, before.version, machine).await?,
            (Some(before), None) => self.remove(session, before).await?,
        };
        self.check_place(session).await?;
        // Last, for a commit that is refused takes no number.
        let events: Vec<_> = write.events.iter().collect();
        let entry = Entry { events: &events, tally, operation: None, at };
        entry.append(&self.world, session, &self.numbers).await?;
        if let Some(answer) = keep {
            answers::put(&self.world, session, answer).await?;
        }
        Ok(())
    }

    async fn took_effect(&self) -> Result<Option<()>, Error> {
        Ok(self.numbers.are_committed().await?.then_some(()))
    }

    fn end(&self, committed: bool) {
        if let Some(last) = self.numbers.tidy(committed) {
            counting::committed(&self.world, last);
        }
    }
}

impl MachineCommit {
    pub(crate) fn new(world: Arc<OpenWorld>, commit: Commit) -> Self {
        let numbers = Numbers::new(world.sequence.clone());
        Self { world, commit, numbers }
    }

    fn machines(&self) -> Collection<MachineDoc> {
        self.world.collection(collections::MACHINES)
    }

    /// Refused where it tells of a match that is not the next one of its fault.
    async fn check_matches(&self, session: &mut ClientSession) -> Result<(), Refused> {
        let write = &self.commit.write;
        let faults = write.numbered().map(|(fault, _)| fault).collect();
        let matches = counting::matches_of(&self.world, session, faults).await?;
        if are_next(&matches, write) { Ok(()) } else { Err(Stop::Refused(CommitError::Miscounted)) }
    }

    /// Refused where it asks for a place and there is none.
    async fn check_place(&self, session: &mut ClientSession) -> Result<(), Refused> {
        let write = &self.commit.write;
        let asking = self.commit.sizes.as_ref().filter(|sizes| is_asked_for(sizes, std::iter::once(write)));
        let Some(sizes) = asking else { return Ok(()) };
        let room = Room::find(&self.world, session, sizes).await?;
        if room.refuses(write) { Err(Stop::Refused(CommitError::NoPlace)) } else { Ok(()) }
    }

    /// Takes it that a creation was refused.
    async fn refuse(&self, session: &mut ClientSession) -> Result<Counted, Refused> {
        let write = &self.commit.write;
        let (Some(id), Some(created)) = (write.machine(), write.unmade()) else {
            return Err(StoreError::Failed("a write is of a machine".into()).into());
        };
        self.check_id(session, id).await?;
        self.touch(session, (created.cluster_id, &created.name)).await?;
        Ok((Tally::default(), write.events.first().map_or(DateTime::MIN, |event| date(event.at))))
    }

    async fn check_id(&self, session: &mut ClientSession, id: MachineId) -> Result<(), Refused> {
        let events: Collection<Document> = self.world.collection(collections::EVENTS);
        // A machine that ever was had a first event then, which stays.
        let first = events::of_machine(&self.world, id);
        if events.find_one(first).projection(doc! { "_id": 1 }).session(session).await?.is_some() {
            return Err(Stop::Refused(CommitError::IdUsed));
        }
        Ok(())
    }

    async fn create(&self, session: &mut ClientSession, machine: &Machine) -> Result<Counted, Refused> {
        self.check_id(session, machine.id).await?;
        self.take_name(session, machine).await?;
        let made = MachineDoc::of(self.world.id(), machine)?;
        self.machines().insert_one(&made).session(&mut *session).await?;
        Ok(counted(None, Some(Kind::of(machine)), &made))
    }

    async fn update(&self, session: &mut ClientSession, expected: u64, machine: &Machine) -> Result<Counted, Refused> {
        let after = MachineDoc::of(self.world.id(), machine)?;
        let filter = doc! { "_id": after.key(), "version": long(expected)? };
        let before = self.machines().find_one_and_replace(filter, &after).session(&mut *session).await?;
        let before = before.ok_or(Stop::Refused(CommitError::Conflict))?;
        if machine.holds_name() && before.name() != machine.name.as_str() {
            self.take_name(session, machine).await?;
        }
        Ok(counted(Some(before.kind()?), Some(Kind::of(machine)), &after))
    }

    async fn remove(&self, session: &mut ClientSession, machine: &Machine) -> Result<Counted, Refused> {
        let filter = doc! { "_id": key(self.world.id(), machine.id), "version": long(machine.version)? };
        let before = self.machines().find_one_and_delete(filter).session(&mut *session).await?;
        let before = before.ok_or(Stop::Refused(CommitError::Conflict))?;
        Ok(counted(Some(before.kind()?), None, &before))
    }

    /// Touches the guard of a name, which tells that the cluster exists.
    async fn touch(&self, session: &mut ClientSession, (cluster, name): (ClusterId, &Name)) -> Result<(), Refused> {
        let guards: Collection<Document> = self.world.collection(collections::GUARDS);
        let exists = guards::touch(&guards, session, (self.world.id(), cluster, name)).await?;
        if exists { Ok(()) } else { Err(Stop::Refused(CommitError::NoCluster)) }
    }

    /// Makes sure that the cluster exists and nobody else in it has the name, until the transaction ends.
    async fn take_name(&self, session: &mut ClientSession, machine: &Machine) -> Result<(), Refused> {
        let (cluster, name): (ClusterId, &Name) = (machine.cluster_id, &machine.name);
        self.touch(session, (cluster, name)).await?;
        let held = doc! { "cluster": key(self.world.id(), cluster), "live": true, "name": name.as_str() };
        let mut holders = self.machines().find(held).limit(2).session(&mut *session).await?;
        let holders: Vec<_> = holders.stream(session).try_collect().await?;
        // A machine that was renamed is one of them already.
        let mine = key(self.world.id(), machine.id);
        let taken = machine.holds_name() && holders.iter().any(|holder| holder.key() != mine);
        if taken { Err(Stop::Refused(CommitError::NameTaken)) } else { Ok(()) }
    }
}

/// What a write changes of the numbers of machines, and when.
type Counted = (Tally, DateTime);

fn counted(before: Option<Kind>, after: Option<Kind>, machine: &MachineDoc) -> Counted {
    let mut tally = Tally::default();
    tally.change(before, after);
    (tally, machine.updated_at())
}
