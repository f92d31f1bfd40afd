//! A server with machines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::Bench;
use crate::clock::{Moment, pause};
use crate::control::Control;
use crate::process::Process;
use crate::requests::{Id, Shuffle};
use crate::sample::Store;

/// Machines in a page while they are counted.
const A_PAGE: u64 = 1_000;
/// Machines in a page that is measured.
pub(crate) const A_MEASURED_PAGE: u64 = 100;
/// How often an operation is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);
/// How long an operation may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long a process may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// The path of the list that is measured.
pub(crate) const LIST: &str = "/api/v1/machines?cluster=c1&page_size=";

/// A running server of its own, with its data in a directory, or a database, of its own.
pub(crate) struct Place {
    pub(crate) server: Process,
    pub(crate) control: Control,
    /// How long it took to get ready.
    pub(crate) took: Duration,
    data: Data,
}

/// Where a server has its data: kept when the server ends, gone when this is.
pub(crate) struct Data {
    directory: TempDir,
    store: Store,
    uri: String,
}

impl Data {
    pub(crate) fn new(bench: &Bench, store: Store) -> Result<Self> {
        let uri = if store == Store::Mongodb { bench.mongodb()? } else { String::new() };
        Ok(Self { directory: tempfile::tempdir_in(&bench.scratch)?, store, uri })
    }

    /// The name of its database: that of the directory, which nobody else has.
    pub(crate) fn database(&self) -> String {
        let name = self.directory.path().file_name().unwrap_or_default();
        format!("cloudm-bench{}", name.to_string_lossy().replace('.', "-"))
    }

    /// What the embedded store keeps on the disk, in bytes.
    pub(crate) fn bytes(&self) -> Result<u64> {
        let worlds = std::fs::read_dir(self.directory().join("cloudm-data/worlds"))?;
        worlds.map(|entry| Ok(entry?.metadata()?.len())).sum()
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.store == Store::Mongodb {
            cloudm_testing_mongo::drop_database(&self.uri, &self.database());
        }
    }
}

impl Place {
    /// Starts a server and waits until it says that it is ready.
    pub(crate) fn start(bench: &Bench, data: Data) -> Result<Self> {
        let mut command = Command::new(&bench.server);
        command.current_dir(data.directory()).env_clear().envs([
            ("CLOUDM__HTTP__BIND", "127.0.0.1:0"),
            ("CLOUDM__LOG__LEVEL", "warn"),
            ("CLOUDM__SIMULATION__SEED", "42"),
        ]);
        if bench.pinned {
            command.env("CLOUDM__HTTP__WORKERS", "1");
        }
        let kind = if data.store == Store::Mongodb { "mongodb" } else { "embedded" };
        command.env("CLOUDM__STORE__KIND", kind);
        if data.store == Store::Mongodb {
            command.env("CLOUDM__STORE__URI", &data.uri).env("CLOUDM__STORE__DATABASE", data.database());
        }
        let begun = Moment::now();
        let server = Process::start(command, None, bench.pinned)?;
        let control = Control::new(server.address);
        while let Err(error) = control.get_text("/readyz") {
            ensure!(begun.elapsed() < STARTING, "the server does not get ready: {error:#}");
            pause(Duration::from_millis(1));
        }
        Ok(Self { took: begun.elapsed(), server, control, data })
    }

    /// Ends the server; its data can be used by the next.
    pub(crate) fn stop(self) -> Result<Data> {
        self.server.stop()?;
        Ok(self.data)
    }

