//! Whole worlds in one request.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::faults::World;
use crate::site::{Site, on_every_store};

/// A world with a bit of everything.
fn story() -> Value {
    json!({
        "seed": 42, "preset": "realistic", "retention": "2h",
        "capacity": {"pools": [{"region_code": "A", "machine_type": "small", "size": 4,
            "refills": [{"at": "2030-01-01T01:00:00Z", "size": 9}]}]},
        "faults": [
            {"on": {"operation": "CREATE"}, "selector": {"name": "unlucky"}, "scope": "world",
                "effect": {"kind": "refuse", "code": "no_luck", "status": 500}},
            {"on": {"state": "STARTING"}, "effect": {"kind": "delay", "by": "10m"}, "probability": 0.5},
        ],
        "schedule": [
            {"kind": "MAINTENANCE_STOP", "selector": {"name": "web-2"}, "not_before": "2030-01-01T00:20:00Z", "notice": "5m"},
            {"kind": "REGION_OUTAGE", "selector": {"region": "B"}, "not_before": "2030-01-02T00:00:00Z",
                "deadline": "2030-01-02T01:00:00Z"},
        ],
        "clusters": [{"name": "web", "region_code": "A"}, {"name": "db", "region_code": "B"}],
        "machines": [
            {"name": "web-{n}", "count": 3, "cluster_name": "web", "tags": ["team:a"]},
            {"name": "unlucky", "cluster_name": "web"},
            {"name": "main", "cluster_name": "db", "machine_type": "large", "start": false, "protection": {"stop": true, "terminate": true}},
            {"name": "more-{n}", "count": 2, "cluster_name": "web"},
        ],
    })
}

async fn put(site: &Site, name: &str, scenario: &Value) -> crate::answer::Answer {
    site.simulate("PUT", &format!("/worlds/{name}/scenario"), scenario).await
}

async fn machines(world: &World<'_>) -> Vec<Value> {
    world.ask("GET", "/machines?order_by=name", &Value::Null).await.expect(200).items()
}

