//! Faults are posted, read and removed, and every mistake is told.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use super::{World, refusing, with};
use crate::site::{Site, on_every_store};

#[actix_web::test]
pub(crate) async fn a_fault_is_posted_read_and_removed() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        assert_eq!(world.faults().await, Vec::<Value>::new());
        let rule = json!({
            "on": {"operation": "start"},
            "selector": {"cluster": "web", "region": ["A", "B"], "tag": ["x"], "name": "web-*"},
            "after": 3, "times": 2, "probability": 0.25, "effect": {"kind": "REFUSE", "code": "out_of_luck", "status": 500},
            "active_from": "2030-01-02T00:00:00Z", "active_until": "2030-01-03T00:00:00Z",
        });
        let dry = world.simulate("POST", "/faults?dry_run=true", &rule).await.expect(201);
        assert_eq!((world.faults().await.len(), world.clock().await["now"].clone()), (0, json!(crate::site::START_TEXT)));
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let keyed = async || site.send("POST", "/sim/v1/worlds/a/faults", &headers, rule.to_string().as_bytes()).await;
        let posted = keyed().await.expect(201);
        let fault = posted.json();
        let id = fault["id"].as_str().unwrap();
        assert_eq!((dry.json(), dry.header("location")), (fault.clone(), posted.header("location")));
        assert_eq!(posted.header("location"), Some(&*format!("/sim/v1/worlds/a/faults/{id}")));
        let expected = json!({
            "id": id, "on": {"operation": "START"},
            "selector": {"cluster": ["web"], "region": ["A", "B"], "tag": ["x"], "name": "web-*"},
            "after": 3, "times": 2, "probability": 0.25, "effect": {"kind": "refuse", "code": "out_of_luck", "status": 500},
            "active_from": "2030-01-02T00:00:00.000Z", "active_until": "2030-01-03T00:00:00.000Z", "matches": 0, "struck": 0,
        });
        assert_eq!(fault, expected);
        let again = keyed().await.expect(201);
        assert_eq!((again.text(), again.header("idempotency-replayed")), (posted.text(), Some("true")));
        let path = format!("/faults/{id}");
        assert_eq!(world.simulate("GET", &path, &Value::Null).await.expect(200).json(), fault);
        // What is not said is chosen.
        let plain = world.post(json!({"on": {"state": "STARTING"}, "effect": {"kind": "stick"}})).await;
        let told = world.simulate("GET", &plain, &Value::Null).await.expect(200).json();
        let expected = json!({
            "id": plain.replace("/faults/", ""), "on": {"state": "STARTING"}, "after": 0, "probability": 1.0,
            "effect": {"kind": "stick"}, "active_from": "2030-01-01T00:00:00.002Z", "matches": 0, "struck": 0,
        });
        assert_eq!(told, expected);
        assert_eq!(world.faults().await, [fault, told]);

        world.simulate("DELETE", &path, &Value::Null).await.expect(204);
        for method in ["GET", "DELETE"] {
            world.simulate(method, &path, &Value::Null).await.expect_problem(404, "no_such_fault", None);
            world.simulate(method, "/faults/7", &Value::Null).await.expect_problem(400, "invalid_id", Some("id"));
            let elsewhere = site.simulate(method, &format!("/worlds/nope{path}"), &Value::Null).await;
            elsewhere.expect_problem(404, "no_such_world", None);
        }
        assert_eq!(world.faults().await.len(), 1);
        world.simulate("DELETE", "/faults", &Value::Null).await.expect(204);
        assert_eq!(world.faults().await, Vec::<Value>::new());
        let clock = world.clock().await;
        world.simulate("DELETE", "/faults", &Value::Null).await.expect(204);
        assert_eq!(world.clock().await, clock, "there was nothing to remove");
    })
    .await;
}

#[actix_web::test]
async fn a_fault_is_told_as_it_was_given() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    let on_request = json!({"request": {"method": "POST", "path": "/machines/*"}});
    let on_any = json!({"request": {"path": "/machines"}});
    for (on, effect) in [
        (json!({"operation": "CREATE"}), json!({"kind": "fail"})),
        (json!({"operation": "STOP"}), json!({"kind": "stick", "for": "10m"})),
        (json!({"state": "RUNNING"}), json!({"kind": "crash", "in": "1h30m"})),
        (json!({"state": "STOPPING"}), json!({"kind": "delay", "by": "250ms"})),
        (on_request.clone(), json!({"kind": "throttle", "retry_after": "1m"})),
        (on_any, json!({"kind": "lose_reply"})),
        (on_request, json!({"kind": "slow_reply", "by": "1m"})),
    ] {
        let told = world.simulate("POST", "/faults", &json!({"on": on, "effect": effect})).await.expect(201).json();
        assert_eq!((&told["on"], &told["effect"]), (&on, &effect));
    }
    for (short, long) in [
        (json!({"kind": "crash"}), json!({"kind": "crash", "in": "0s"})),
        (json!({"kind": "Fail"}), json!({"kind": "fail"})),
    ] {
        let fault = json!({"on": {"operation": "START"}, "selector": {}, "effect": short});
        let told = world.simulate("POST", "/faults", &fault).await.expect(201).json();
        assert_eq!((&told["effect"], told.get("selector")), (&long, None));
    }
    let throttle = json!({"on": {"request": {"path": "/*"}}, "effect": {"kind": "throttle"}});
    let told = world.simulate("POST", "/faults?dry_run=true", &throttle).await.expect(201).json();
    assert_eq!(told["effect"], json!({"kind": "throttle", "retry_after": "1s"}));
}

