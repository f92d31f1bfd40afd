//! Many writes in one transaction, with as many commands for a thousand machines as for two.
//!
//! What is stored is found with one command a kind, what becomes of each write is decided in memory ([`crate::plan`]), and all
//! changes of machines are sent as one command. What another transaction changes meanwhile is in conflict with this one: it
//! begins again, and finds what that did.
//!
//! The first attempt takes for granted what is nearly always so, that new names are free and that nothing is written for a
//! second time. Where that does not hold it begins again too, and asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloudm_application::ports::{MachineWrite, StoreError};
use cloudm_domain::{OperationId, PoolSizes};
use mongodb::bson::raw::{CString, RawArrayBuf};
use mongodb::bson::{DateTime, RawDocumentBuf, rawdoc, serialize_to_raw_document_buf};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use tokio::sync::MutexGuard;

use crate::append::Entry;
use crate::document::key;
use crate::found::{Place, named};
use crate::machine_doc::MachineDoc;
use crate::numbers::Numbers;
use crate::plan::{Change, Plan};
use crate::room::is_asked_for;
use crate::transaction::Stop;
use crate::world::OpenWorld;
use crate::{collections, counting, guards};

/// Many writes that are tried until they are committed.
pub(crate) struct Batch {
    pub(crate) world: Arc<OpenWorld>,
    pub(crate) numbers: Numbers,
    /// Whether what is nearly always so is taken for granted.
    trusting: AtomicBool,
}

/// What is put into the history with a batch.
pub(crate) struct Mark {
    pub(crate) operation: Option<OperationId>,
    /// When it happens, where there is no event.
    pub(crate) at: DateTime,
}

impl Batch {
    pub(crate) fn new(world: Arc<OpenWorld>) -> Self {
        Self { numbers: Numbers::new(world.sequence.clone()), world, trusting: AtomicBool::new(true) }
    }

    /// Whether this attempt takes that for granted; the next one does not.
    pub(crate) fn is_trusting(&self) -> bool {
        self.trusting.swap(false, Ordering::Relaxed)
    }

    /// Told in the end.
    pub(crate) fn end(&self, committed: bool) {
        if let Some(last) = self.numbers.tidy(committed) {
            counting::committed(&self.world, last);
        }
    }

    pub(crate) fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.world.collection(name)
    }

    /// Writes the machines of a plan.
    pub(crate) async fn put_machines<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        plan: &Plan<'_>,
    ) -> Result<(), Stop<R>> {
        let (mut made, mut replaced, mut deleted) = (Vec::new(), RawArrayBuf::new(), RawArrayBuf::new());
        let (mut replacing, mut deleting) = (0_usize, 0_usize);
        for change in plan.changes() {
            match change {
                Change::Insert(machine) => made.push(MachineDoc::of(self.world.id(), machine)?),
                Change::Replace(machine) => {
                    let after = MachineDoc::of(self.world.id(), machine)?;
                    let place = rawdoc! { "_id": after.key() };
                    let after = serialize_to_raw_document_buf(&after).map_err(Error::from)?;
                    replaced.push(rawdoc! { "q": place, "u": after });
                    replacing += 1;
                }
                Change::Delete(id) => {
                    deleted.push(rawdoc! { "q": { "_id": key(self.world.id(), id) }, "limit": 1 });
                    deleting += 1;
                }
            }
        }
        self.send(session, ("delete", "deletes"), (deleted, deleting), deleting).await?;
        self.send(session, ("update", "updates"), (replaced, replacing), replacing).await?;
        if !made.is_empty() {
            self.collection(collections::MACHINES).insert_many(made).session(session).await?;
        }
        Ok(())
    }

    /// Sends so many changes of machines at once, and begins again where another number of machines is met than expected.
    pub(crate) async fn send<R>(
        &self,
        session: &mut ClientSession,
        (command, field): (&str, &str),
        (changes, count): (RawArrayBuf, usize),
        expected: usize,
    ) -> Result<(), Stop<R>> {
        if count == 0 {
            return Ok(());
        }
        let mut sent = RawDocumentBuf::new();
        let name = |name: &str| CString::try_from(name).map_err(Error::from);
        sent.append(name(command)?, collections::MACHINES);
        sent.append(name(field)?, changes);
        let answer = self.world.base().database().run_raw_command(sent).session(session).await?;
        let met = answer.get_i32("n").ok().and_then(|met| usize::try_from(met).ok());
        if met == Some(expected) && !answer.contains_key("writeErrors") {
            return Ok(());
        }
        match answer.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
            // One that others are in the way of is tried again like one that does not hold.
            Some(error) if error.as_document().and_then(|error| error.get_i32("code").ok()) != Some(CONFLICT) => {
                Err(Stop::Failed(Error::custom(format!("machines are not written: {error}"))))
            }
            _ => Err(Stop::Again),
        }
    }

    /// Writes what happens in a plan into the history.
    pub(crate) async fn put_events<R: From<StoreError>>(
        &self,
        session: &mut ClientSession,
        plan: &mut Plan<'_>,
        mark: Mark,
    ) -> Result<(), Stop<R>> {
        let tally = std::mem::take(&mut plan.tally);
        let entry = Entry { events: &plan.events, tally, operation: mark.operation, at: mark.at };
        entry.append(&self.world, session, &self.numbers).await.map(drop)
    }
}

/// `WriteConflict`.
const CONFLICT: i32 = 112;

/// The turns of those who take places, matches of faults and names, in one process.
pub(crate) async fn turns<'w, 'a>(
    world: &'w Arc<OpenWorld>,
    sizes: Option<&PoolSizes>,
    writes: impl Iterator<Item = &'a MachineWrite> + Clone,
) -> Result<Vec<MutexGuard<'w, ()>>, StoreError> {
    let turns = &world.guard_turns;
    let turn = |(cluster, name): Place<'_>| guards::turn(cluster, name, turns.len());
    let (places, mut matches) = (writes.clone(), writes.clone());
    let wanted: BTreeSet<_> = writes.filter_map(named).map(turn).collect();
    let mut taken = Vec::with_capacity(wanted.len() + 1);
    let counts = matches.any(|write| write.numbered().next().is_some());
    if counts || sizes.is_some_and(|sizes| is_asked_for(sizes, places)) {
        counting::begin(world).await?;
        taken.push(world.place_turn.lock().await);
    }
    // In one order, so that nobody waits in a circle.
    for turn in wanted {
        taken.push(turns[turn].lock().await);
    }
    Ok(taken)
}
