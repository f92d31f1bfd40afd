//! Rules that make chosen things go wrong.

use std::fmt::Write;

use cloudm_domain::{MachineState, Preset};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

/// A world whose time stands still unless it is moved by hand.
pub(crate) struct World<'a> {
    pub(crate) site: &'a Site,
    pub(crate) name: &'static str,
}

impl<'a> World<'a> {
    /// A new world with the cluster `web`, in which everything is done at once.
    pub(crate) async fn new(site: &'a Site, name: &'static str) -> Self {
        site.simulate("POST", "/worlds", &json!({"name": name, "seed": 42})).await.expect(201);
        let world = Self { site, name };
        world.ask("POST", "/clusters", &json!({"name": "web", "region_code": "A"})).await.expect(201);
        world
    }

    /// One in which every active state takes ten seconds.
    async fn slow(site: &'a Site, name: &'static str) -> Self {
        let world = Self::new(site, name).await;
        let active = MachineState::ALL.iter().filter(|state| state.is_active());
        let ten = json!({"duration": {"distribution": "fixed", "value": "10s"}});
        let behaviour: Map<_, _> = active.map(|state| (state.code().to_lowercase(), ten.clone())).collect();
        world.simulate("PUT", "/behaviour", &behaviour.into()).await.expect(200);
        world
    }

    /// Sends a request to its simulated cloud.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    pub(crate) async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.site.send(method, &format!("/worlds/{}/api/v1{path}", self.name), &headers, body.as_bytes()).await
    }

    /// Sends a request to whoever controls it.
    pub(crate) async fn simulate(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.site.simulate(method, &format!("/worlds/{}{path}", self.name), body).await
    }

    /// Posts a fault and returns its path.
    pub(crate) async fn post(&self, fault: Value) -> String {
        let posted = self.simulate("POST", "/faults", &fault).await.expect(201).json();
        format!("/faults/{}", posted["id"].as_str().unwrap())
    }

    pub(crate) async fn faults(&self) -> Vec<Value> {
        self.simulate("GET", "/faults", &Value::Null).await.expect(200).items()
    }

    /// How often each fault matched, and struck.
    pub(crate) async fn counts(&self) -> Vec<(u64, u64)> {
        let count = |fault: &Value, name: &str| fault[name].as_u64().unwrap();
        self.faults().await.iter().map(|fault| (count(fault, "matches"), count(fault, "struck"))).collect()
    }

    pub(crate) async fn clock(&self) -> Value {
        self.simulate("GET", "/clock", &Value::Null).await.expect(200).json()
    }

    async fn go(&self, by: &str) {
        self.simulate("POST", "/clock/advance", &json!({ "by": by })).await.expect(200);
    }

    pub(crate) async fn create(&self, name: &str) -> Answer {
        self.ask("POST", "/machines", &json!({"name": name, "cluster_name": "web"})).await
    }

    /// Makes a machine and returns its path.
    async fn machine(&self, name: &str, start: bool) -> String {
        let body = json!({"name": name, "cluster_name": "web", "start": start});
        let made = self.ask("POST", "/machines", &body).await.expect(201).json();
        format!("/machines/{}", made["id"].as_str().unwrap())
    }

    async fn operate(&self, machine: &str, action: &str) -> Answer {
        self.ask("POST", &format!("{machine}?action={action}"), &Value::Null).await
    }

    /// The names and states of the machines, in the order of their names.
    async fn states(&self) -> Vec<String> {
        let machines = self.ask("GET", "/machines?order_by=name&page_size=1000", &Value::Null).await.items();
        let shown =
            |machine: &Value| format!("{} {}", machine["name"].as_str().unwrap(), machine["state"].as_str().unwrap());
        machines.iter().map(shown).collect()
    }

    async fn events(&self, path: &str) -> Vec<Value> {
        self.ask("GET", &format!("{path}?page_size=1000"), &Value::Null).await.expect(200).items()
    }

    /// What the faults did to a machine, match by match; null where they let it pass.
    async fn effects(&self, machine: &str) -> Vec<Value> {
        let events = self.events(&format!("{machine}/events")).await;
        let matched = events.into_iter().filter(|event| event["kind"] == "FAULT_MATCHED");
        matched.map(|event| event.get("effect").cloned().unwrap_or_default()).collect()
    }

    pub(crate) async fn digest(&self) -> Value {
        self.simulate("GET", "/digest", &Value::Null).await.expect(200).json()["digest"].clone()
    }
}

/// A fault on an operation that is refused.
pub(crate) fn refusing(operation: &str, code: &str, status: u16) -> Value {
    json!({"on": {"operation": operation}, "effect": {"kind": "refuse", "code": code, "status": status}})
}

/// The same with more fields.
pub(crate) fn with(mut fault: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    fault.as_object_mut().unwrap().extend(more);
    fault
}

/// Checks that a fault refused it like this, and that it says so.
#[track_caller]
fn expect_refused(answer: &Answer, status: u16, code: &str, fault: &str) {
    answer.expect_problem(status, code, None);
    let told = answer.json();
    assert_eq!(told["title"], json!("Refused by a fault"));
    assert_eq!(told["detail"], json!("a fault of the world refuses it"));
    assert_eq!(told["fault"], json!(fault.replace("/faults/", "")), "{answer}");
}

/// Lets the same happen in two worlds of one seed, on every store: they have the same history.
async fn twice(happens: impl AsyncFn(&World)) {
    on_every_store(Preset::Instant, async |site| {
        let mut digests = Vec::new();
        for name in ["a", "b"] {
            let world = World::slow(site, name).await;
            happens(&world).await;
            digests.push(world.digest().await);
        }
        assert_eq!(digests[0], digests[1]);
    })
    .await;
}

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
