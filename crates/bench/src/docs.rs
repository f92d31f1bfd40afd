//! `docs/benchmarks.md`, made from the figures of a run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cloudm_testing_mongo::secantus;

use crate::bench::STAND_IN_MACHINES;
use crate::report::sections;
use crate::sample::Run;
use crate::tell;

/// Writes the page from the figures of the last run.
pub(crate) fn write(json: &Path, page: &Path) -> Result<()> {
    let shown = json.display();
    let text = fs::read_to_string(json).with_context(|| format!("{shown} cannot be read: measure first"))?;
    let run: Run = serde_json::from_str(&text).with_context(|| format!("{shown} holds no run of this version"))?;
    ensure!(!run.method.quick, "{shown} is of a quick run, whose figures mean nothing");
    fs::write(page, text_of(&run)).with_context(|| format!("{} cannot be written", page.display()))?;
    tell(&format!("{} tells the figures of {shown}", page.display()));
    Ok(())
}

/// The page.
fn text_of(run: &Run) -> String {
    let tables = sections(run).into_iter().map(|(title, table)| format!("## {title}\n\n{table}"));
    let notes = NOTES.to_owned();
    [head(run), machine(run), method(run)].into_iter().chain(tables).chain([notes]).collect::<Vec<_>>().join("\n")
}

fn head(run: &Run) -> String {
    format!(
        "# Benchmarks\n\n\
         One run of `cargo xtask bench`, of {} at commit {}. This page is made from its figures by `cargo xtask bench --docs`.\n",
        run.date, run.commit
    )
}

fn machine(run: &Run) -> String {
    let host = &run.host;
    format!(
        "## Machine\n\n{} with {} cores, {} MiB of memory, Linux {}, {}.\n",
        host.cpu, host.cores, host.memory_mib, host.kernel, host.rustc
    )
}

fn method(run: &Run) -> String {
    let method = &run.method;
    let pinned = if method.pinned {
        "The server, with one worker, the bare handler and the raw loops run on the first core, the client on the second"
    } else {
        "There was one core for all"
    };
    let mongodb = method.mongodb.as_deref().map_or_else(String::new, |name| {
        format!("- MongoDB is `{name}`, durable, on the same machine, on whatever core is free.{}\n", stand_in(name))
    });
    let moto = method.moto.as_deref().map_or_else(String::new, |version| {
        format!("- moto is version {version} of its EC2 server, which keeps everything in memory; cloudm beside it is durable.\n")
    });
    format!(
        "## Method\n\n\
         - What is compared is measured in turn, {rounds} rounds of {seconds} s each (on MongoDB of twice that); a figure is the median of its rounds, with \
         the least and the greatest. A ratio is made within each round.\n\
         - {pinned}; both on the loopback. Each connection has one request under way. The server's log is at `warn`: at `info` it writes a line a \
         request, which makes a get a third dearer.\n\
         - The bare handler is actix-web with one worker that serializes the same body with serde_json. The raw loop is the \
         store used without a server: rusqlite with the same indexes and settings on a table that has a column for each field of a \
         machine, where writes share a commit by 64; \
         the MongoDB driver doing the same reads and the same transaction.\n\
         {mongodb}{moto}",
        rounds = method.rounds,
        seconds = method.seconds,
    )
}

/// What is left out with a server in place of MongoDB.
fn stand_in(name: &str) -> String {
    if name != secantus::NAME {
        return String::new();
    }
    format!(
        " It is a server of the same protocol, which reads all that an index range holds whatever the limit, so that what a page \
         takes grows with the fleet: at most {STAND_IN_MACHINES} machines are measured there."
    )
}

/// What the figures do not say: why a goal is not met, and what was tried. Written by hand, for the last run.
const NOTES: &str = include_str!("notes.md");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Series, Store, What, Who, tests::run_of};

    #[test]
    fn the_page_tells_the_machine_the_method_and_the_goals() {
        let get = Series { what: What::Get, who: Who::Cloudm, store: Store::Embedded, machines: 1_000, clients: 32 };
        let bare = Series { who: Who::Bare, store: Store::Memory, machines: 0, ..get };
        let run = run_of(&[(get, 50.0), (bare, 100.0)]);
        // By way of the JSON, as it is made.
        let run: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        let page = text_of(&run);
        for part in [
            "A Fast One with 2 cores",
            "commit abc",
            "5 rounds of 0.5 s",
            "## Hot paths over HTTP, embedded",
            "not met",
        ] {
            assert!(page.contains(part), "'{part}' is not in:\n{page}");
        }
        assert!(!page.contains("moto is version") && !page.contains("\n\n\n"), "{page}");
    }

    #[test]
    fn a_quick_run_makes_no_page() {
        let directory = tempfile::tempdir().unwrap();
        let (json, page) = (directory.path().join("run.json"), directory.path().join("page.md"));
        let mut run = run_of(&[]);
        run.method.quick = true;
        fs::write(&json, serde_json::to_string(&run).unwrap()).unwrap();
        assert!(write(&json, &page).unwrap_err().to_string().contains("quick"));
        run.method.quick = false;
        fs::write(&json, serde_json::to_string(&run).unwrap()).unwrap();
        write(&json, &page).unwrap();
        assert!(fs::read_to_string(&page).unwrap().starts_with("# Benchmarks"));
    }
}
