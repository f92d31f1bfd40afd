//! What is done to machines at known instants.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::faults::{World, twice, with};
use crate::site::{Site, on_every_store};

/// An entry of this kind at an hour after the start of the world.
fn entry(kind: &str) -> Value {
    json!({"kind": kind, "not_before": "2030-01-01T01:00:00Z"})
}

fn outage() -> Value {
    with(entry("REGION_OUTAGE"), json!({"selector": {"region": "A"}, "deadline": "2030-01-01T02:00:00Z"}))
}

async fn post(world: &World<'_>, entry: &Value) -> Value {
    world.simulate("POST", "/schedule", entry).await.expect(201).json()
}

async fn go_to(world: &World<'_>, time: &str) -> Value {
    let to = json!({"to": format!("2030-01-01T{time}Z")});
    world.simulate("POST", "/clock/advance", &to).await.expect(200).json()
}

async fn read(world: &World<'_>, machine: &str) -> Value {
    world.ask("GET", machine, &Value::Null).await.expect(200).json()
}

/// Its state and why, and what is scheduled for it.
async fn shown(world: &World<'_>, machine: &str) -> (String, Value, usize) {
    let machine = read(world, machine).await;
    let scheduled = machine["scheduled_events"].as_array().map_or(0, Vec::len);
    (machine["state"].as_str().unwrap().to_owned(), machine["state_reason"]["code"].clone(), scheduled)
}

fn state(state: &str, reason: Value, scheduled: usize) -> (String, Value, usize) {
    (state.to_owned(), reason, scheduled)
}

async fn kinds(world: &World<'_>, machine: &str) -> Vec<String> {
    let events = world.events(&format!("{machine}/events")).await;
    events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
pub(crate) async fn a_schedule_is_posted_read_and_taken_out() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let told = with(entry("SPOT_TERMINATION"), json!({"selector": {"tag": ["spot"]}, "notice": "2m"}));
        let dry = world.simulate("POST", "/schedule?dry_run=true", &told).await.expect(201).json();
        let posted = world.simulate("POST", "/schedule", &told).await.expect(201);
        let shown = posted.json();
        assert_eq!((&shown["announced_at"], &shown["state"]), (&json!("2030-01-01T00:58:00.000Z"), &json!("PENDING")));
        assert_eq!((&shown["deadline"], &shown["notice"]), (&json!("2030-01-01T01:00:00.000Z"), &json!("2m")));
        assert_eq!(shown["selector"], json!({"tag": ["spot"]}));
        assert_eq!(dry["id"], shown["id"]);
        let path = format!("/schedule/{}", shown["id"].as_str().unwrap());
        assert_eq!(posted.header("location"), Some(format!("/sim/v1/worlds/a{path}").as_str()));
        assert_eq!(world.simulate("GET", &path, &Value::Null).await.expect(200).json(), shown);
        let stop = post(&world, &entry("MAINTENANCE_STOP")).await;
        assert_eq!(world.simulate("GET", "/schedule", &Value::Null).await.items(), [shown, stop.clone()]);
        world.simulate("DELETE", &path, &Value::Null).await.expect(204);
        world.simulate("GET", &path, &Value::Null).await.expect_problem(404, "no_such_schedule_entry", None);
        assert_eq!(world.simulate("GET", "/schedule", &Value::Null).await.items(), [stop]);
        world.simulate("DELETE", "/schedule", &Value::Null).await.expect(204);
        world.simulate("DELETE", "/schedule", &Value::Null).await.expect(204);
        assert_eq!(world.simulate("GET", "/schedule", &Value::Null).await.items(), Vec::<Value>::new());
    })
    .await;
}

