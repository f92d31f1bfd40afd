//! Faults that count what is asked of all machines together.

use std::fmt::Write;

use cloudm_domain::Preset;
use serde_json::{Value, json};

use super::{World, expect_refused, refusing, twice, with};
use crate::site::on_every_store;

/// A fault on an operation, for the whole world.
fn in_world(operation: &str, more: Value) -> Value {
    with(with(refusing(operation, "quota_exceeded", 429), json!({"scope": "world"})), more)
}

/// The numbers of the matches that the history tells, and whether each struck.
async fn told(world: &World<'_>) -> Vec<(u64, bool)> {
    let events = world.events("/events").await;
    let matched = events.iter().filter(|event| event["kind"] == "FAULT_MATCHED");
    matched.map(|event| (event["match_number"].as_u64().unwrap(), event.get("effect").is_some())).collect()
}

#[actix_web::test]
async fn what_is_asked_is_counted_whichever_machine_it_is_of() {
    twice(async |world| {
        let (a, b) = (world.machine("a", true).await, world.machine("b", true).await);
        world.go("1m").await;
        let fault = world.post(in_world("reboot", json!({"after": 1, "times": 2}))).await;
        let shown = world.simulate("GET", &fault, &Value::Null).await.expect(200).json();
        assert_eq!(shown["scope"], json!("world"));
        world.operate(&a, "REBOOT").await.expect(202);
        world.go("1m").await;
        let dry = world.operate(&b, "REBOOT&dry_run=true").await;
        expect_refused(&dry, 429, "quota_exceeded", &fault);
        assert_eq!(world.counts().await, [(1, 0)], "a dry run is not counted");
        expect_refused(&world.operate(&b, "REBOOT").await, 429, "quota_exceeded", &fault);
        expect_refused(&world.operate(&a, "REBOOT").await, 429, "quota_exceeded", &fault);
        world.operate(&b, "REBOOT").await.expect(202);
        assert_eq!(told(world).await, [(1, false), (2, true), (3, true)]);
        assert_eq!(world.counts().await, [(3, 2)]);
        // What it does to a state, it does to that of one machine.
        world.post(with(in_world("STOP", json!({"times": 1})), json!({"effect": {"kind": "stick"}}))).await;
        world.go("1m").await;
        for machine in [&a, &b] {
            world.operate(machine, "STOP").await.expect(202);
        }
        world.go("1h").await;
        assert_eq!(world.states().await, ["a STOPPING", "b STOPPED"]);
    })
    .await;
}

#[actix_web::test]
async fn every_way_to_make_machines_is_counted() {
    twice(async |world| {
        let fault = world.post(in_world("CREATE", json!({"after": 3, "times": 4}))).await;
        world.machine("one", true).await;
        let template = json!({"name": "fleet-{n}", "cluster_name": "web"});
        let made = world.ask("POST", "/operations", &json!({"kind": "CREATE", "count": 4, "template": template})).await;
        let progress = json!({"matched": 4, "done": 2, "unchanged": 0, "rejected": 2});
        assert_eq!(made.expect(200).json()["progress"], progress);
        expect_refused(&world.create("late").await, 429, "quota_exceeded", &fault);
        let lines = (1..=3).fold(String::new(), |mut lines, number| {
            writeln!(lines, "{}", json!({"name": format!("import-{number}"), "cluster_name": "web"})).unwrap();
            lines
        });
        let path = format!("/worlds/{}/api/v1/machines/import", world.name);
        let headers = [("content-type", "application/x-ndjson")];
        let report = world.site.send("POST", &path, &headers, lines.as_bytes()).await.expect(200);
        assert_eq!(report.text().matches("quota_exceeded").count(), 1, "{report}");
        world.go("1m").await;
        let names = ["fleet-1", "fleet-2", "import-2", "import-3", "one"];
        assert_eq!(world.states().await, names.map(|name| format!("{name} RUNNING")));
        assert_eq!(told(world).await, (1..=7).map(|number| (number, number > 3)).collect::<Vec<_>>());
        // A copy goes on with the count.
        world.simulate("DELETE", &fault, &Value::Null).await.expect(204);
        let fault = world.post(in_world("STOP", json!({"after": 2}))).await;
        let machines = world.ask("GET", "/machines?name=fleet-*", &Value::Null).await.items();
        let stop = |id: &Value| format!("/machines/{}", id.as_str().unwrap());
        world.operate(&stop(&machines[0]["id"]), "STOP").await.expect(202);
        let copy = format!("{}-copy", world.name);
        world.simulate("POST", "/fork", &json!({ "name": copy })).await.expect(201);
        let copy = World { site: world.site, name: if world.name == "a" { "a-copy" } else { "b-copy" } };
        copy.operate(&stop(&machines[1]["id"]), "STOP").await.expect(202);
        let other = copy.ask("GET", "/machines?name=one", &Value::Null).await.items();
        expect_refused(&copy.operate(&stop(&other[0]["id"]), "STOP").await, 429, "quota_exceeded", &fault);
        assert_eq!((copy.counts().await, world.counts().await), (vec![(3, 1)], vec![(1, 0)]));
    })
    .await;
}

#[actix_web::test]
async fn of_those_who_ask_at_once_as_many_pass_as_are_let() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        world.post(in_world("CREATE", json!({"after": 10}))).await;
        let ask = |number: usize| {
            let (site, body) =
                (site.clone(), json!({"name": format!("m-{number}"), "cluster_name": "web"}).to_string());
            let headers = [("content-type", "application/json")];
            let path = "/worlds/a/api/v1/machines";
            actix_web::rt::spawn(async move { site.send("POST", path, &headers, body.as_bytes()).await.status })
        };
        let mut statuses = Vec::new();
        for answer in (0..64).map(ask).collect::<Vec<_>>() {
            statuses.push(answer.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![201; 10], vec![429; 54]].concat());
        let numbers: Vec<_> = told(&world).await.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=64).collect::<Vec<_>>());
        assert_eq!(world.counts().await, [(64, 54)]);
    })
    .await;
}
