//! moto's EC2 server, which many use where cloudm could be: the same work beside it, in the same run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::clock::{Moment, pause};
use crate::control::Control;
use crate::cores;
use crate::place::{Data, Place};
use crate::sample::{Series, Store, What, Who};

/// The version, so that figures change with ours only.
pub(crate) const VERSION: &str = "5.2.5";
/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(60);
/// How long one measurement of it goes on, where it is a matter of many requests.
const PATIENCE: Duration = Duration::from_secs(5);
/// From so many machines on, one round has to do: it takes minutes.
const MANY: u64 = 10_000;
/// The most machines that are stopped.
const STOPS: usize = 1_000;

/// Makes, lists, reads and stops machines with moto and with cloudm.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    bench.step("moto is installed, once");
    let program = install(&bench.tools)?;
    let moto = Moto::start(&program, bench.pinned)?;
    let place = Place::start(bench, Data::new(bench, Store::Embedded)?)?;
    for machines in bench.sizes.moto.clone() {
        let rounds = if machines < MANY { bench.sizes.rounds.min(3) } else { 1 };
        for round in 0..rounds {
            bench.step(&format!("moto: {machines} machines, round {} of {rounds}", round + 1));
            let (all, world) = (machines, format!("beside-moto-{machines}-{round}"));
            keep(bench, (Who::Moto, all, round), &moto.measure(all)?);
            keep(bench, (Who::Cloudm, all, round), &beside(&place, &world, all)?);
        }
    }
    Ok(())
}

/// What was done how often a second.
type Rates = [(What, f64); 4];

fn keep(bench: &mut Bench, (who, machines, round): (Who, u64, u32), rates: &Rates) {
    let store = if who == Who::Moto { Store::Memory } else { Store::Embedded };
    for (what, value) in *rates {
        bench.keep(Series { what, who, store, machines, clients: 1 }, round, value);
    }
}

/// The same with cloudm, durable, by one client that asks one thing after the other.
fn beside(place: &Place, world: &str, machines: u64) -> Result<Rates> {
    let control = &place.control;
    control.post("/sim/v1/worlds", &serde_json::json!({ "name": world, "seed": 42, "preset": "instant" }))?;
    let api = format!("/worlds/{world}/api/v1");
    place.make_cluster(&api)?;
    let begun = Moment::now();
    place.fill(&api, machines)?;
    let made = machines as f64 / begun.seconds();
    let begun = Moment::now();
    let ids = list(control, &api, machines)?;
    let listed = 1.0 / begun.seconds();
    let read = each(&ids, usize::MAX, |id| control.get_text(&format!("{api}/machines/{id}")).map(drop))?;
    let stop = |id: &str| control.post_nothing(&format!("{api}/machines/{id}?action=STOP")).map(drop);
    let stopped = each(&ids, STOPS, stop)?;
    control.delete(&format!("/sim/v1/worlds/{world}"))?;
    Ok([(What::MakeAll, made), (What::ListAll, listed), (What::ReadOne, read), (What::StopEach, stopped)])
}

/// The ids of all machines.
fn list(control: &Control, api: &str, machines: u64) -> Result<Vec<String>> {
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let page = control.get(&format!("{api}/machines?page_size=1000{token}"))?;
        let items = page["items"].as_array().context("a list")?;
        ids.extend(items.iter().filter_map(|machine| machine["id"].as_str()).map(str::to_owned));
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
    }
    ensure!(ids.len() as u64 == machines, "{} machines are listed", ids.len());
    Ok(ids)
}

/// Does something to one after the other, as long as there is patience; gives how many a second.
fn each(ids: &[String], most: usize, mut act: impl FnMut(&str) -> Result<()>) -> Result<f64> {
    let (begun, mut done) = (Moment::now(), 0_u32);
    for id in ids.iter().take(most).take_while(|_| begun.elapsed() < PATIENCE) {
        act(id)?;
        done += 1;
    }
    Ok(f64::from(done) / begun.seconds())
}

struct Moto {
    child: Child,
    control: Control,
}

impl Moto {
    fn start(program: &Path, pinned: bool) -> Result<Self> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = cores::measured(pinned, || command.spawn().context("moto cannot be started"))?;
        let moto = Self { child, control: Control::new(address) };
        let begun = Moment::now();
        while let Err(error) = moto.control.get_text("/moto-api/data.json") {
            ensure!(begun.elapsed() < STARTING, "moto does not get ready: {error:#}");
            pause(Duration::from_millis(50));
        }
        Ok(moto)
    }

    fn measure(&self, machines: u64) -> Result<Rates> {
        self.control.post_nothing("/moto-api/reset")?;
        let begun = Moment::now();
        let run = format!(
            "Action=RunInstances&Version=2016-11-15&ImageId=ami-12c6146b&MinCount={machines}&MaxCount={machines}"
        );
        let ids = instances(&self.control.form(&run)?);
        let made = machines as f64 / begun.seconds();
        ensure!(ids.len() as u64 == machines, "moto made {} machines of {machines}", ids.len());
        let begun = Moment::now();
        let all = instances(&self.control.form("Action=DescribeInstances&Version=2016-11-15")?);
        let listed = 1.0 / begun.seconds();
        ensure!(all.len() == ids.len(), "moto lists {} machines of {machines}", all.len());
        let one = |action: &str, id: &str| {
            self.control.form(&format!("Action={action}&Version=2016-11-15&InstanceId.1={id}")).map(drop)
        };
        let read = each(&ids, usize::MAX, |id| one("DescribeInstances", id))?;
        let stopped = each(&ids, STOPS, |id| one("StopInstances", id))?;
        Ok([(What::MakeAll, made), (What::ListAll, listed), (What::ReadOne, read), (What::StopEach, stopped)])
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ids in an answer, in its order.
fn instances(xml: &str) -> Vec<String> {
    let after = xml.split("<instanceId>").skip(1);
    after.filter_map(|rest| rest.split_once("</instanceId>")).map(|(id, _)| id.to_owned()).collect()
}

/// Installs it where it is not; gives its program.
fn install(tools: &Path) -> Result<PathBuf> {
    let folder = tools.join(format!("venv-moto-{VERSION}"));
    let program = folder.join("bin/moto_server");
    if !program.is_file() {
        let folder = folder.display().to_string();
        succeed(Command::new("python3").args(["-m", "venv", &folder]))?;
        let package = format!("moto[server,ec2]=={VERSION}");
        let pip = format!("{folder}/bin/pip");
        succeed(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", &package]))?;
    }
    Ok(program)
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started"))?;
    ensure!(status.success(), "moto cannot be installed: {name} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_an_answer_are_found() {
        let xml = "<a><instanceId>i-1</instanceId><x/><instanceId>i-2</instanceId></a>";
        assert_eq!(instances(xml), ["i-1", "i-2"]);
        assert!(instances("<a/>").is_empty());
    }
}