#[actix_web::test]
async fn a_spot_machine_is_told_and_then_terminated() {
    twice(async |world| {
        let spot = json!({"name": "spot", "cluster_name": "web", "tags": ["spot"]});
        let spot = world.ask("POST", "/machines", &spot).await.expect(201).json();
        let spot = format!("/machines/{}", spot["id"].as_str().unwrap());
        let other = world.machine("other", true).await;
        post(world, &with(entry("SPOT_TERMINATION"), json!({"selector": {"tag": ["spot"]}, "notice": "2m"}))).await;
        assert_eq!(world.clock().await["next_due_at"], json!("2030-01-01T00:00:10.001Z"));
        go_to(world, "00:57:59").await;
        assert_eq!(world.clock().await["next_due_at"], json!("2030-01-01T00:58:00.000Z"));
        assert_eq!(shown(world, &spot).await, state("RUNNING", Value::Null, 0));
        let next = world.simulate("POST", "/clock/advance-to-next", &Value::Null).await.expect(200).json();
        assert_eq!(next["happened"]["kinds"], json!({"ANNOUNCED": 1}));
        let scheduled = &read(world, &spot).await["scheduled_events"][0];
        assert_eq!(scheduled["kind"], json!("SPOT_TERMINATION"));
        assert_eq!(
            (&scheduled["not_before"], &scheduled["deadline"]),
            (&json!("2030-01-01T01:00:00.000Z"), &json!("2030-01-01T01:00:00.000Z"))
        );
        assert_eq!(world.clock().await["next_due_at"], json!("2030-01-01T01:00:00.000Z"));
        go_to(world, "01:00:00").await;
        assert_eq!(shown(world, &spot).await, state("TERMINATING", json!("PREEMPTED"), 0));
        go_to(world, "01:00:10").await;
        assert_eq!(shown(world, &spot).await, state("TERMINATED", json!("PREEMPTED"), 0));
        assert_eq!(kinds(world, &spot).await[3..], ["ANNOUNCED", "CAME_DUE", "STATE_ENTERED", "STATE_ENTERED"]);
        assert_eq!(shown(world, &other).await, state("RUNNING", Value::Null, 0));
    })
    .await;
}

#[actix_web::test]
async fn a_host_is_maintained() {
    twice(async |world| {
        let (moved, stopped) = (world.machine("moved", true).await, world.machine("stopped", true).await);
        let of = |name: &str| json!({"selector": {"name": name}, "notice": "10m"});
        post(world, &with(entry("MAINTENANCE_MIGRATION"), of("moved"))).await;
        post(world, &with(entry("MAINTENANCE_STOP"), of("stopped"))).await;
        let told = go_to(world, "00:50:00").await;
        assert_eq!(told["happened"]["kinds"], json!({"ANNOUNCED": 2, "STATE_ENTERED": 4}));
        assert_eq!(shown(world, &moved).await.2 + shown(world, &stopped).await.2, 2);
        let reached = go_to(world, "01:00:00").await;
        assert_eq!(reached["happened"]["kinds"], json!({"CAME_DUE": 2, "STATE_ENTERED": 2}));
        assert_eq!(shown(world, &moved).await, state("MIGRATING", json!("MIGRATED"), 0));
        assert_eq!(shown(world, &stopped).await, state("STOPPING", json!("MAINTENANCE"), 0));
        go_to(world, "01:00:10").await;
        assert_eq!(world.states().await, ["moved RUNNING", "stopped STOPPED"]);
    })
    .await;
}

#[actix_web::test]
async fn who_drains_in_time_sees_nothing_worse() {
    twice(async |world| {
        let machines = [world.machine("a", true).await, world.machine("b", true).await];
        post(world, &with(entry("SPOT_TERMINATION"), json!({"notice": "10m"}))).await;
        go_to(world, "00:51:00").await;
        assert_eq!(shown(world, &machines[0]).await.2, 1);
        world.operate(&machines[0], "STOP").await.expect(202);
        world.ask("DELETE", &machines[1], &Value::Null).await.expect(202);
        go_to(world, "02:00:00").await;
        assert_eq!(world.states().await, ["a STOPPED"]);
        let told = kinds(world, &machines[0]).await;
        assert_eq!(told[3..], ["ANNOUNCED", "STATE_ENTERED", "STATE_ENTERED", "CAME_DUE"]);
        world.operate(&machines[0], "START").await.expect(202);
        go_to(world, "03:00:00").await;
        assert_eq!(world.states().await, ["a RUNNING"], "who was not there then is not told later");
    })
    .await;
}