async fn names(world: &World<'_>) -> Vec<String> {
    machines(world).await.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

async fn digest(world: &World<'_>) -> Value {
    world.simulate("GET", "/digest", &Value::Null).await.expect(200).json()
}

#[actix_web::test]
async fn a_scenario_makes_a_world_that_is_the_same_each_time() {
    on_every_store(Preset::Instant, async |site| {
        put(site, "a", &story()).await.expect(201);
        put(site, "b", &story()).await.expect(201);
        let (a, b) = (World { site, name: "a" }, World { site, name: "b" });
        assert_eq!(names(&a).await, ["main", "more-1", "web-1", "web-2", "web-3"], "there is no place for the last");
        assert_eq!(machines(&a).await, machines(&b).await);
        for world in [&a, &b] {
            world.simulate("POST", "/clock/advance", &json!({"by": "30m"})).await.expect(200);
        }
        assert_eq!(digest(&a).await, digest(&b).await);
        let main = &machines(&a).await[0];
        assert_eq!((&main["state"], &main["machine_type"]), (&json!("STOPPED"), &json!("large")));
        assert_eq!(main["protection"], json!({"stop": true, "terminate": true}));
        let maintained = &machines(&a).await[3];
        assert_eq!(
            (&maintained["state"], &maintained["state_reason"]["code"]),
            (&json!("STOPPED"), &json!("MAINTENANCE"))
        );
        let matches = a.counts().await;
        assert_eq!(matches[0], (1, 1));
        let card = a.simulate("GET", "/scorecard", &Value::Null).await.expect(200).json();
        assert_eq!(card["refusals"], json!({"FAULT": 1, "INSUFFICIENT_CAPACITY": 1}));
        let again = a.ask("POST", "/machines", &json!({"name": "unlucky", "cluster_name": "web"})).await;
        again.expect_problem(500, "no_luck", None);
    })
    .await;
}

#[actix_web::test]
async fn machines_of_a_scenario_are_those_that_requests_would_make() {
    on_every_store(Preset::Instant, async |site| {
        let machines =
            json!([{"name": "one", "cluster_name": "web"}, {"name": "two-{n}", "count": 2, "cluster_name": "web"}]);
        let clusters = json!([{"name": "web", "region_code": "A"}]);
        put(site, "a", &json!({"seed": 7, "preset": "flaky", "clusters": clusters, "machines": machines}))
            .await
            .expect(201);
        site.simulate("POST", "/worlds", &json!({"name": "b", "seed": 7, "preset": "flaky"})).await.expect(201);
        let (a, b) = (World { site, name: "a" }, World { site, name: "b" });
        b.ask("POST", "/clusters", &clusters[0]).await.expect(201);
        b.ask("POST", "/machines", &machines[0]).await.expect(201);
        let template = json!({"name": "two-{n}", "cluster_name": "web"});
        b.ask("POST", "/operations", &json!({"kind": "CREATE", "count": 2, "template": template})).await.expect(200);
        for world in [&a, &b] {
            world.simulate("POST", "/clock/advance", &json!({"by": "24h"})).await.expect(200);
        }
        assert_eq!(digest(&a).await, digest(&b).await);
    })
    .await;
}

#[actix_web::test]
async fn a_scenario_takes_the_place_of_a_world_and_a_reset_gives_it_back() {
    on_every_store(Preset::Instant, async |site| {
        site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 1})).await.expect(201);
        let a = World { site, name: "a" };
        a.ask("POST", "/clusters", &json!({"name": "old", "region_code": "A"})).await.expect(201);
        put(site, "a", &story()).await.expect(200);
        let before = (machines(&a).await, digest(&a).await);
        let fork = a.simulate("POST", "/fork", &json!({"name": "f", "seed": 9})).await;
        fork.expect(201);
        for name in ["a", "f"] {
            let world = World { site, name };
            world.simulate("DELETE", "/faults", &Value::Null).await.expect(204);
            world.ask("POST", "/clusters", &json!({"name": "new", "region_code": "A"})).await.expect(201);
            world.simulate("POST", "/reset", &Value::Null).await.expect(200);
            assert_eq!(names(&world).await, ["main", "more-1", "web-1", "web-2", "web-3"]);
            assert_eq!(world.faults().await.len(), 2);
        }
        assert_eq!((machines(&a).await, digest(&a).await), before);
        assert_ne!(digest(&World { site, name: "f" }).await, before.1, "it has a seed of its own");
        put(site, "default", &story()).await.expect(200);
        assert_eq!(machines(&World { site, name: "default" }).await, before.0);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_world_is_given_as_a_scenario_that_makes_one_like_it() {
    on_every_store(Preset::Instant, async |site| {
        put(site, "a", &story()).await.expect(201);
        let a = World { site, name: "a" };
        a.simulate("POST", "/clock/advance", &json!({"by": "90m"})).await.expect(200);
        let web = machines(&a).await.into_iter().find(|one| one["name"] == "web-1").unwrap();
        let path = format!("/machines/{}?action=TERMINATE", web["id"].as_str().unwrap());
        a.ask("POST", &path, &Value::Null).await.expect(202);
        a.simulate("POST", "/clock/advance", &json!({"by": "10m"})).await.expect(200);
        let given = a.simulate("GET", "/scenario", &Value::Null).await.expect(200).json();
        assert_eq!(
            (&given["seed"], &given["retention"], &given["preset"]),
            (&json!(42), &json!("2h"), &json!("realistic"))
        );
        assert_eq!(given["clusters"], story()["clusters"]);
        for field in ["effect", "scope", "selector"] {
            assert_eq!(given["faults"][0][field], story()["faults"][0][field]);
        }
        let ahead = given["schedule"].as_array().unwrap();
        assert_eq!((ahead.len(), &ahead[0]["kind"]), (1, &json!("REGION_OUTAGE")));
        assert_eq!(given["machines"].as_array().unwrap().len(), 4);
        let mut without = given.clone();
        without["faults"] = json!([]);
        put(site, "b", &without).await.expect(201);
        let b = World { site, name: "b" };
        assert_eq!(names(&b).await, names(&a).await);
        let given_again = b.simulate("GET", "/scenario", &Value::Null).await.expect(200).json();
        assert_eq!(given_again, without);
        let behaviour = a.simulate("GET", "/behaviour", &Value::Null).await.expect(200).json();
        a.simulate("PUT", "/behaviour", &behaviour).await.expect(200);
        let same = a.simulate("GET", "/scenario", &Value::Null).await.expect(200).json();
        assert_eq!(same.get("behaviour"), None, "it is that of the preset");
        site.simulate("GET", "/worlds/none/scenario", &Value::Null).await.expect_problem(404, "no_such_world", None);
    })
    .await;
}

#[actix_web::test]
async fn each_mistake_of_a_scenario_is_pointed_at_and_changes_nothing() {
    on_every_store(Preset::Instant, async |site| {
        put(site, "a", &story()).await.expect(201);
        let a = World { site, name: "a" };
        let before = (machines(&a).await, digest(&a).await);
        let with = |pointer: &str, value: Value| {
            let mut story = story();
            *story.pointer_mut(pointer).unwrap() = value;
            story
        };
        let mut behaviour = site.simulate("GET", "/worlds/default/behaviour", &Value::Null).await.expect(200).json();
        behaviour["stopping"]["fail"] = json!(0.5);
        let mut odd = story();
        odd["behaviour"] = behaviour;
        let cases = [
            (odd, "invalid_behaviour", "/behaviour/stopping/fail"),
            (with("/seed", json!(-1)), "invalid_value", "/seed"),
            (with("/preset", json!("fast")), "invalid_value", "/preset"),
            (with("/capacity/pools/0/region_code", json!("Z")), "unknown_region", "/capacity/pools/0/region_code"),
            (with("/capacity/pools/0/refills/0/at", json!("soon")), "invalid_value", "/capacity/pools/0/refills/0/at"),
            (with("/faults/1/effect", json!({"kind": "delay"})), "missing_field", "/faults/1/effect/by"),
            (with("/faults/1/on", json!({"state": "STOPPED"})), "invalid_fault", "/faults/1/effect"),
            (with("/faults/0/selector", json!({"region": "Z"})), "unknown_region", "/faults/0/selector/region"),
            (with("/schedule/0/not_before", json!("soon")), "invalid_value", "/schedule/0/not_before"),
            (with("/schedule/1/selector", json!({})), "invalid_schedule", "/schedule/1/selector"),
            (with("/schedule/1/selector", json!({"region": "Z"})), "unknown_region", "/schedule/1/selector/region"),
            (with("/clusters/1/region_code", json!("Z")), "unknown_region", "/clusters/1/region_code"),
            (with("/clusters/1/name", json!("web")), "invalid_value", "/clusters/1/name"),
            (with("/machines/2/cluster_name", json!("none")), "unknown_cluster", "/machines/2/cluster_name"),
            (with("/machines/2/machine_type", json!("huge")), "unknown_machine_type", "/machines/2/machine_type"),
            (with("/machines/0/name", json!("web")), "invalid_name", "/machines/0/name"),
            (with("/machines/1/name", json!("web-2")), "invalid_value", "/machines/1/name"),
            (with("/machines/0/count", json!(10_001)), "invalid_value", "/machines/0/count"),
            (with("/machines/0/count", json!(10_000)), "invalid_value", "/machines"),
        ];
        for (scenario, code, pointer) in cases {
            put(site, "a", &scenario).await.expect_problem(422, code, Some(pointer));
        }
        put(site, "a", &json!({})).await.expect_problem(422, "missing_field", Some("/seed"));
        put(site, "a", &json!({"seed": 1, "machine": []})).await.expect_problem(422, "unknown_field", Some("/machine"));
        put(site, "b", &with("/seed", json!(-1))).await.expect(422);
        site.simulate("GET", "/worlds/b", &Value::Null).await.expect(404);
        assert_eq!((machines(&a).await, digest(&a).await), before);
    })
    .await;
}