    /// Kills the server.
    pub(crate) fn kill(self) -> Result<Data> {
        self.server.kill()?;
        Ok(self.data)
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Makes the cluster that all machines are in.
    pub(crate) fn make_cluster(&self, api: &str) -> Result<()> {
        self.control.post(&format!("{api}/clusters"), &json!({ "name": "c1", "region_code": "A" })).map(drop)
    }

    /// Makes so many machines.
    pub(crate) fn fill(&self, api: &str, count: u64) -> Result<()> {
        let template = json!({ "name": "web-{n}", "cluster_name": "c1", "tags": ["web"] });
        let asked = json!({ "kind": "CREATE", "count": count, "template": template });
        let made = self.operate(api, &asked, || ())?;
        ensure!(made == count, "{made} machines were made");
        Ok(())
    }

    /// Sends a fleet operation and waits until it has succeeded, looking at something now and then; says how many machines it
    /// has operated.
    pub(crate) fn operate(&self, api: &str, asked: &Value, mut look: impl FnMut()) -> Result<u64> {
        let begun = Moment::now();
        let mut operation = self.control.post(&format!("{api}/operations"), asked)?;
        let path = format!("{api}/operations/{}", operation["id"].as_str().context("an operation without an id")?);
        while matches!(operation["state"].as_str(), Some("PENDING" | "RUNNING")) {
            ensure!(begun.elapsed() < PATIENCE, "an operation does not end: {operation}");
            look();
            pause(LOOK);
            operation = self.control.get(&path)?;
        }
        ensure!(operation["state"] == "SUCCEEDED", "an operation ended so: {operation}");
        operation["progress"]["done"].as_u64().context("an operation without progress")
    }

    /// Walks through all machines.
    pub(crate) fn walk(&self, machines: u64) -> Result<Walk> {
        let mut walk = Walk::default();
        let (middle, last) = (machines / 2, machines.saturating_sub(A_MEASURED_PAGE));
        let mut token = None::<String>;
        loop {
            let met = walk.ids.len() as u64;
            for (at, path) in [(0, &mut walk.first), (middle, &mut walk.middle), (last, &mut walk.last)] {
                if met == at {
                    *path = path_of(A_MEASURED_PAGE, token.as_deref());
                }
            }
            let goal = [middle, last].into_iter().find(|goal| *goal > met).unwrap_or(met + A_PAGE);
            let text = self.control.get_text(&path_of((goal - met).min(A_PAGE), token.as_deref()))?;
            let page: Page = serde_json::from_str(&text).context("a list without ids")?;
            walk.ids.extend(page.items.iter().filter_map(|machine| Id::try_from(machine.id.as_bytes()).ok()));
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        let met = walk.ids.len() as u64;
        ensure!(met == machines, "{met} machines were met where {machines} were made");
        Ok(walk)
    }
}

/// What a walk finds.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) ids: Vec<Id>,
    /// The paths of the pages that are measured.
    pub(crate) first: String,
    pub(crate) middle: String,
    pub(crate) last: String,
}

impl Walk {
    /// Brings the ids into no order, as clients ask for machines: what lies side by side is not asked one after the other.
    pub(crate) fn shuffle(&mut self) {
        let mut shuffle = Shuffle::new(1);
        for place in (1..self.ids.len()).rev() {
            self.ids.swap(place, shuffle.below(place + 1));
        }
    }

    /// The path of one machine.
    pub(crate) fn one(&self) -> Result<String> {
        let id = self.ids.first().context("no machine")?;
        Ok(format!("/api/v1/machines/{}", String::from_utf8_lossy(id)))
    }

    /// The machines that are changed by way of the server, and those that are changed without it.
    pub(crate) fn halves(&self) -> (&[Id], &[Id]) {
        self.ids.split_at(self.ids.len() / 2)
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Listed>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

fn path_of(size: u64, token: Option<&str>) -> String {
    token.map_or_else(|| format!("{LIST}{size}"), |token| format!("{LIST}{size}&page_token={token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_ids_are_the_same_in_another_order() {
        let ids: Vec<Id> = (0..100).map(|number| [number; 24]).collect();
        let mut walk = Walk { ids: ids.clone(), ..Walk::default() };
        walk.shuffle();
        assert!(!walk.ids.is_sorted());
        walk.ids.sort_unstable();
        assert_eq!(walk.ids, ids);
    }

    #[test]
    fn a_page_goes_on_where_the_token_says() {
        assert_eq!(path_of(100, None), "/api/v1/machines?cluster=c1&page_size=100");
        assert_eq!(path_of(7, Some("t-1")), "/api/v1/machines?cluster=c1&page_size=7&page_token=t-1");
    }
}
