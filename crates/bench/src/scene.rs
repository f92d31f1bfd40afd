//! A server with machines and, beside it, the same store with as many for a loop without a server.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::bench::Bench;
use crate::cores;
use crate::place::{A_MEASURED_PAGE, Data, Place, Walk};
use crate::raw::mongo::MongoLoop;
use crate::raw::sqlite::Raw;
use crate::raw::writes::A_GROUP;
use crate::requests::{Creations, Turns};
use crate::sample::{Store, What};
use crate::wire::{Load, load};

/// Up to so many machines, creations are measured in a copy: they would soon be most of what there is.
const FEW: u64 = 10_000;

pub(crate) struct Scene {
    pub(crate) machines: u64,
    pub(crate) place: Place,
    pub(crate) walk: Walk,
    pub(crate) raw: Loops,
    /// How often something was measured here.
    pub(crate) measured: usize,
    stopped: Vec<bool>,
    tagged: Vec<bool>,
    /// How many machines were made while it was measured.
    made: u64,
    stop: [Vec<u8>; 2],
    tag: [Vec<u8>; 2],
}

/// The store without a server.
pub(crate) enum Loops {
    Sqlite(Box<Raw>),
    Mongo(Box<MongoLoop>),
}

impl Scene {
    /// Makes so many machines on both sides.
    pub(crate) fn set(bench: &Bench, store: Store, machines: u64) -> Result<Self> {
        let place = Place::start(bench, Data::new(bench, store)?)?;
        place.make_cluster("/api/v1")?;
        place.fill("/api/v1", machines)?;
        let mut walk = place.walk(machines)?;
        walk.shuffle();
        let raw = match store {
            Store::Mongodb => Loops::in_database(bench, &place, &walk)?,
            _ => Loops::in_file(bench, machines)?,
        };
        let flags = vec![false; walk.ids.len()];
        let rest = |action| format!("?action={action} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes();
        let (stop, tag) = ([rest("STOP"), rest("START")], [tagging("a"), tagging("b")]);
        Ok(Self { machines, place, walk, raw, measured: 0, stopped: flags.clone(), tagged: flags, made: 0, stop, tag })
    }

    /// STOP and START in turn.
    pub(crate) fn actions(&mut self, clients: u32) -> Turns<'_> {
        let (before, after): (&[u8], _) = (b"POST /api/v1/machines/", &self.stop);
        let (connections, from) = (clients as usize, self.measured * 7_919);
        let asked = vec![0; connections];
        Turns { before, after, ids: self.walk.halves().0, turned: &mut self.stopped, connections, asked, from }
    }

    /// One tag and another in turn.
    pub(crate) fn patches(&mut self, clients: u32) -> Turns<'_> {
        let (before, after): (&[u8], _) = (b"PATCH /api/v1/machines/", &self.tag);
        let (connections, from) = (clients as usize, self.measured * 7_919);
        let asked = vec![0; connections];
        Turns { before, after, ids: self.walk.halves().0, turned: &mut self.tagged, connections, asked, from }
    }

    pub(crate) fn create(&mut self, clients: u32, span: Duration) -> Result<Load> {
        let address = self.place.server.address;
        let last = &mut self.made;
        if self.machines > FEW {
            return load(address, clients, span, &mut Creations { api: "/api/v1", name: "new", last, until: u64::MAX });
        }
        let (control, name) = (&self.place.control, format!("copy-{}", self.measured));
        control.post("/sim/v1/worlds/default/fork", &json!({ "name": name }))?;
        let api = format!("/worlds/{name}/api/v1");
        let created = load(address, clients, span, &mut Creations { api: &api, name: "new", last, until: u64::MAX });
        control.delete(&format!("/sim/v1/worlds/{name}"))?;
        created
    }
}

fn tagging(tag: &str) -> Vec<u8> {
    let body = format!(r#"{{"tags":["{tag}","web"]}}"#);
    let length = body.len();
    format!(" HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

impl Loops {
    fn in_file(bench: &Bench, machines: u64) -> Result<Self> {
        let mut raw = Raw::empty(&bench.scratch)?;
        raw.load(machines)?;
        Ok(Self::Sqlite(Box::new(raw)))
    }

    /// In the server's own database, with those of its machines that it is not asked to change meanwhile.
    fn in_database(bench: &Bench, place: &Place, walk: &Walk) -> Result<Self> {
        let (_, others) = walk.halves();
        let database = MongoLoop::connect(&bench.mongodb()?, &place.data().database(), others)?;
        Ok(Self::Mongo(Box::new(database)))
    }

    /// With how many clients, or writes in a group, it does what is compared.
    pub(crate) fn crowds(&self, what: What) -> &'static [u32] {
        match (self, what) {
            (Self::Sqlite(_), What::Patch | What::Action | What::Create) => &[A_GROUP],
            (Self::Sqlite(_), _) => &[1],
            (Self::Mongo(_), What::Get) => &[1, 16, 64],
            (Self::Mongo(_), What::Action) => &[1, 64],
            (Self::Mongo(_), _) => &[],
        }
    }

    /// How often a second it does that.
    pub(crate) fn measure(&mut self, what: What, clients: u32, span: Duration, pinned: bool) -> Result<f64> {
        cores::measured(pinned, || match self {
            Self::Sqlite(raw) => in_file(raw, what, span),
            Self::Mongo(database) => database.measure(what, clients, span),
        })
    }
}

fn in_file(raw: &mut Raw, what: What, span: Duration) -> Result<f64> {
    let machines = raw.ids.len() as u64;
    match what {
        What::PageFirst => raw.page(None, span),
        What::PageMiddle => raw.page(Some(machines / 2), span),
        What::PageLast => raw.page(Some(machines.saturating_sub(A_MEASURED_PAGE + 1)), span),
        What::Patch => raw.patch(span),
        What::Action => raw.act(span),
        What::Create => raw.create(span),
        _ => raw.get(span),
    }
}
