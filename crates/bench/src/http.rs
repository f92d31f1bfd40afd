//! The hot paths over HTTP: at every size and store, beside a bare handler and a loop over the same store.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bare;
use crate::bench::{Bench, store_name};
use crate::clock::{Moment, pause};
use crate::process::Process;
use crate::requests::{Reads, Same, Shuffle};
use crate::requests::{bare as plain, with_body};
use crate::sample::{Series, Store, What, Who};
use crate::scene::Scene;
use crate::wire::{Load, load};

/// What a read takes of a server that is not busy, at most.
const CALM: Duration = Duration::from_millis(20);
/// How many such reads in a row tell that.
const CALM_IN_A_ROW: u32 = 10;
/// How often it is looked for.
const CALM_LOOKS: u32 = 600;
/// The pause between two looks.
const CALM_PAUSE: Duration = Duration::from_millis(50);

/// How many connections a path is asked on.
fn crowds(what: What, store: Store) -> &'static [u32] {
    match (what, store) {
        (What::PageMiddle | What::PageLast, _) => &[32],
        (What::Patch | What::Action | What::Create, _) => &[1, 32, 64, 256],
        (What::Get, Store::Mongodb) => &[1, 16, 32, 64, 256],
        _ => &[1, 32, 256],
    }
}

/// Measures all of them on a store.
pub(crate) fn run(bench: &mut Bench, store: Store) -> Result<()> {
    let mut scenes = Vec::new();
    for machines in bench.machines(store)? {
        bench.step(&format!("hot paths, {}: {machines} machines are made", store_name(store)));
        scenes.push(Scene::set(bench, store, machines)?);
    }
    let bare = match scenes.first() {
        Some(scene) if store == Store::Embedded => Some(scene.bare(bench.pinned)?),
        _ => None,
    };
    for round in 0..bench.sizes.rounds {
        bench.step(&format!("hot paths, {}: round {} of {}", store_name(store), round + 1, bench.sizes.rounds));
        for what in bench.sizes.paths.clone() {
            path(bench, &mut scenes, bare.as_ref(), (what, store, round))?;
        }
    }
    Ok(())
}

/// One path in one round: what is compared, in turn.
fn path(
    bench: &mut Bench,
    scenes: &mut [Scene],
    bare: Option<&Process>,
    (what, store, round): (What, Store, u32),
) -> Result<()> {
    let span = bench.span(store);
    for clients in crowds(what, store).iter().copied() {
        for scene in &mut *scenes {
            let measured =
                scene.measure(what, clients, span).with_context(|| format!("{what:?}, {clients} clients"))?;
            let series = Series { what, who: Who::Cloudm, store, machines: scene.machines, clients };
            bench.keep_load(series, round, &measured);
            if measured.refused > 0 {
                scene.calm_down()?;
            }
        }
        if let Some(bare) = bare {
            let series = Series { what, who: Who::Bare, store: Store::Memory, machines: 0, clients };
            bench.keep_load(series, round, &ask_bare(bench, bare, (what, clients))?);
        }
    }
    for scene in scenes {
        for clients in scene.raw.crowds(what) {
            let value = scene.raw.measure(what, *clients, span, bench.pinned)?;
            let series = Series { what, who: Who::Raw, store, machines: scene.machines, clients: *clients };
            bench.keep(series, round, value);
        }
    }
    Ok(())
}

fn ask_bare(bench: &Bench, bare: &Process, (what, clients): (What, u32)) -> Result<Load> {
    let request = match what {
        What::PageFirst | What::PageMiddle | What::PageLast => plain("GET", "/page"),
        What::Patch => with_body("POST", "/machine", r#"{"tags":["a","web"]}"#),
        What::Create => with_body("POST", "/machine", r#"{"name":"new-1000","cluster_name":"c1","tags":["web"]}"#),
        What::Action => plain("POST", "/machine?action=STOP"),
        _ => plain("GET", "/machine"),
    };
    load(bare.address, clients, bench.sizes.span, &mut Same(request))
}

impl Scene {
    /// A bare handler that says what this server says.
    fn bare(&self, pinned: bool) -> Result<Process> {
        let (machine, page) =
            (self.place.control.get_text(&self.walk.one()?)?, self.place.control.get_text(&self.walk.first)?);
        bare::start(&machine, &page, pinned)
    }

    /// Waits until the server is no longer busy with what it refused, for that is not for what is measured next; not for ever.
    fn calm_down(&self) -> Result<()> {
        let path = self.walk.one()?;
        let mut calm = 0;
        for _ in 0..CALM_LOOKS {
            let begun = Moment::now();
            let answered = self.place.control.get_text(&path).is_ok();
            calm = if answered && begun.elapsed() < CALM { calm + 1 } else { 0 };
            if calm == CALM_IN_A_ROW {
                break;
            }
            pause(CALM_PAUSE);
        }
        Ok(())
    }

    /// Asks the server on so many connections.
    fn measure(&mut self, what: What, clients: u32, span: Duration) -> Result<Load> {
        let address = self.place.server.address;
        self.measured += 1;
        let page = |path: &str| Same(plain("GET", path));
        match what {
            What::PageFirst => load(address, clients, span, &mut page(&self.walk.first)),
            What::PageMiddle => load(address, clients, span, &mut page(&self.walk.middle)),
            What::PageLast => load(address, clients, span, &mut page(&self.walk.last)),
            What::Patch => load(address, clients, span, &mut self.patches(clients)),
            What::Action => load(address, clients, span, &mut self.actions(clients)),
            What::Create => self.create(clients, span),
            _ => {
                let mut reads = Reads { ids: &self.walk.ids, shuffle: Shuffle::new(self.measured as u64) };
                load(address, clients, span, &mut reads)
            }
        }
    }
}
