//! Reading a world in.

use std::io::{BufRead, Seek, SeekFrom};
use std::sync::Arc;

use cloudm_domain::{Clock, Incarnation, Machine, Rules, WorldName};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::check::Check;
use super::export::ON_THE_WAY;
use super::read::{Reader, io_error};
use super::{Head, Line};
use crate::error::Error;
use crate::ports::{Entropy, GoneCluster, Part, Parts, Store, StoreError, World, WorldView, WorldsError};
use crate::worlds::{incarnation, refused};

/// Lines of a part.
const LINES: usize = 1_000;

/// Reads a world in.
pub struct ImportWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl ImportWorld {
    /// Puts the world of a snapshot in the place of the one of this name, or makes it where there is none; says whether it was
    /// made. It is read twice: nothing is changed before it was found whole.
    ///
    /// # Errors
    /// [`Error::InvalidSnapshot`], [`Error::TooManyWorlds`], [`Error::Contention`] where the world was
    /// replaced or deleted meanwhile, [`Error::Store`].
    pub async fn run<R>(&self, name: &WorldName, from: R) -> Result<(WorldView, bool), Error>
    where
        R: BufRead + Seek + Send + 'static,
    {
        let checked = spawn_blocking(move || check(from)).await;
        let (head, from) = checked.map_err(|why| StoreError::Failed(why.to_string()))??;
        let old = self.store.find_world(name).await?.map(|found| found.incarnation);
        let world = record(head, name.clone(), incarnation(&*self.entropy));
        let (parts, to_load) = mpsc::channel(ON_THE_WAY);
        let reading = spawn_blocking(move || read(from, &parts));
        let loaded = self.store.load_world(old, world, to_load).await;
        reading.await.map_err(|why| StoreError::Failed(why.to_string()))??;
        match loaded {
            Ok(ports) => Ok((ports.world.read().await?, old.is_none())),
            // It was made, replaced or deleted meanwhile.
            Err(WorldsError::Conflict | WorldsError::NameTaken) => Err(Error::Contention),
            Err(error) => Err(refused(error)),
        }
    }
}

/// Checks a snapshot from its beginning to its end; gives back what it was read from, at its beginning.
pub(super) fn check<R: BufRead + Seek>(mut from: R) -> Result<(Head, R), Error> {
    let (head, mut reader) = Reader::begin(&mut from)?;
    let mut check = Check::begin(&head).map_err(|why| reader.refused(why))?;
    while let Some(line) = reader.next()? {
        check.line(&line).map_err(|why| reader.refused(why))?;
    }
    check.end().map_err(|why| reader.refused(why))?;
    from.seek(SeekFrom::Start(0)).map_err(|why| io_error(&why))?;
    Ok((head, from))
}

/// The record of a world whose clock stands where it stood.
fn record(head: Head, name: WorldName, incarnation: Incarnation) -> World {
    let mut rules = Rules::new(head.seed, head.preset.behaviour());
    rules.behaviour = head.behaviour;
    rules.retention = head.retention;
    rules.faults = head.faults;
    rules.schedule = head.schedule;
    World {
        name,
        incarnation,
        seed: head.seed,
        start: head.start,
        preset: head.preset,
        clock: Clock::new(head.now, 0, head.rate),
        rules,
        capacity: head.capacity,
        version: 1,
        origin: head.origin,
        asked: None,
    }
}

/// Reads a snapshot that was checked, and sends it on. Where nobody takes it any more, whoever did says why.
fn read<R: BufRead>(from: R, to: &Parts) -> Result<(), Error> {
    let (_, mut reader) = Reader::begin(from)?;
    let mut gathered = Gathered::default();
    while let Some(line) = reader.next()? {
        let full = gathered.add(line).map_err(|why| reader.refused(why))?;
        if full.is_some_and(|part| to.blocking_send(part).is_err()) {
            return Ok(());
        }
    }
    for part in gathered.0.into_iter().chain([Part::End]) {
        if to.blocking_send(part).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Lines of one kind, as a part.
#[derive(Default)]
struct Gathered(Option<Part>);

impl Gathered {
    /// Adds a line; gives away what is full with it, or what came before it and was of another kind.
    fn add(&mut self, line: Line) -> Result<Option<Part>, &'static str> {
        let lines = match (self.0.as_mut(), part(line)?) {
            (Some(Part::Clusters(all)), Part::Clusters(one)) => added(all, one),
            (Some(Part::GoneClusters(all)), Part::GoneClusters(one)) => added(all, one),
            (Some(Part::Machines(all)), Part::Machines(one)) => added(all, one),
            (Some(Part::Events(all)), Part::Events(one)) => added(all, one),
            (_, one) => return Ok(self.0.replace(one)),
        };
        Ok(if lines >= LINES { self.0.take() } else { None })
    }
}

fn added<T>(all: &mut Vec<T>, one: Vec<T>) -> usize {
    all.extend(one);
    all.len()
}

fn part(line: Line) -> Result<Part, &'static str> {
    Ok(match line {
        Line::Cluster(cluster) => Part::Clusters(vec![Arc::new(cluster)]),
        Line::GoneCluster { cluster, at } => Part::GoneClusters(vec![GoneCluster { cluster: Arc::new(cluster), at }]),
        Line::Machine(machine) => {
            Part::Machines(vec![Machine::try_from(*machine).map_err(|_| "no machine is like this")?])
        }
        Line::Event(event) => Part::Events(vec![*event]),
        Line::Snapshot(_) | Line::End(_) => return Err("it is the first or the last line"),
    })
}
