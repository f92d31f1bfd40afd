//! The time of a world: its user's.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

async fn advance(site: &Site, body: Value) -> Answer {
    site.simulate("POST", "/worlds/a/clock/advance", &body).await
}

async fn clock(site: &Site) -> Value {
    site.simulate("GET", "/worlds/a/clock", &Value::Null).await.expect(200).json()
}

/// Makes the world `a` of a preset, with a machine in it, whose path it returns.
async fn world(site: &Site, preset: &str) -> String {
    let new = json!({"name": "a", "seed": 42, "preset": preset});
    site.simulate("POST", "/worlds", &new).await.expect(201);
    let headers = [("content-type", "application/json")];
    let web = json!({"name": "web", "region_code": "A"}).to_string();
    site.send("POST", "/worlds/a/api/v1/clusters", &headers, web.as_bytes()).await.expect(201);
    let machine = json!({"name": "m", "cluster_name": "web"}).to_string();
    let made = site.send("POST", "/worlds/a/api/v1/machines", &headers, machine.as_bytes()).await.expect(201).json();
    format!("/worlds/a/api/v1/machines/{}", made["id"].as_str().unwrap())
}

async fn state(site: &Site, machine: &str) -> Value {
    site.send("GET", machine, &[], &[]).await.expect(200).json()["state"].clone()
}

