//! Writing a snapshot.

use std::io::{self, Write};

use cloudm_domain::{Cluster, Instant, Machine, MachineData};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{End, Head, Line, VERSION};
use crate::ports::{GoneCluster, Part, World};

/// Writes a snapshot from parts.
pub(super) struct Writer<W> {
    to: W,
    lines: u64,
    hash: Sha256,
    text: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, lines: 0, hash: Sha256::new(), text: Vec::new() }
    }

    /// Writes a part; says whether it was the end.
    pub(super) fn part(&mut self, part: Part) -> io::Result<bool> {
        match part {
            Part::World(world, now) => self.line(&Line::Snapshot(Box::new(head(*world, now))))?,
            Part::Clusters(some) => {
                some.iter().try_for_each(|cluster| self.line(&Line::Cluster(Cluster::clone(cluster))))?;
            }
            Part::GoneClusters(some) => some.iter().try_for_each(|gone| self.line(&gone_line(gone)))?,
            Part::Machines(some) => some.into_iter().try_for_each(|machine| self.line(&machine_line(machine)))?,
            Part::Events(some) => {
                some.into_iter().try_for_each(|event| self.line(&Line::Event(Box::new(event))))?;
            }
            Part::End => {
                let sha256 = HEXLOWER.encode(&self.hash.clone().finalize());
                self.line(&Line::End(End { lines: self.lines, sha256 }))?;
                self.to.flush()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn into_inner(self) -> W {
        self.to
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, line)?;
        self.text.push(b'\n');
        self.hash.update(&self.text);
        self.lines += 1;
        self.to.write_all(&self.text)
    }
}

fn head(world: World, now: Instant) -> Head {
    Head {
        version: VERSION,
        name: world.name,
        seed: world.seed,
        start: world.start,
        preset: world.preset,
        now,
        rate: world.clock.rate(),
        behaviour: world.rules.behaviour,
        retention: world.rules.retention,
        capacity: world.capacity,
        faults: world.rules.faults,
        schedule: world.rules.schedule,
        origin: world.origin,
    }
}

fn gone_line(gone: &GoneCluster) -> Line {
    Line::GoneCluster { cluster: Cluster::clone(&gone.cluster), at: gone.at }
}

fn machine_line(machine: Machine) -> Line {
    Line::Machine(Box::new(MachineData::from(machine)))
}
