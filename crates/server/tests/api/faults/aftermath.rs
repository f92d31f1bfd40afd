//! What follows from what a fault struck.

use std::fmt::Write;

use cloudm_domain::Preset;
use serde_json::{Value, json};

use super::{World, expect_refused, refusing, with};
use crate::site::on_every_store;

#[actix_web::test]
async fn a_deletion_is_refused_too() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let fault = world.post(with(refusing("TERMINATE", "not_today", 451), json!({"times": 2}))).await;
        let machine = world.machine("m", true).await;
        for path in [format!("{machine}?dry_run=true"), machine.clone()] {
            expect_refused(&world.ask("DELETE", &path, &Value::Null).await, 451, "not_today", &fault);
        }
        expect_refused(&world.operate(&machine, "TERMINATE").await, 451, "not_today", &fault);
        assert_eq!(world.states().await, ["m RUNNING"]);
        world.ask("DELETE", &machine, &Value::Null).await.expect(204);
        assert_eq!(world.counts().await, [(2, 2)], "what it did is counted also where the machine is gone");
    })
    .await;
}

#[actix_web::test]
async fn the_score_says_what_faults_refused() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let pool = json!({"region_code": "A", "machine_type": "small", "size": 1});
        world.simulate("PUT", "/capacity", &json!({ "pools": [pool] })).await.expect(200);
        world.post(refusing("STOP", "never", 500)).await;
        world.post(with(refusing("CREATE", "no_luck", 500), json!({"selector": {"name": "unlucky"}}))).await;
        let machine = world.machine("m", true).await;
        world.create("unlucky").await.expect(500);
        world.create("late").await.expect(503);
        world.operate(&machine, "STOP").await.expect(500);
        let card = world.simulate("GET", "/scorecard", &Value::Null).await.expect(200).json();
        assert_eq!(card["refusals"], json!({"FAULT": 2, "INSUFFICIENT_CAPACITY": 1}));
        let refused = ["CREATE", "STOP"].map(|operation| card["operations"][operation]["refused"].clone());
        assert_eq!(refused, [json!(2), json!(1)]);
    })
    .await;
}

#[actix_web::test]
async fn a_refusal_frees_its_key() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let fault = world.post(refusing("CREATE", "out_of_luck", 500)).await;
        let body = json!({"name": "m", "cluster_name": "web"});
        let keyed = async || world.ask_with("POST", "/machines", &[("idempotency-key", "k")], &body).await;
        for _ in 0..2 {
            expect_refused(&keyed().await, 500, "out_of_luck", &fault);
        }
        assert_eq!(world.states().await, Vec::<String>::new());
        world.simulate("DELETE", &fault, &Value::Null).await.expect(204);
        let made = keyed().await.expect(201);
        let again = keyed().await.expect(201);
        assert_eq!((again.text(), again.header("idempotency-replayed")), (made.text(), Some("true")));
        assert_eq!(world.states().await, ["m RUNNING"]);
    })
    .await;
}

#[actix_web::test]
async fn who_is_refused_by_a_fault_takes_no_place() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let pool = json!({"region_code": "A", "machine_type": "small", "size": 1});
        world.simulate("PUT", "/capacity", &json!({ "pools": [pool] })).await.expect(200);
        let unlucky =
            world.post(with(refusing("CREATE", "no_luck", 500), json!({"selector": {"name": "unlucky"}}))).await;
        world
            .post(json!({"on": {"operation": "CREATE"}, "selector": {"name": "late"}, "effect": {"kind": "stick"}}))
            .await;
        expect_refused(&world.create("unlucky").await, 500, "no_luck", &unlucky);
        let first = world.machine("first", true).await;
        world.create("late").await.expect_problem(503, "insufficient_capacity", None);
        expect_refused(&world.create("unlucky").await, 500, "no_luck", &unlucky);
        assert_eq!(world.counts().await, [(2, 2), (0, 0)], "who is refused for want of a place is not struck");
        world.operate(&first, "STOP").await.expect(200);
        world.create("late").await.expect(201);
        assert_eq!(world.counts().await, [(2, 2), (1, 1)]);
        world.operate(&first, "START").await.expect_problem(503, "insufficient_capacity", None);
        assert_eq!(world.states().await, ["first STOPPED", "late PROVISIONING"]);
    })
    .await;
}