#[actix_web::test]
pub(crate) async fn a_clock_is_moved_by_hand() {
    on_every_store(Preset::Instant, async |site| {
        let machine = world(site, "realistic").await;
        let before = clock(site).await;
        assert_eq!((&before["now"], &before["rate"]), (&json!("2030-01-01T00:00:00.000Z"), &json!(0.0)));
        let due = before["next_due_at"].clone();
        site.wall.advance(60_000);
        assert_eq!(clock(site).await, before, "it stands still");
        let moved = advance(site, json!({"by": "2m"})).await.expect(200).json();
        assert_eq!((&moved["from"], &moved["to"]), (&before["now"], &json!("2030-01-01T00:02:00.000Z")));
        assert_eq!(
            moved["happened"],
            json!({"events": 2, "kinds": {"STATE_ENTERED": 2}, "states": {"RUNNING": 1, "STARTING": 1}})
        );
        assert_eq!(state(site, &machine).await, json!("RUNNING"));
        let events = site.send("GET", &format!("{machine}/events"), &[], &[]).await.items();
        assert_eq!(events[1]["at"], due, "it happened when it was due");
        assert_eq!(moved["clock"], clock(site).await);
        // To an instant, and not back.
        advance(site, json!({"to": "2030-01-01T00:03:00Z"})).await.expect(200);
        let back = advance(site, json!({"to": "2030-01-01T00:02:59.999Z"})).await;
        back.expect_problem(422, "in_the_past", None);
        assert_eq!(back.json()["now"], json!("2030-01-01T00:03:00.000Z"));
        let nothing = advance(site, json!({"to": "2030-01-01T00:03:00Z"})).await.expect(200).json();
        assert_eq!(nothing["happened"]["events"], json!(0));
        advance(site, json!({"by": "800000h"})).await.expect_problem(422, "end_of_time", None);
        for both in [json!({}), json!({"by": "1s", "to": "2030-01-02T00:00:00Z"})] {
            advance(site, both).await.expect(422);
        }
        assert_eq!(clock(site).await["now"], json!("2030-01-01T00:03:00.000Z"));
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_clock_runs_at_its_rate() {
    on_every_store(Preset::Instant, async |site| {
        let machine = world(site, "realistic").await;
        let set = async |rate: f64| {
            site.simulate("PATCH", "/worlds/a/clock", &json!({"rate": rate})).await.expect(200).json()
        };
        assert_eq!(set(60.0).await["rate"], json!(60.0));
        site.wall.advance(2_000);
        assert_eq!(clock(site).await["now"], json!("2030-01-01T00:02:00.000Z"));
        assert_eq!(state(site, &machine).await, json!("RUNNING"));
        set(0.5).await;
        site.wall.advance(2_000);
        assert_eq!(clock(site).await["now"], json!("2030-01-01T00:02:01.000Z"));
        advance(site, json!({"by": "1h"})).await.expect(200);
        site.wall.advance(1_000);
        assert_eq!(clock(site).await["now"], json!("2030-01-01T01:02:01.500Z"), "it runs on from there");
        set(0.0).await;
        site.wall.advance(1_000);
        assert_eq!(clock(site).await["now"], json!("2030-01-01T01:02:01.500Z"));
        for rate in [json!(-1), json!(1_000_001), json!(0.0001)] {
            let refused = site.simulate("PATCH", "/worlds/a/clock", &json!({"rate": rate})).await;
            refused.expect_problem(422, "invalid_value", Some("/rate"));
        }
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_clock_is_moved_to_what_is_next() {
    on_every_store(Preset::Instant, async |site| {
        let machine = world(site, "realistic").await;
        for expected in ["STARTING", "RUNNING"] {
            let due = clock(site).await["next_due_at"].clone();
            let moved = site.simulate("POST", "/worlds/a/clock/advance-to-next", &Value::Null).await.expect(200).json();
            assert_eq!((&moved["to"], &moved["happened"]["states"]), (&due, &json!({ expected: 1 })));
            assert_eq!(state(site, &machine).await, json!(expected));
        }
        site.simulate("POST", "/worlds", &json!({"name": "empty"})).await.expect(201);
        let nothing =
            site.simulate("POST", "/worlds/empty/clock/advance-to-next", &Value::Null).await.expect(200).json();
        assert_eq!((&nothing["from"], &nothing["happened"]["events"]), (&nothing["to"], &json!(0)));
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_world_runs_until_nothing_is_on_its_way() {
    on_every_store(Preset::Instant, async |site| {
        let machine = world(site, "realistic").await;
        let run =
            async |body: Value| site.simulate("POST", "/worlds/a/clock/run-until-idle", &body).await.expect(200).json();
        let short = run(json!({"limit": "1s"})).await;
        assert_eq!((&short["idle"], &short["to"]), (&json!(false), &json!("2030-01-01T00:00:01.000Z")));
        let ran = run(Value::Null).await;
        assert_eq!((&ran["idle"], &ran["happened"]["states"]), (&json!(true), &json!({"RUNNING": 1, "STARTING": 1})));
        assert_eq!(state(site, &machine).await, json!("RUNNING"));
        let events = site.send("GET", &format!("{machine}/events"), &[], &[]).await.items();
        assert_eq!(ran["to"], events[2]["at"], "and not a moment longer");
        let idle = run(json!({})).await;
        assert_eq!((&idle["idle"], &idle["from"], &idle["happened"]["events"]), (&json!(true), &ran["to"], &json!(0)));
    })
    .await;
}

#[actix_web::test]
async fn those_who_advance_at_once_add_up() {
    on_every_store(Preset::Instant, async |site| {
        world(site, "flaky").await;
        let moving = (0..20).map(|_| {
            let site = site.clone();
            actix_web::rt::spawn(async move { advance(&site, json!({"by": "1h"})).await.expect(200).json() })
        });
        let mut spans = Vec::new();
        for moved in moving.collect::<Vec<_>>() {
            let moved = moved.await.unwrap();
            let text = |field: &str| moved[field].as_str().unwrap().to_owned();
            spans.push((text("from"), text("to")));
        }
        spans.sort();
        assert!(spans.windows(2).all(|two| two[0].1 == two[1].0), "{spans:?}");
        assert_eq!(clock(site).await["now"], json!("2030-01-01T20:00:00.000Z"));
    })
    .await;
}

#[actix_web::test]
async fn a_repeated_advance_moves_the_clock_once() {
    on_every_store(Preset::Instant, async |site| {
        world(site, "realistic").await;
        let keyed = async |path: &str, key: &str, body: &str| {
            let headers = [("idempotency-key", key), ("content-type", "application/json")];
            let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
            site.send("POST", &format!("/sim/v1/worlds/a/clock/{path}"), headers, body.as_bytes()).await
        };
        for (path, key, body) in
            [("advance", "k1", r#"{"by":"5s"}"#), ("advance-to-next", "k2", ""), ("run-until-idle", "k3", "")]
        {
            let first = keyed(path, key, body).await.expect(200);
            let again = keyed(path, key, body).await.expect(200);
            assert_eq!(again.json(), first.json());
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
        }
        keyed("advance", "k1", r#"{"by":"6s"}"#).await.expect_problem(422, "idempotency_mismatch", None);
        // What is told again is what it did, whatever happened since.
        let moved = advance(site, json!({"by": "1h"})).await.expect(200).json();
        let again = keyed("advance", "k1", r#"{"by":"5s"}"#).await.expect(200).json();
        assert_eq!((&again["to"], &again["clock"]["now"]), (&json!("2030-01-01T00:00:05.000Z"), &moved["to"]));
    })
    .await;
}

#[actix_web::test]
async fn a_moved_clock_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    world(&site, "flaky").await;
    advance(&site, json!({"by": "72h"})).await.expect(200);
    let (before, everything) = (clock(&site).await, site.everything().await);
    site.store.close().await;
    let site = Site::open(directory.path(), Preset::Instant, crate::site::START).await;
    assert_eq!((clock(&site).await, site.everything().await), (before, everything));
}

#[actix_web::test]
pub(crate) async fn a_behaviour_is_read_and_changed() {
    on_every_store(Preset::Instant, async |site| {
        let machine = world(site, "realistic").await;
        let presets = site.simulate("GET", "/presets", &Value::Null).await.expect(200).items();
        let preset = |name: &str| presets.iter().find(|preset| preset["name"] == name).unwrap()["behaviour"].clone();
        let read = async || site.simulate("GET", "/worlds/a/behaviour", &Value::Null).await.expect(200).json();
        assert_eq!(read().await, preset("realistic"));
        let now = clock(site).await;
        let put = site.simulate("PUT", "/worlds/a/behaviour", &preset("instant")).await.expect(200).json();
        assert_eq!((put, read().await), (preset("instant"), preset("instant")));
        // What was drawn stays, and what comes after it follows the new rules.
        let after = clock(site).await;
        assert_eq!((&after["now"], &after["next_due_at"]), (&json!("2030-01-01T00:00:00.001Z"), &now["next_due_at"]));
        let moved = site.simulate("POST", "/worlds/a/clock/advance-to-next", &Value::Null).await.expect(200).json();
        assert_eq!(moved["happened"]["states"], json!({"STARTING": 1, "RUNNING": 1}));
        assert_eq!(state(site, &machine).await, json!("RUNNING"));
    })
    .await;
}

#[actix_web::test]
async fn every_mistake_of_a_behaviour_is_pointed_at() {
    let site = Site::memory(Preset::Instant).await;
    world(&site, "realistic").await;
    let good = site.simulate("GET", "/worlds/a/behaviour", &Value::Null).await.json();
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        let answer = site.simulate("PUT", "/worlds/a/behaviour", &bad).await.expect(422).json();
        let errors = answer["errors"].as_array().unwrap().iter();
        errors
            .map(|error| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let forms = refused(&|bad| {
        bad["starting"]["duration"]["min"] = json!("soon");
        bad["stopping"]["fail"] = json!("often");
        bad["flying"] = json!({});
        bad.as_object_mut().unwrap().remove("updating");
    });
    let mut forms = forms.await;
    forms.sort();
    assert_eq!(forms.len(), 4, "{forms:?}");
    assert!(
        forms.iter().any(|error| error == "/flying unknown_field")
            && forms.iter().any(|error| error == "/updating missing_field"),
        "{forms:?}"
    );
    let sense = refused(&|bad| {
        bad["stopping"]["fail"] = json!(0.5);
        bad["starting"]["fail"] = json!(0.7);
        bad["starting"]["stick"] = json!(0.7);
        bad["repairing"]["duration"]["min"] = json!("10h");
        bad["mean_time_between_failures"] = json!("0s");
    });
    assert_eq!(
        sense.await,
        [
            "/starting/fail invalid_behaviour",
            "/stopping/fail invalid_behaviour",
            "/repairing/duration invalid_behaviour",
            "/mean_time_between_failures invalid_behaviour"
        ]
    );
    assert_eq!(site.simulate("GET", "/worlds/a/behaviour", &Value::Null).await.json(), good);
}
