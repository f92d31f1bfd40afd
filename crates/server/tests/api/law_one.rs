//! Observation changes nothing: of two worlds with one seed and the same commands, one is read all the time and the
//! other never, and both have the same machines and the same history.

use std::rc::Rc;
use std::thread;

use actix_web::rt;
use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{HOUR, Parts, Site};

/// How many read at once.
const READERS: usize = 16;

/// In how many threads they do.
const THREADS: usize = 4;

/// How often each reads and moves the wall on in a step.
const TURNS: usize = 2;

/// How many machines there are to begin with.
const MACHINES: usize = 24;

/// When the settler runs in the world that nobody reads.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Settler {
    Never,
    Late,
    Always,
}

/// Reads machines and moves the wall on, in turns.
async fn read(site: &Site, machines: &[String], reader: usize, step: u64) {
    for turn in 0..TURNS {
        let path = &machines[(reader + turn * 5) % machines.len()];
        for number in 0..2 {
            let read = match (reader + turn + number) % 8 {
                0 => site.get(&format!("{path}/events")).await,
                1 => site.get("/machines?state=RUNNING,FAILED&page_size=3").await.expect(200),
                2 => site.get("/events?page_size=2").await.expect(200),
                3 => site.operate(path, "STOP&dry_run=true").await,
                _ => site.get(path).await,
            };
            assert!([200, 202, 404, 409].contains(&read.status), "{read}");
        }
        site.wall.advance(step / (READERS * TURNS) as u64);
    }
}

/// Some of the readers, side by side in one thread.
async fn several_read(parts: Parts, machines: Vec<String>, first: usize, step: u64) {
    let (site, machines) = (Site::of(parts).await, Rc::new(machines));
    let start = |reader| {
        let (site, machines) = (site.clone(), machines.clone());
        rt::spawn(async move { read(&site, &machines, reader, step).await })
    };
    for reader in (first..READERS).step_by(THREADS).map(start).collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

/// One world and the paths of what was made in it.
struct Side {
    site: Site,
    machines: Vec<String>,
    /// What was answered to the commands.
    answers: Vec<(u16, Value)>,
}

impl Side {
    async fn new(preset: Preset, seed: u64) -> Self {
        let site = Site::memory_seeded(preset, seed).await;
        site.cluster("web").await;
        let mut side = Self { site, machines: vec![], answers: vec![] };
        for number in 0..MACHINES {
            let body = json!({"name": format!("m{number}"), "cluster_name": "web", "start": number % 5 != 0});
            side.machines.push(side.site.machine_of(&body).await);
        }
        side
    }

    /// Asks something of some machines; what is asked depends on the round alone.
    async fn command(&mut self, round: usize) {
        for number in (round % 3..self.machines.len()).step_by(3) {
            let path = self.machines[number].clone();
            let (method, suffix, body) = match (round * 7 + number * 3) % 11 {
                0 | 1 => ("POST", "?action=STOP", Value::Null),
                2 => ("POST", "?action=START", Value::Null),
                3 => ("POST", "?action=REBOOT", Value::Null),
                4 => ("POST", "?action=SUSPEND", Value::Null),
                5 => ("POST", "?action=RESUME", Value::Null),
                6 => ("POST", "?action=STOP&force=true", Value::Null),
                7 => ("POST", "?action=RESIZE&machine_type=large", Value::Null),
                8 => ("PATCH", "", json!({"tags": [format!("round:{round}")]})),
                9 if number % 4 == 0 => ("DELETE", "", Value::Null),
                10 if number % 4 == 1 => ("POST", "?action=TERMINATE", Value::Null),
                _ => continue,
            };
            self.ask(method, &format!("{path}{suffix}"), body).await;
        }
        // A name is wanted whose holder may have ended meanwhile.
        let again = json!({"name": format!("m{}", round % MACHINES), "cluster_name": "web"});
        if let Some(id) = self.ask("POST", "/machines", again).await["id"].as_str() {
            self.machines.push(format!("/machines/{id}"));
        }
    }

    async fn ask(&mut self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.site.ask(method, path, &[], &body).await;
        let mut told = answer.json();
        if let Some(told) = told.as_object_mut() {
            told.remove("request_id");
        }
        self.answers.push((answer.status, told.clone()));
        told
    }

    /// Moves the wall by a step while many read, in threads of their own: each reads and moves it on by its part, again
    /// and again. Where it is to, the settler runs between the reads.
    fn step_read(&self, step: u64, settler: bool) {
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (parts, machines) = (self.site.parts.clone(), self.machines.clone());
                scope.spawn(move || rt::System::new().block_on(several_read(parts, machines, number, step)));
            }
            if settler {
                let settler = &self.site.cloud.settler;
                scope.spawn(move || {
                    rt::System::new().block_on(async {
                        for _ in 0..TURNS {
                            assert!(settler.run_once().await.unwrap());
                        }
                    });
                });
            }
        });
    }

    /// The history, machine by machine, without what says when it was written.
    async fn history(&self) -> Vec<Value> {
        let mut events = self.site.walk("/events?page_size=1000").await;
        for event in &mut events {
            event.as_object_mut().unwrap().remove("id");
        }
        let key =
            |event: &Value| (event["machine_id"].as_str().unwrap().to_owned(), event["version"].as_u64().unwrap());
        events.sort_unstable_by_key(key);
        events
    }
}

