//! What a fault strikes, how, and when.

use serde_json::{Value, json};

use super::{expect_refused, refusing, twice, with};

#[actix_web::test]
async fn an_operation_goes_wrong_in_each_way() {
    twice(async |world| {
        let effects = [
            ("crash", json!({"kind": "crash", "in": "3s"})),
            ("delay", json!({"kind": "delay", "by": "30s"})),
            ("fail", json!({"kind": "fail"})),
            ("refuse", json!({"kind": "refuse", "code": "out_of_luck", "status": 418})),
            ("stick", json!({"kind": "stick"})),
            ("stick-for", json!({"kind": "stick", "for": "10m"})),
        ];
        let (mut machines, mut faults) = (Vec::new(), Vec::new());
        for (name, effect) in &effects {
            machines.push(world.machine(name, false).await);
            let fault = json!({"on": {"operation": "START"}, "selector": {"name": name}, "effect": effect});
            faults.push(world.post(fault).await);
        }
        let spared = world.machine("spared", false).await;
        world.go("1m").await;
        for machine in machines.iter().chain([&spared]).filter(|machine| **machine != machines[3]) {
            world.operate(machine, "START").await.expect(202);
        }
        // A dry run is told the same, and nobody counts it.
        expect_refused(&world.operate(&machines[3], "START&dry_run=true").await, 418, "out_of_luck", &faults[3]);
        assert_eq!(world.counts().await[3], (0, 0));
        expect_refused(&world.operate(&machines[3], "START").await, 418, "out_of_luck", &faults[3]);
        let mut expected: Vec<_> = effects.iter().map(|(name, _)| format!("{name} STARTING")).collect();
        expected.push("spared STARTING".into());
        expected[3] = "refuse STOPPED".into();
        for (by, changes) in [
            ("2999ms", vec![]),
            ("1ms", vec![(0, "crash FAILED")]),
            ("7s", vec![(2, "fail FAILED"), (6, "spared RUNNING")]),
            ("29999ms", vec![]),
            ("1ms", vec![(1, "delay RUNNING")]),
            ("560s", vec![(5, "stick-for RUNNING")]),
            ("24h", vec![]),
        ] {
            world.go(by).await;
            for (at, state) in changes {
                expected[at] = state.into();
            }
            let mut states = world.states().await;
            states.sort_by_key(|state| state.starts_with("spared"));
            assert_eq!(states, expected, "after {by}");
        }
        assert_eq!(world.counts().await, [(1, 1); 6]);
        for ((machine, fault), (_, effect)) in machines.iter().zip(&faults).zip(&effects) {
            let events = world.events(&format!("{machine}/events")).await;
            let at = events.iter().position(|event| event["kind"] == "FAULT_MATCHED").unwrap();
            let expected = json!({
                "id": events[at]["id"], "machine_id": machine.replace("/machines/", ""), "version": at + 1,
                "at": events[at + 1]["at"], "kind": "FAULT_MATCHED", "fault": fault.replace("/faults/", ""),
                "effect": effect["kind"].as_str().unwrap().to_uppercase(),
            });
            assert_eq!(events[at], expected);
            let next = &events[at + 1];
            if effect["kind"] == "refuse" {
                let refusal = json!({"code": "FAULT", "message": "A fault of the world refused it."});
                assert_eq!(
                    (&next["kind"], &next["cause"], &next["refusal"]),
                    (&json!("REFUSED"), &json!("START"), &refusal)
                );
            } else {
                assert_eq!(
                    (&next["state"], next.get("due_at").is_none()),
                    (&json!("STARTING"), *effect == json!({"kind": "stick"}))
                );
            }
        }
        assert_eq!(world.effects(&spared).await, Vec::<Value>::new());
    })
    .await;
}

#[actix_web::test]
async fn a_state_goes_wrong_in_each_way() {
    twice(async |world| {
        let effects = [
            ("crash", "STARTING", json!({"kind": "crash", "in": "1s"})),
            ("crash-later", "RUNNING", json!({"kind": "crash", "in": "30s"})),
            ("delay", "STARTING", json!({"kind": "delay", "by": "5s"})),
            ("fail", "STARTING", json!({"kind": "fail"})),
            ("stick", "STARTING", json!({"kind": "stick"})),
            ("stick-for", "STARTING", json!({"kind": "stick", "for": "1m"})),
        ];
        for (name, state, effect) in &effects {
            world.post(json!({"on": {"state": state}, "selector": {"name": name}, "effect": effect})).await;
        }
        let mut machines = Vec::new();
        for (name, ..) in &effects {
            machines.push(world.machine(name, true).await);
        }
        world.go("10s").await;
        let mut expected: Vec<_> = effects.iter().map(|(name, ..)| format!("{name} STARTING")).collect();
        for (by, changes) in [
            ("999ms", vec![]),
            ("1ms", vec![(0, "crash FAILED")]),
            ("9s", vec![(1, "crash-later RUNNING"), (3, "fail FAILED")]),
            ("5s", vec![(2, "delay RUNNING")]),
            ("24999ms", vec![]),
            ("1ms", vec![(1, "crash-later FAILED")]),
            ("20s", vec![(5, "stick-for RUNNING")]),
            ("24h", vec![]),
        ] {
            world.go(by).await;
            for (at, state) in changes {
                expected[at] = state.into();
            }
            assert_eq!(world.states().await, expected, "after {by}");
        }
        assert_eq!(world.counts().await, [(1, 1); 6]);
        for (machine, (_, state, effect)) in machines.iter().zip(&effects) {
            assert_eq!(world.effects(machine).await, [json!(effect["kind"].as_str().unwrap().to_uppercase())]);
            let events = world.events(&format!("{machine}/events")).await;
            let at = events.iter().position(|event| event["kind"] == "FAULT_MATCHED").unwrap();
            assert_eq!((&events[at + 1]["state"], &events[at + 1]["at"]), (&json!(state), &events[at]["at"]));
        }
    })
    .await;
}

