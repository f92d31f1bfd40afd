//! What a run is made with, and what it has measured so far.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cloudm_testing_mongo::{self as testing, Program, Running};
use tempfile::TempDir;

use crate::cores;
use crate::histogram::Histogram;
use crate::sample::{Sample, Series, Store, What};
use crate::tell;
use crate::wire::Load;

/// The hot paths. Creations come last, for they change how many machines there are.
const HOT: [What; 7] =
    [What::Get, What::PageFirst, What::PageMiddle, What::PageLast, What::Patch, What::Action, What::Create];

/// The most machines, under the hot paths and in fleet work, where a server in place of MongoDB is measured: that reads all that
/// an index range holds, whatever the limit, so what a page takes grows with the fleet.
pub(crate) const STAND_IN_MACHINES: u64 = 100_000;

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) rounds: u32,
    /// Of one measurement of a hot path.
    pub(crate) span: Duration,
    /// The hot paths.
    pub(crate) paths: Vec<What>,
    /// Machines under them.
    pub(crate) machines: Vec<u64>,
    /// Machines in fleet work.
    pub(crate) fleet: u64,
    pub(crate) fleet_rounds: u32,
    /// Machines beside moto.
    pub(crate) moto: Vec<u64>,
    /// Machines of the domain alone.
    pub(crate) domain: u64,
}

impl Sizes {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            span: Duration::from_millis(500),
            paths: HOT.to_vec(),
            machines: vec![1_000, 100_000, 1_000_000],
            fleet: 1_000_000,
            fleet_rounds: 3,
            moto: vec![100, 1_000, 10_000],
            domain: 1_000_000,
        }
    }

    /// So much as shows that it runs.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 1,
            span: Duration::from_millis(150),
            paths: HOT.to_vec(),
            machines: vec![1_000],
            fleet: 2_000,
            fleet_rounds: 1,
            moto: vec![100],
            domain: 20_000,
        }
    }
}

/// A run.
pub(crate) struct Bench {
    pub(crate) sizes: Sizes,
    /// The program of the server.
    pub(crate) server: PathBuf,
    /// Whether server and client have a core each.
    pub(crate) pinned: bool,
    /// Where data lies while it is measured: on a disk, and not in a temporary directory that may be memory.
    pub(crate) scratch: PathBuf,
    /// Where tools are that were built or installed for development.
    pub(crate) tools: PathBuf,
    pub(crate) samples: Vec<Sample>,
    pub(crate) mongodb: OnceCell<Mongodb>,
}

/// A MongoDB, found or started.
pub(crate) struct Mongodb {
    uri: String,
    pub(crate) name: String,
    _running: Option<(Running, TempDir)>,
}

impl Bench {
    /// The URI of the MongoDB, which is started when it is first asked for.
    pub(crate) fn mongodb(&self) -> Result<String> {
        if let Some(known) = self.mongodb.get() {
            return Ok(known.uri.clone());
        }
        let started = self.start_mongodb()?;
        Ok(self.mongodb.get_or_init(|| started).uri.clone())
    }

    fn start_mongodb(&self) -> Result<Mongodb> {
        if let Ok(uri) = testing::uri() {
            return Ok(Mongodb { uri, name: format!("as {} says", testing::URI), _running: None });
        }
        let missing = "there is no MongoDB: install mongod, or let `cargo xtask test` build a server in its place once";
        let program = Program::find(&self.tools).context(missing)?;
        let name = program.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = tempfile::tempdir_in(&self.scratch)?;
        let durable = testing::Options { durable: true, ..testing::Options::default() };
        // On whatever core is free, for all who use it.
        let running = cores::measured(false, || Ok(program.start(directory.path(), durable)?))?;
        Ok(Mongodb { uri: running.uri(), name, _running: Some((running, directory)) })
    }

    /// Keeps a measurement.
    pub(crate) fn keep(&mut self, series: Series, round: u32, value: f64) {
        self.samples.push(Sample { series, round, value, latency: None, refused: 0 });
    }

    /// Keeps a measurement with its latencies.
    pub(crate) fn keep_load(&mut self, series: Series, round: u32, load: &Load) {
        let (value, latency) = (load.per_second, load.latencies.latency());
        self.samples.push(Sample { series, round, value, latency, refused: load.refused });
    }

    /// Keeps latencies by which something is judged; the value is their number.
    pub(crate) fn keep_latencies(&mut self, series: Series, round: u32, latencies: &Histogram) {
        let (value, latency) = (latencies.total() as f64, latencies.latency());
        self.samples.push(Sample { series, round, value, latency, refused: 0 });
    }

    /// Machines under the hot paths of this store.
    pub(crate) fn machines(&self, store: Store) -> Result<Vec<u64>> {
        let mut machines = self.sizes.machines.clone();
        if self.is_stand_in(store)? {
            machines.retain(|machines| *machines <= STAND_IN_MACHINES);
        }
        Ok(machines)
    }

    /// Machines in fleet work on this store.
    pub(crate) fn fleet(&self, store: Store) -> Result<u64> {
        let most = if self.is_stand_in(store)? { STAND_IN_MACHINES } else { u64::MAX };
        Ok(self.sizes.fleet.min(most))
    }

    /// Whether a server in place of MongoDB is measured.
    fn is_stand_in(&self, store: Store) -> Result<bool> {
        if store != Store::Mongodb {
            return Ok(false);
        }
        self.mongodb()?;
        Ok(self.mongodb.get().is_some_and(|mongodb| mongodb.name == testing::secantus::NAME))
    }

    /// How long a measurement of a hot path on this store takes. A database answers later, so there is less to count.
    pub(crate) fn span(&self, store: Store) -> Duration {
        if store == Store::Mongodb { self.sizes.span * 2 } else { self.sizes.span }
    }

    /// Says what is done now.
    pub(crate) fn step(&self, what: &str) {
        tell(what);
    }
}

/// The name of a store.
pub(crate) fn store_name(store: Store) -> &'static str {
    match store {
        Store::Embedded => "embedded",
        Store::Mongodb => "MongoDB",
        Store::Memory => "memory",
    }
}