#[actix_web::test]
async fn a_world_has_a_hundred_faults_at_a_time() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    let mut last = String::new();
    for _ in 0..100 {
        last = world.post(refusing("CREATE", "no", 500)).await;
    }
    for query in ["", "?dry_run=true"] {
        let path = format!("/faults{query}");
        let one_more = world.simulate("POST", &path, &refusing("CREATE", "no", 500)).await;
        one_more.expect_problem(409, "too_many_faults", None);
    }
    world.simulate("DELETE", &last, &Value::Null).await.expect(204);
    world.post(refusing("CREATE", "no", 500)).await;
    assert_eq!(world.faults().await.len(), 100);
}

/// A good fault with this in place of what it had.
fn start(more: Value) -> Value {
    with(refusing("START", "no", 500), more)
}

#[actix_web::test]
async fn every_mistake_of_a_fault_is_pointed_at() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    let clock = world.clock().await;
    let effect = |effect: Value| start(json!({ "effect": effect }));
    let on = |on: Value| start(json!({ "on": on }));
    let on_request = |pattern: Value| json!({"on": {"request": pattern}, "effect": {"kind": "lose_reply"}});
    let selecting = |selector: Value| start(json!({ "selector": selector }));
    let slow = |effect: Value| json!({"on": {"request": {"path": "/*"}}, "effect": effect});
    let at_rest = json!({"on": {"state": "RUNNING"}, "effect": {"kind": "crash"}});
    for (body, code, pointer) in [
        (json!({"effect": {"kind": "fail"}}), "missing_field", "/on"),
        (json!({"on": {"operation": "START"}}), "missing_field", "/effect"),
        (on(json!({})), "missing_field", "/on/operation"),
        (on(json!({"operation": "START", "state": "STARTING"})), "invalid_value", "/on"),
        (on(json!({"operation": "EXPLODE"})), "invalid_value", "/on/operation"),
        (on(json!({"operation": 7})), "wrong_type", "/on/operation"),
        (on(json!({"operation": null, "state": "STARTING"})), "wrong_type", "/on/operation"),
        (on(json!({"operation": "REPAIR"})), "invalid_fault", "/on"),
        (on(json!({"state": "UP"})), "invalid_value", "/on/state"),
        (on(json!({"status": "UP"})), "unknown_field", "/on/status"),
        (on(json!(["START"])), "wrong_type", "/on"),
        (on_request(json!({})), "missing_field", "/on/request/path"),
        (on_request(json!({"path": "/", "query": "x"})), "unknown_field", "/on/request/query"),
        (on_request(json!({"path": ["/"]})), "wrong_type", "/on/request/path"),
        (on_request(json!({"path": "machines"})), "invalid_fault", "/on"),
        (on_request(json!({"path": "/a*b"})), "invalid_fault", "/on"),
        (on_request(json!({"path": format!("/{}", "a".repeat(200))})), "invalid_fault", "/on"),
        (on_request(json!({"path": "/", "method": "get"})), "invalid_fault", "/on"),
        (on_request(json!({"path": "/", "method": null})), "wrong_type", "/on/request/method"),
        (with(on_request(json!({"path": "/"})), json!({"selector": {"tag": "x"}})), "invalid_fault", "/selector"),
        (selecting(json!({"state": ["UP"]})), "invalid_value", "/selector/state/0"),
        (selecting(json!({"state": []})), "invalid_value", "/selector/state"),
        (selecting(json!({"tag": 7})), "wrong_type", "/selector/tag"),
        (selecting(json!({"clutser": "web"})), "unknown_field", "/selector/clutser"),
        (selecting(json!({"region": "Z"})), "unknown_region", "/selector/region"),
        (selecting(json!({"machine_type": ["huge"]})), "unknown_machine_type", "/selector/machine_type"),
        (selecting(json!({"state": "RUNNING"})), "invalid_fault", "/selector"),
        (with(at_rest.clone(), json!({"selector": {"region": "A"}})), "invalid_fault", "/selector"),
        (start(json!({"after": -1})), "invalid_value", "/after"),
        (start(json!({"after": 1_000_001})), "invalid_value", "/after"),
        (start(json!({"after": 1.5})), "wrong_type", "/after"),
        (with(refusing("CREATE", "no", 500), json!({"after": 1})), "invalid_fault", "/after"),
        (start(json!({"scope": "galaxy"})), "invalid_value", "/scope"),
        (start(json!({"scope": 1})), "wrong_type", "/scope"),
        (with(at_rest.clone(), json!({"scope": "world"})), "invalid_fault", "/scope"),
        (with(on_request(json!({"path": "/"})), json!({"scope": "world"})), "invalid_fault", "/scope"),
        (start(json!({"times": 0})), "invalid_fault", "/times"),
        (start(json!({"times": 1_000_001})), "invalid_value", "/times"),
        (start(json!({"times": null})), "wrong_type", "/times"),
        (start(json!({"probability": 0})), "invalid_fault", "/probability"),
        (start(json!({"probability": 1.000_001})), "invalid_value", "/probability"),
        (start(json!({"probability": -0.5})), "invalid_value", "/probability"),
        (start(json!({"probability": "1"})), "wrong_type", "/probability"),
        (effect(json!({})), "missing_field", "/effect/kind"),
        (effect(json!({"kind": "explode"})), "invalid_value", "/effect/kind"),
        (effect(json!({"kind": 1})), "wrong_type", "/effect/kind"),
        (effect(json!({"kind": "refuse", "status": 500})), "missing_field", "/effect/code"),
        (effect(json!({"kind": "refuse", "code": "no"})), "missing_field", "/effect/status"),
        (effect(json!({"kind": "refuse", "code": "No", "status": 500})), "invalid_fault", "/effect"),
        (effect(json!({"kind": "refuse", "code": "n".repeat(64), "status": 500})), "invalid_fault", "/effect"),
        (effect(json!({"kind": "refuse", "code": "no", "status": 200})), "invalid_fault", "/effect"),
        (effect(json!({"kind": "refuse", "code": "no", "status": 70_000})), "invalid_value", "/effect/status"),
        (effect(json!({"kind": "refuse", "code": "no", "status": "500"})), "wrong_type", "/effect/status"),
        (effect(json!({"kind": "refuse", "code": "no", "status": 500, "by": "1s"})), "unknown_field", "/effect/by"),
        (effect(json!({"kind": "fail", "in": "1s"})), "unknown_field", "/effect/in"),
        (effect(json!({"kind": "crash", "for": "1s"})), "unknown_field", "/effect/for"),
        (effect(json!({"kind": "stick", "retry_after": "1s"})), "unknown_field", "/effect/retry_after"),
        (effect(json!({"kind": "stick", "until": "1s"})), "unknown_field", "/effect/until"),
        (effect(json!({"kind": "stick", "for": "long"})), "invalid_value", "/effect/for"),
        (effect(json!({"kind": "stick", "for": null})), "wrong_type", "/effect/for"),
        (effect(json!({"kind": "delay"})), "missing_field", "/effect/by"),
        (effect(json!({"kind": "delay", "by": "0s"})), "invalid_fault", "/effect"),
        (effect(json!({"kind": "delay", "by": 30})), "wrong_type", "/effect/by"),
        (effect(json!({"kind": "lose_reply"})), "invalid_fault", "/effect"),
        (slow(json!({"kind": "slow_reply"})), "missing_field", "/effect/by"),
        (slow(json!({"kind": "slow_reply", "by": "61s"})), "invalid_fault", "/effect"),
        (slow(json!({"kind": "throttle", "retry_after": "61m"})), "invalid_fault", "/effect"),
        (slow(json!({"kind": "lose_reply", "code": "x"})), "unknown_field", "/effect/code"),
        (slow(json!({"kind": "fail"})), "invalid_fault", "/effect"),
        (with(at_rest, json!({"effect": {"kind": "stick"}})), "invalid_fault", "/effect"),
        (start(json!({"active_from": "soon"})), "invalid_value", "/active_from"),
        (start(json!({"active_from": 7})), "wrong_type", "/active_from"),
        (start(json!({"active_until": "2200-01-01T00:00:00Z"})), "invalid_value", "/active_until"),
        (start(json!({"active_until": "2030-01-01T00:00:00Z"})), "invalid_fault", "/active_until"),
        (start(json!({"until": "2030-01-02T00:00:00Z"})), "unknown_field", "/until"),
    ] {
        for query in ["?dry_run=true", ""] {
            let answer = world.simulate("POST", &format!("/faults{query}"), &body).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some(code)), "{body:.300}: {answer}");
            answer.expect_problem(422, code, Some(pointer));
        }
    }
    let twice = r#"{"on":{"operation":"START"},"effect":{"kind":"delay","by":"1s","by":"2s"}}"#;
    let headers = [("content-type", "application/json")];
    let answer = site.send("POST", "/sim/v1/worlds/a/faults", &headers, twice.as_bytes()).await;
    answer.expect_problem(422, "duplicate_field", Some("/effect/by"));
    assert_eq!((world.faults().await, world.clock().await), (vec![], clock));
}