async fn both_ways(preset: Preset, seed: u64, settler_of_the_read: bool, settler: Settler) -> Vec<Value> {
    let mut read = Side::new(preset, seed).await;
    let mut unread = Side::new(preset, seed).await;
    // Through the transitions in small steps, and then over failures and repairs.
    let steps = [vec![3_200; 12], vec![19_200; 6], vec![2 * HOUR; 4], vec![64 * HOUR]].concat();
    for (round, step) in steps.into_iter().enumerate() {
        read.step_read(step, settler_of_the_read);
        unread.site.wall.advance(step);
        if settler == Settler::Always {
            unread.site.cloud.settler.run_once().await.unwrap();
            unread.site.cloud.settler.run_once().await.unwrap();
        }
        read.command(round).await;
        unread.command(round).await;
    }
    if settler == Settler::Late {
        unread.site.cloud.settler.run_once().await.unwrap();
    }
    assert_eq!(read.machines, unread.machines);
    assert_eq!(read.answers, unread.answers);
    let history = unread.history().await;
    assert_eq!(read.history().await, history, "{preset:?} {settler:?}");
    let (of_read, of_unread) = (read.site.everything().await, unread.site.everything().await);
    assert_eq!(of_read["machines"], of_unread["machines"]);
    assert_eq!(of_read["clusters"], of_unread["clusters"]);
    for path in &read.machines {
        let (one, other) = (read.site.get(path).await, unread.site.get(path).await);
        let told = |answer: &crate::answer::Answer| (answer.status, answer.json()["version"].clone());
        assert_eq!(told(&one), told(&other));
    }
    history
}

#[actix_web::test]
async fn machines_that_are_read_live_as_machines_that_nobody_reads() {
    let mut failures = 0;
    for (preset, seed) in [(Preset::Realistic, 1), (Preset::Flaky, 2)] {
        let history = both_ways(preset, seed, false, Settler::Never).await;
        assert!(history.len() > MACHINES * 4, "a good deal happens: {}", history.len());
        failures += history.iter().filter(|event| event["state"] == "FAILED").count();
    }
    assert!(failures > 5, "things go wrong under flaky: {failures}");
}

#[actix_web::test]
async fn when_the_settler_runs_makes_no_difference() {
    let mut histories = Vec::new();
    for (settler_of_the_read, settler) in [(true, Settler::Never), (true, Settler::Late), (false, Settler::Always)] {
        histories.push(both_ways(Preset::Flaky, 3, settler_of_the_read, settler).await);
    }
    histories.dedup();
    assert_eq!(histories.len(), 1, "and the same seed gives the same history each time");
}

#[actix_web::test]
async fn another_seed_gives_another_history() {
    let one = Side::new(Preset::Realistic, 1).await;
    let other = Side::new(Preset::Realistic, 2).await;
    for side in [&one, &other] {
        side.site.wall.advance(HOUR);
    }
    assert_ne!(one.history().await, other.history().await);
}
