//! What a run leaves: every sample, with what it takes to read them later.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::stats::Rounds;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A machine by its id.
    Get,
    /// A page of 100 by a selector, at its beginning.
    PageFirst,
    /// One in the middle.
    PageMiddle,
    /// The last one.
    PageLast,
    /// A machine made.
    Create,
    /// STOP and START in turn.
    Action,
    /// A machine's tags changed.
    Patch,
    /// Machines made by one request.
    FleetCreate,
    /// Stopped by one request.
    FleetStop,
    /// Started by one request.
    FleetStart,
    /// Terminated by one request.
    FleetTerminate,
    /// A machine by its id, now and then, while nothing else happens.
    ReadIdle,
    /// The same during fleet work.
    ReadBusy,
    /// Memory before the first machine.
    MemoryIdle,
    /// With all machines.
    MemoryFull,
    /// The most during fleet work.
    MemoryPeak,
    /// Bytes on disk for a machine and its history, before it is operated.
    Disk,
    /// From the start of the process until it is ready, after a stop.
    Reopen,
    /// The same after SIGKILL.
    ReopenKilled,
    /// Machines made as the other tool likes it best.
    MakeAll,
    /// The list of all machines.
    ListAll,
    /// One machine by its id.
    ReadOne,
    /// Machines stopped, one request each.
    StopEach,
    /// Transitions of the domain in memory.
    Settle,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// The server, or for [`What::Settle`] the domain.
    Cloudm,
    /// A handler that only serializes the same body.
    Bare,
    /// A loop over the same store.
    Raw,
    /// moto's EC2 server.
    Moto,
}

/// Where the machines were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Store {
    Embedded,
    Mongodb,
    /// In the memory of the process.
    Memory,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// What is measured, by whom and with how much: all samples of one series differ in their round alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) what: What,
    pub(crate) who: Who,
    pub(crate) store: Store,
    pub(crate) machines: u64,
    /// Connections or tasks, each with one request at a time.
    pub(crate) clients: u32,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    #[serde(flatten)]
    pub(crate) series: Series,
    pub(crate) round: u32,
    /// A second; or bytes, or seconds, as [`What`] says.
    pub(crate) value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    /// Requests that were refused, and are not in the value.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) refused: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// How it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Method {
    /// A run to see that it runs: its figures mean nothing.
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    /// Of a measurement of a hot path.
    pub(crate) seconds: f64,
    /// Whether server and client had a core each.
    pub(crate) pinned: bool,
    /// The MongoDB.
    pub(crate) mongodb: Option<String>,
    /// The version of moto.
    pub(crate) moto: Option<String>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) host: Host,
    pub(crate) method: Method,
    pub(crate) samples: Vec<Sample>,
}

impl Run {
    /// The values of a series.
    pub(crate) fn values(&self, series: Series) -> Rounds {
        self.of(series).map(|sample| (sample.round, sample.value)).collect()
    }

    /// A percentile of a series.
    pub(crate) fn latencies(&self, series: Series, which: impl Fn(&Latency) -> f64) -> Rounds {
        self.of(series).filter_map(|sample| Some((sample.round, which(sample.latency.as_ref()?)))).collect()
    }

    /// How many requests of a series were refused.
    pub(crate) fn refused(&self, series: Series) -> u64 {
        self.of(series).map(|sample| sample.refused).sum()
    }

    fn of(&self, series: Series) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.series == series)
    }

    /// Every series there is, in order.
    pub(crate) fn series(&self) -> Vec<Series> {
        let mut all: Vec<_> = self.samples.iter().map(|sample| sample.series).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The sizes at which something was measured on a store, from the least to the greatest.
    pub(crate) fn sizes(&self, what: What, store: Store) -> Vec<u64> {
        let of = |series: &Series| series.what == what && series.store == store;
        let mut sizes: Vec<_> =
            self.series().iter().filter(|series| of(series)).map(|series| series.machines).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run with these samples, each series in rounds of its own.
    pub(crate) fn run_of(values: &[(Series, f64)]) -> Run {
        let cpu = "A Fast One".into();
        let host = Host { cpu, cores: 2, memory_mib: 1, kernel: "6".into(), rustc: "rustc 1".into() };
        let method = Method { quick: false, rounds: 5, seconds: 0.5, pinned: true, mongodb: None, moto: None };
        let mut run = Run { commit: "abc".into(), date: "2030-01-01".into(), host, method, samples: Vec::new() };
        for (series, value) in values {
            let round = run.values(*series).len() as u32;
            let latency = Some(Latency { p50: 1.0, p99: 2.0, p999: 3.0 });
            run.samples.push(Sample { series: *series, round, value: *value, latency, refused: 0 });
        }
        run
    }

    #[test]
    fn a_run_survives_its_json() {
        let get = Series { what: What::Get, who: Who::Cloudm, store: Store::Embedded, machines: 10, clients: 1 };
        let run = run_of(&[(get, 1.5), (Series { machines: 5, ..get }, 2.5)]);
        let text = serde_json::to_string(&run).unwrap();
        assert!(text.contains(r#""what":"get","who":"cloudm","store":"embedded","machines":10,"clients":1"#), "{text}");
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
        assert_eq!(run.sizes(What::Get, Store::Embedded), [5, 10]);
    }
}