#[actix_web::test]
async fn some_matches_of_each_machine_pass_and_some_are_struck() {
    twice(async |world| {
        let delay = json!({"on": {"operation": "REBOOT"}, "effect": {"kind": "delay", "by": "5s"}});
        world.post(with(delay, json!({"after": 1, "times": 2}))).await;
        let (often, once) = (world.machine("often", true).await, world.machine("once", true).await);
        world.go("1m").await;
        for _ in 0..5 {
            world.operate(&often, "REBOOT").await.expect(202);
            world.go("1m").await;
        }
        world.operate(&once, "REBOOT").await.expect(202);
        assert_eq!(world.effects(&often).await, [Value::Null, json!("DELAY"), json!("DELAY")]);
        assert_eq!(world.effects(&once).await, [Value::Null]);
        assert_eq!(world.counts().await, [(4, 2)]);
        // What finds its work done matches nothing.
        world.go("1m").await;
        world.operate(&once, "START").await.expect(200);
        assert_eq!(world.counts().await, [(4, 2)]);
    })
    .await;
}

#[actix_web::test]
async fn odds_are_drawn_the_same_each_time() {
    twice(async |world| {
        world.post(with(refusing("CREATE", "no_luck", 500), json!({"probability": 0.5}))).await;
        let mut refused = 0;
        for number in 0..40 {
            let answer = world.create(&format!("m-{number}")).await;
            refused += u64::from(answer.status == 500);
            assert!([201, 500].contains(&answer.status), "{answer}");
        }
        assert!((8..32).contains(&refused), "{refused} of 40");
        assert_eq!(world.counts().await, [(refused, refused)]);
        assert_eq!(world.states().await.len() as u64, 40 - refused);
    })
    .await;
}

#[actix_web::test]
async fn a_fault_holds_in_its_time() {
    twice(async |world| {
        let times = json!({"active_from": "2030-01-01T01:00:00Z", "active_until": "2030-01-01T02:00:00Z"});
        let fault = world.post(with(refusing("CREATE", "closed", 503), times)).await;
        for (to, name, status) in [
            ("2030-01-01T00:59:59.999Z", "early", 201),
            ("2030-01-01T01:00:00Z", "m", 503),
            ("2030-01-01T01:59:59.999Z", "m", 503),
            ("2030-01-01T02:00:00Z", "m", 201),
        ] {
            world.simulate("POST", "/clock/advance", &json!({ "to": to })).await.expect(200);
            let answer = world.create(name).await.expect(status);
            if status == 503 {
                expect_refused(&answer, 503, "closed", &fault);
            }
        }
        // It is still told, but does nothing.
        assert_eq!(world.counts().await, [(2, 2)]);
        // Also what is seen late only is struck when it is due.
        let times = json!({"active_from": "2030-01-01T03:00:10Z", "active_until": "2030-01-01T03:00:20Z"});
        let fail = json!({"on": {"state": "STARTING"}, "effect": {"kind": "fail"}});
        world.post(with(fail, times)).await;
        world.simulate("POST", "/clock/advance", &json!({"to": "2030-01-01T03:00:00Z"})).await.expect(200);
        let hit = world.machine("hit", true).await;
        world.go("10s").await;
        let missed = world.machine("missed", true).await;
        world.go("1h").await;
        assert_eq!((world.effects(&hit).await, world.effects(&missed).await), (vec![json!("FAIL")], vec![]));
    })
    .await;
}

#[actix_web::test]
async fn of_several_the_first_strikes_until_it_is_removed() {
    twice(async |world| {
        let (first, second) =
            (world.post(refusing("CREATE", "first", 500)).await, world.post(refusing("CREATE", "second", 403)).await);
        expect_refused(&world.create("m").await, 500, "first", &first);
        assert_eq!(world.counts().await, [(1, 1), (0, 0)]);
        let before = world.clock().await["now"].clone();
        world.simulate("DELETE", &first, &Value::Null).await.expect(204);
        assert!(world.clock().await["now"].as_str() > before.as_str(), "the clock is moved to the next instant");
        expect_refused(&world.create("m").await, 403, "second", &second);
        assert_eq!(world.counts().await, [(1, 1)]);
        world.post(refusing("CREATE", "third", 499)).await;
        world.simulate("DELETE", "/faults", &Value::Null).await.expect(204);
        world.create("m").await.expect(201);
        let kinds: Vec<_> = world.events("/events").await.iter().map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds, ["REFUSED", "FAULT_MATCHED", "REFUSED", "FAULT_MATCHED", "CREATED"]);
    })
    .await;
}
