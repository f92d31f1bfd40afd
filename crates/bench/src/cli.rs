//! What is asked of a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::Sizes;
use crate::root;
use crate::sample::{Store, What};

/// Measures cloudm beside a bare handler, its stores used raw, and moto.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// Measure next to nothing, to see that it runs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure one part only.
    #[arg(long)]
    pub(crate) only: Option<Part>,
    /// The stores of the hot paths and of fleet work.
    #[arg(long, value_enum, default_value_t = Stores::Both)]
    pub(crate) store: Stores,
    /// Hot paths to measure, instead of all.
    #[arg(long, value_delimiter = ',')]
    path: Vec<What>,
    /// The numbers of machines under the hot paths; the greatest is that of the fleet and of the domain.
    #[arg(long, value_delimiter = ',')]
    machines: Vec<u64>,
    /// How often each measurement is made, fleet work at most three times.
    #[arg(long)]
    rounds: Option<u32>,
    /// How long it takes, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Where the figures are written, and read: target/bench/run.json, or quick.json for a quick run.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure nothing: write docs/benchmarks.md from the figures of the last run.
    #[arg(long)]
    pub(crate) docs: bool,
}

#[derive(Subcommand)]
pub(crate) enum Role {
    /// Be the bare handler.
    #[command(hide = true)]
    Bare,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Http,
    Fleet,
    Moto,
    Domain,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stores {
    Embedded,
    Mongodb,
    Both,
}

impl Cli {
    pub(crate) fn json(&self) -> PathBuf {
        let name = if self.quick { "quick.json" } else { "run.json" };
        self.json.clone().unwrap_or_else(|| root().join("target/bench").join(name))
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick { Sizes::quick() } else { Sizes::full() };
        if let Some(most) = self.machines.iter().max() {
            (sizes.fleet, sizes.domain) = (*most, *most);
            sizes.machines.clone_from(&self.machines);
        }
        sizes.rounds = self.rounds.unwrap_or(sizes.rounds);
        sizes.fleet_rounds = sizes.fleet_rounds.min(sizes.rounds);
        sizes.span = self.seconds.map_or(sizes.span, Duration::from_secs_f64);
        if !self.path.is_empty() {
            sizes.paths.clone_from(&self.path);
        }
        sizes
    }
}

impl Stores {
    pub(crate) fn all(self) -> &'static [Store] {
        match self {
            Self::Embedded => &[Store::Embedded],
            Self::Mongodb => &[Store::Mongodb],
            Self::Both => &[Store::Embedded, Store::Mongodb],
        }
    }
}