#[actix_web::test]
async fn a_fleet_is_told_whom_a_fault_refused() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        world.post(with(refusing("CREATE", "no_luck", 500), json!({"selector": {"name": "m-1*"}}))).await;
        world.post(with(refusing("STOP", "never", 400), json!({"selector": {"name": "m-2"}}))).await;
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let create = json!({"kind": "CREATE", "count": 12, "template": template});
        for (operation, done, rejected) in [(create, 8, 4), (json!({"kind": "STOP", "all": true}), 7, 1)] {
            let fleet = world.ask("POST", "/operations", &operation).await.expect(200).json();
            let progress = json!({"matched": done + rejected, "done": done, "unchanged": 0, "rejected": rejected});
            assert_eq!((&fleet["state"], &fleet["progress"]), (&json!("PARTIAL"), &progress));
            let results = format!("/operations/{}/results", fleet["id"].as_str().unwrap());
            let results = world.ask("GET", &results, &Value::Null).await.expect(200).items();
            let codes: Vec<_> = results.iter().filter_map(|one| one.get("code")).collect();
            assert_eq!(codes, vec![&json!("fault"); rejected]);
        }
        assert_eq!(world.counts().await, [(4, 4), (1, 1)]);
        let stopped = world.states().await.iter().filter(|state| state.ends_with("STOPPED")).count();
        assert_eq!(stopped, 7);
    })
    .await;
}

#[actix_web::test]
async fn an_import_is_told_the_codes_of_the_faults() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        world.post(with(refusing("CREATE", "no_luck", 500), json!({"selector": {"machine_type": "large"}}))).await;
        let mut lines = String::new();
        for (number, machine_type) in ["small", "large", "small"].iter().enumerate() {
            let line = json!({"name": format!("m-{number}"), "cluster_name": "web", "machine_type": machine_type});
            writeln!(lines, "{line}").unwrap();
        }
        let headers = [("content-type", "application/x-ndjson")];
        let answer = site.send("POST", "/worlds/a/api/v1/machines/import", &headers, lines.as_bytes()).await;
        let problem = json!({"line": 2, "code": "no_luck", "detail": "a fault of the world refuses it"});
        let report = json!({"lines": 3, "created": 2, "refused": 1, "problems": [problem]});
        assert_eq!(answer.expect(200).json(), report);
        assert_eq!(world.counts().await, [(1, 1)]);
    })
    .await;
}

#[actix_web::test]
async fn faults_go_with_their_world() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        world.post(with(refusing("REBOOT", "no_luck", 500), json!({"after": 1}))).await;
        world.post(json!({"on": {"operation": "STOP"}, "effect": {"kind": "delay", "by": "10s"}, "times": 2})).await;
        let throttle = json!({"on": {"request": {"path": "/stats"}}, "effect": {"kind": "throttle"}, "times": 3});
        world.post(throttle).await;
        let gone = world.post(refusing("CREATE", "gone", 400)).await;
        world.simulate("DELETE", &gone, &Value::Null).await.expect(204);
        let machine = world.machine("other", true).await;
        world.operate(&machine, "STOP").await.expect(202);
        for _ in 0..2 {
            world.ask("GET", "/stats", &Value::Null).await.expect(429);
        }
        let told = world.faults().await;
        assert_eq!(world.counts().await, [(0, 0), (1, 1), (2, 2)]);
        site.simulate("POST", "/worlds/a/fork", &json!({"name": "b"})).await.expect(201);
        let snapshot = world.simulate("GET", "/snapshot", &Value::Null).await.expect(200).body;
        let headers = [("content-type", "application/x-ndjson")];
        site.send("PUT", "/sim/v1/worlds/c/snapshot", &headers, &snapshot).await.expect(201);
        // Each goes on where it was; requests to a new world are counted anew.
        let mut anew = told.clone();
        anew[2] = with(anew[2].clone(), json!({"matches": 0, "struck": 0}));
        for (name, faults, left) in [("a", &told, 1), ("b", &anew, 3), ("c", &anew, 3)] {
            let world = World { site, name };
            assert_eq!(world.faults().await, *faults, "{name}");
            for _ in 0..left {
                world.ask("GET", "/stats", &Value::Null).await.expect(429);
            }
            world.ask("GET", "/stats", &Value::Null).await.expect(200);
            world.go("1m").await;
            for status in [202, 200] {
                world.operate(&machine, "START").await.expect(200);
                world.operate(&machine, "STOP").await.expect(status);
                world.go("1m").await;
            }
            assert_eq!(world.counts().await, [(0, 0), (2, 2), (3, 3)], "{name}");
        }
        assert_eq!(World { site, name: "b" }.digest().await, world.digest().await);
        assert_eq!(World { site, name: "c" }.digest().await, world.digest().await);
        site.simulate("POST", "/worlds/a/reset", &Value::Null).await.expect(200);
        assert_eq!(world.faults().await, Vec::<Value>::new());
        world.ask("GET", "/stats", &Value::Null).await.expect(200);
        assert_eq!(World { site, name: "b" }.faults().await.len(), 3, "a fork goes its own way");
        site.send("PUT", "/sim/v1/worlds/a/snapshot", &headers, &snapshot).await.expect(200);
        assert_eq!(world.faults().await, anew);
    })
    .await;
}
