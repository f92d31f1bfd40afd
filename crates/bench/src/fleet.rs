//! Fleet work: all machines made, stopped, started and terminated by four requests, and what that takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::bench::{Bench, store_name};
use crate::clock::{Moment, pause};
use crate::control::Control;
use crate::cores;
use crate::histogram::Histogram;
use crate::place::{Data, Place};
use crate::process::memory;
use crate::raw::bulk::Sweep;
use crate::raw::sqlite::Raw;
use crate::requests::Id;
use crate::sample::{Series, Store, What, Who};

/// The pause of the reader between two requests: it looks, and is not what is measured.
const READING: Duration = Duration::from_millis(1);
/// How long reads are measured before the work begins.
const IDLE: Duration = Duration::from_secs(2);

/// Does the work on a store, and on the embedded one beside a loop without a server.
pub(crate) fn run(bench: &mut Bench, store: Store) -> Result<()> {
    let machines = bench.fleet(store)?;
    for round in 0..bench.sizes.fleet_rounds {
        let (name, rounds) = (store_name(store), bench.sizes.fleet_rounds);
        bench.step(&format!("fleets, {name}: {machines} machines, round {} of {rounds}", round + 1));
        let mut work = Work { machines, store, round, bench };
        work.with_server()?;
        if store == Store::Embedded {
            work.without_server()?;
        }
    }
    Ok(())
}

/// One round.
struct Work<'a> {
    bench: &'a mut Bench,
    store: Store,
    machines: u64,
    round: u32,
}

impl Work<'_> {
    fn keep(&mut self, what: What, who: Who, value: f64) {
        let series = self.series(what, who);
        self.bench.keep(series, self.round, value);
    }

    fn series(&self, what: What, who: Who) -> Series {
        Series { what, who, store: self.store, machines: self.machines, clients: 1 }
    }

    fn with_server(&mut self) -> Result<()> {
        let place = Place::start(self.bench, Data::new(self.bench, self.store)?)?;
        place.make_cluster("/api/v1")?;
        self.keep(What::MemoryIdle, Who::Cloudm, place.server.memory() as f64);
        let create = json!({
            "kind": "CREATE",
            "count": self.machines,
            "template": { "name": "web-{n}", "cluster_name": "c1", "tags": ["web"] },
        });
        let mut peak = self.operate(&place, What::FleetCreate, &create)?;
        self.keep(What::MemoryFull, Who::Cloudm, place.server.memory() as f64);
        let place = self.reopened(place)?;
        let id = one_id(&place.control)?;
        self.read_idle(&place, id)?;
        let reader = Reader::start(place.server.address, id);
        let steps = [(What::FleetStop, "STOP"), (What::FleetStart, "START"), (What::FleetTerminate, "TERMINATE")];
        for (what, kind) in steps {
            peak = peak.max(self.operate(&place, what, &json!({ "kind": kind, "all": true }))?);
        }
        let series = self.series(What::ReadBusy, Who::Cloudm);
        self.bench.keep_latencies(series, self.round, &reader.end()?);
        self.keep(What::MemoryPeak, Who::Cloudm, peak as f64);
        let killed = Place::start(self.bench, place.kill()?)?;
        self.keep(What::ReopenKilled, Who::Cloudm, killed.took.as_secs_f64());
        Ok(())
    }

    /// Sends an operation and waits until it is done; keeps its speed, and gives the most memory meanwhile.
    fn operate(&mut self, place: &Place, what: What, asked: &Value) -> Result<u64> {
        let (begun, mut peak) = (Moment::now(), 0);
        let done = place.operate("/api/v1", asked, || peak = peak.max(memory(place.server.id())))?;
        let took = begun.seconds();
        ensure!(done == self.machines, "{done} machines were operated");
        self.keep(what, Who::Cloudm, self.machines as f64 / took);
        Ok(peak)
    }

    /// Ends the server, looks at its data, and starts it again.
    fn reopened(&mut self, place: Place) -> Result<Place> {
        let data = place.stop()?;
        if self.store == Store::Embedded {
            let bytes = data.bytes()?;
            self.keep(What::Disk, Who::Cloudm, bytes as f64 / self.machines as f64);
        }
        let place = Place::start(self.bench, data)?;
        self.keep(What::Reopen, Who::Cloudm, place.took.as_secs_f64());
        Ok(place)
    }

    fn read_idle(&mut self, place: &Place, id: Id) -> Result<()> {
        let reader = Reader::start(place.server.address, id);
        pause(IDLE.min(self.bench.sizes.span * 4));
        let series = self.series(What::ReadIdle, Who::Cloudm);
        self.bench.keep_latencies(series, self.round, &reader.end()?);
        Ok(())
    }

    fn without_server(&mut self) -> Result<()> {
        let (machines, pinned) = (self.machines, self.bench.pinned);
        let mut raw = Raw::empty(&self.bench.scratch)?;
        let created = cores::measured(pinned, || raw.load(machines))?;
        self.keep(What::FleetCreate, Who::Raw, created);
        let bytes = raw.bytes()?;
        self.keep(What::Disk, Who::Raw, bytes as f64 / machines as f64);
        let sweeps = [
            (What::FleetStop, Sweep::Stop),
            (What::FleetStart, Sweep::Start),
            (What::FleetTerminate, Sweep::Terminate),
        ];
        for (what, sweep) in sweeps {
            let rate = cores::measured(pinned, || raw.sweep(sweep))?;
            self.keep(what, Who::Raw, rate);
        }
        Ok(())
    }
}

/// The id of one of the machines.
fn one_id(control: &Control) -> Result<Id> {
    let page = control.get("/api/v1/machines?page_size=1")?;
    let id = page["items"][0]["id"].as_str().context("a list of no machines")?;
    Id::try_from(id.as_bytes()).context("an id has 24 digits")
}

/// Who reads one machine now and then, on one connection, to see how long that takes.
struct Reader {
    ends: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<Histogram>>,
}

impl Reader {
    fn start(address: SocketAddr, id: Id) -> Self {
        let ends = std::sync::Arc::new(AtomicBool::new(false));
        let told = ends.clone();
        let thread = thread::spawn(move || read(&Control::new(address), id, &told));
        Self { ends, thread }
    }

    fn end(self) -> Result<Histogram> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(anyhow!("the reader panicked")))
    }
}

fn read(control: &Control, id: Id, ends: &AtomicBool) -> Result<Histogram> {
    let mut latencies = Histogram::default();
    let path = format!("/api/v1/machines/{}", String::from_utf8_lossy(&id));
    while !ends.load(Ordering::Relaxed) {
        let begun = Moment::now();
        control.get_text(&path)?;
        latencies.add(begun.elapsed());
        pause(READING);
    }
    Ok(latencies)
}
