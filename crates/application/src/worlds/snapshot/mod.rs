//! Snapshots: worlds as text, which every store reads and writes.
//!
//! A snapshot is NDJSON: a JSON object a line, each with one field, its kind. The first is the [`Head`]; then come clusters, deleted
//! clusters, machines and events, in the forms of the domain (ids as hex digits, instants as milliseconds since 1970); the last
//! is the [`End`], with a SHA-256 of all bytes before its line. Kept answers are not in it.

mod check;
mod export;
mod import;
mod read;
#[cfg(test)]
mod tests;
mod write;

use cloudm_domain::{
    Behaviour, Capacity, Cluster, Faults, Instant, MachineData, MachineEvent, Preset, Rate, Schedule, Seed, Span,
    Timeline, WorldName,
};
use serde::{Deserialize, Serialize};

pub use export::ExportWorld;
pub use import::ImportWorld;

use crate::ports::Origin;

/// The version of the form. A later server reads earlier ones.
const VERSION: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Snapshot(Box<Head>),
    Cluster(Cluster),
    GoneCluster { cluster: Cluster, at: Instant },
    Machine(Box<MachineData>),
    Event(Box<MachineEvent>),
    End(End),
}

/// The record of the world.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The form of the snapshot.
    version: u32,
    /// The name that the world had.
    name: WorldName,
    seed: Seed,
    start: Instant,
    preset: Preset,
    /// What its clock said.
    now: Instant,
    rate: Rate,
    behaviour: Timeline<Behaviour>,
    retention: Timeline<Span>,
    #[serde(default, skip_serializing_if = "Capacity::is_default")]
    capacity: Capacity,
    #[serde(default, skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
    #[serde(default, skip_serializing_if = "Schedule::is_empty")]
    schedule: Schedule,
    origin: Origin,
}

/// What tells that a snapshot is whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// The lines before this one.
    lines: u64,
    /// Their SHA-256, line feeds included, in hex digits.
    sha256: String,
}