#[actix_web::test]
async fn a_region_is_out_and_refuses_what_is_asked() {
    twice(async |world| {
        world.ask("POST", "/clusters", &json!({"name": "far", "region_code": "B"})).await.expect(201);
        let near = world.machine("near", true).await;
        let idle = world.machine("idle", false).await;
        let far =
            world.ask("POST", "/machines", &json!({"name": "far", "cluster_name": "far"})).await.expect(201).json();
        post(world, &outage()).await;
        go_to(world, "00:59:59").await;
        let out = go_to(world, "01:00:00").await;
        assert_eq!(out["happened"]["kinds"], json!({"ANNOUNCED": 2, "CAME_DUE": 2, "STATE_ENTERED": 1}));
        assert_eq!(world.states().await, ["far RUNNING", "idle STOPPED", "near FAILED"]);
        assert_eq!(shown(world, &near).await, state("FAILED", json!("REGION_OUTAGE"), 0));
        let cluster = read(world, &near).await["cluster_id"].as_str().unwrap().to_owned();
        let asked = [
            ("POST", "/machines".to_owned(), json!({"name": "new", "cluster_name": "web"})),
            ("POST", format!("{near}?action=START"), Value::Null),
            ("POST", format!("{idle}?action=START"), Value::Null),
            ("POST", format!("{near}?action=TERMINATE&dry_run=true"), Value::Null),
            ("PATCH", near.clone(), json!({"tags": ["x"]})),
            ("DELETE", near.clone(), Value::Null),
            ("POST", "/clusters".to_owned(), json!({"name": "new", "region_code": "A"})),
            ("PATCH", format!("/clusters/{cluster}"), json!({"region_code": "B"})),
            ("DELETE", format!("/clusters/{cluster}"), Value::Null),
        ];
        for (method, path, body) in asked {
            let refused = world.ask(method, &path, &body).await;
            refused.expect_problem(503, "region_outage", None);
            let told = refused.json();
            assert_eq!((&told["region_code"], &told["until"]), (&json!("A"), &json!("2030-01-01T02:00:00.000Z")));
        }
        let fleet = json!({"kind": "STOP", "all": true});
        let fleet = world.ask("POST", "/operations", &fleet).await.expect(200).json();
        let results = world
            .ask("GET", &format!("/operations/{}/results", fleet["id"].as_str().unwrap()), &Value::Null)
            .await
            .items();
        let codes: Vec<_> = results.iter().filter_map(|result| result["code"].as_str()).collect();
        assert_eq!(codes, ["region_outage"], "{results:?}");
        assert_eq!(
            read(world, &format!("/machines/{}", far["id"].as_str().unwrap())).await["state"],
            json!("STOPPING")
        );
        let card = world.simulate("GET", "/scorecard", &Value::Null).await.expect(200).json();
        assert_eq!(card["refusals"], json!({"REGION_OUTAGE": 5}));
        go_to(world, "01:59:59.999").await;
        assert_eq!(shown(world, &near).await.0, "FAILED");
        go_to(world, "02:00:00").await;
        assert_eq!(shown(world, &near).await, state("REPAIRING", json!("UNDER_REPAIR"), 0));
        world.operate(&idle, "START").await.expect(202);
        go_to(world, "02:00:20").await;
        assert_eq!(world.states().await, ["far STOPPED", "idle RUNNING", "near RUNNING"]);
    })
    .await;
}

#[actix_web::test]
async fn each_machine_is_reached_within_the_window() {
    twice(async |world| {
        let fleet = json!({"kind": "CREATE", "count": 60, "template": {"name": "m-{n}", "cluster_name": "web"}});
        world.ask("POST", "/operations", &fleet).await.expect(200);
        let window = json!({"deadline": "2030-01-01T02:00:00Z"});
        post(world, &with(entry("MAINTENANCE_STOP"), window)).await;
        go_to(world, "01:30:00").await;
        let stopped = world.states().await.iter().filter(|one| !one.ends_with("RUNNING")).count();
        assert!((15..45).contains(&stopped), "{stopped}");
        go_to(world, "02:00:10").await;
        assert!(world.states().await.iter().all(|one| one.ends_with("STOPPED")));
    })
    .await;
}

#[actix_web::test]
async fn who_moves_away_in_time_is_not_told() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let machine = world.machine("a", true).await;
        post(&world, &outage()).await;
        go_to(&world, "00:59:59").await;
        let cluster = read(&world, &machine).await["cluster_id"].as_str().unwrap().to_owned();
        let cluster = format!("/clusters/{cluster}");
        world.ask("PATCH", &cluster, &json!({"region_code": "B"})).await.expect(200);
        go_to(&world, "01:30:00").await;
        assert_eq!(shown(&world, &machine).await, state("RUNNING", Value::Null, 0));
        world.ask("PATCH", &cluster, &json!({"region_code": "A"})).await.expect_problem(503, "region_outage", None);
    })
    .await;
}

#[actix_web::test]
async fn a_clock_that_runs_tells_whoever_looks() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let machines = [world.machine("a", true).await, world.machine("b", true).await];
        post(&world, &with(entry("MAINTENANCE_STOP"), json!({"notice": "30m"}))).await;
        world.simulate("PATCH", "/clock", &json!({"rate": 60.0})).await.expect(200);
        site.wall.advance(31_000);
        assert_eq!(shown(&world, &machines[0]).await.2, 1, "by itself");
        let listed = world.ask("GET", "/machines", &Value::Null).await.items();
        assert!(
            listed.iter().all(|machine| machine["scheduled_events"][0]["kind"] == "MAINTENANCE_STOP"),
            "{listed:?}"
        );
        site.wall.advance(30_000);
        let selected = world.ask("GET", "/machines?state=STOPPED", &Value::Null).await.items();
        assert_eq!(selected.len(), 2);
    })
    .await;
}

#[actix_web::test]
async fn a_schedule_goes_with_its_world() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let machine = world.machine("a", true).await;
        post(&world, &with(entry("SPOT_TERMINATION"), json!({"notice": "30m"}))).await;
        post(&world, &outage()).await;
        go_to(&world, "00:40:00").await;
        world.simulate("POST", "/fork", &json!({"name": "f"})).await.expect(201);
        let snapshot = world.simulate("GET", "/snapshot", &Value::Null).await.expect(200).body;
        let lines = [("content-type", "application/x-ndjson")];
        site.send("PUT", "/sim/v1/worlds/s/snapshot", &lines, &snapshot).await.expect(201);
        let mut ends = Vec::new();
        for name in ["a", "f", "s"] {
            let world = World { site, name };
            assert_eq!(shown(&world, &machine).await, state("RUNNING", Value::Null, 1));
            let schedule = world.simulate("GET", "/schedule", &Value::Null).await.items();
            assert_eq!((&schedule[0]["state"], &schedule[1]["state"]), (&json!("ANNOUNCED"), &json!("PENDING")));
            go_to(&world, "03:00:00").await;
            ends.push(world.digest().await);
        }
        assert_eq!((&ends[0], &ends[0]), (&ends[1], &ends[2]));
        world.simulate("POST", "/reset", &Value::Null).await.expect(200);
        assert_eq!(world.simulate("GET", "/schedule", &Value::Null).await.items(), Vec::<Value>::new());
    })
    .await;
}

#[actix_web::test]
async fn what_was_announced_comes_to_pass() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    let posted = post(&world, &with(entry("MAINTENANCE_STOP"), json!({"notice": "30m"}))).await;
    go_to(&world, "00:30:00").await;
    let path = format!("/schedule/{}", posted["id"].as_str().unwrap());
    world.simulate("DELETE", &path, &Value::Null).await.expect_problem(409, "announced", None);
    world.simulate("DELETE", "/schedule", &Value::Null).await.expect(204);
    assert_eq!(world.simulate("GET", "/schedule", &Value::Null).await.items().len(), 1);
}

#[actix_web::test]
async fn every_mistake_of_a_schedule_is_pointed_at() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    let clock = world.clock().await;
    let stop = || entry("MAINTENANCE_STOP");
    let bad = [
        (entry("FLOOD"), "invalid_value", "/kind"),
        (json!({"kind": "MAINTENANCE_STOP"}), "missing_field", "/not_before"),
        (with(stop(), json!({"not_before": "2029-12-31T23:00:00Z"})), "invalid_schedule", "/not_before"),
        (with(stop(), json!({"deadline": "2030-01-01T00:59:59Z"})), "invalid_schedule", "/deadline"),
        (with(stop(), json!({"notice": "soon"})), "invalid_value", "/notice"),
        (with(stop(), json!({"selector": {"region": "Q"}})), "unknown_region", "/selector/region"),
        (with(stop(), json!({"selector": {"machine_type": "vast"}})), "unknown_machine_type", "/selector/machine_type"),
        (with(stop(), json!({"selector": {"colour": "red"}})), "unknown_field", "/selector/colour"),
        (with(outage(), json!({"selector": {}})), "invalid_schedule", "/selector"),
        (with(outage(), json!({"selector": {"region": "A", "tag": ["x"]}})), "invalid_schedule", "/selector"),
        (with(outage(), json!({"notice": "1m"})), "invalid_schedule", "/notice"),
        (with(outage(), json!({"deadline": "2030-01-01T01:00:00Z"})), "invalid_schedule", "/deadline"),
    ];
    for (body, code, pointer) in bad {
        world.simulate("POST", "/schedule", &body).await.expect_problem(422, code, Some(pointer));
    }
    assert_eq!(world.clock().await, clock);
}
