//! How well a fleet was run.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{START_TEXT, Site, on_every_store};

const PATH: &str = "/worlds/default/scorecard";

async fn score(site: &Site, query: &str) -> Value {
    site.simulate("GET", &format!("{PATH}{query}"), &Value::Null).await.expect(200).json()
}

async fn advance(site: &Site, by: &str) {
    site.simulate("POST", "/worlds/default/clock/advance", &json!({ "by": by })).await.expect(200);
}

fn asked(done: u64, refused: u64) -> Value {
    json!({"asked": done + refused, "done": done, "failed": 0, "refused": refused, "superseded": 0, "pending": 0})
}

fn time(machine_type: &str, state: &str, minutes: u64) -> Value {
    json!({"machine_type": machine_type, "state": state, "time_ms": minutes * 60_000})
}

#[actix_web::test]
pub(crate) async fn a_score_is_kept_of_what_happened() {
    on_every_store(Preset::Instant, async |site| {
        let nothing = json!({"from": START_TEXT, "to": START_TEXT, "machine_time": [], "cost_micros": 0,
            "operations": {}, "refusals": {}, "crashes": 0});
        assert_eq!(score(site, "").await, nothing);
        let pool = json!({"region_code": "A", "machine_type": "small", "size": 2});
        site.simulate("PUT", "/worlds/default/capacity", &json!({ "pools": [pool] })).await.expect(200);
        site.cluster("web").await;
        let a = site.machine("a").await;
        site.machine("b").await;
        site.post("/machines", &json!({"name": "c", "cluster_name": "web"})).await.expect(503);
        advance(site, "30m").await;
        site.post(&format!("{a}?action=STOP"), &Value::Null).await.expect(200);
        advance(site, "30m").await;
        let card = score(site, "?fewer_than=2").await;
        assert_eq!(card["machine_time"], json!([time("small", "RUNNING", 90), time("small", "STOPPED", 30)]));
        assert_eq!(card["cost_micros"], 16_500);
        assert_eq!(card["operations"], json!({"CREATE": asked(2, 1), "STOP": asked(1, 0)}));
        assert_eq!((&card["refusals"], &card["crashes"]), (&json!({"INSUFFICIENT_CAPACITY": 1}), &json!(0)));
        assert_eq!(card["time_to_settle"], json!({"median_ms": 0, "p99_ms": 0}));
        assert_eq!(card["shortage"], json!({"fewer_than": 2, "longest_ms": 1_800_000, "total_ms": 1_800_000}));
        // A part of it, by time and by machines.
        let late = score(site, "?from=2030-01-01T00:45:00Z&to=2030-01-01T00:50:00Z").await;
        assert_eq!(late["machine_time"], json!([time("small", "RUNNING", 5), time("small", "STOPPED", 5)]));
        assert_eq!((&late["operations"], late.get("shortage")), (&json!({}), None));
        let one = score(site, "?name=b&fewer_than=1").await;
        assert_eq!(one["machine_time"], json!([time("small", "RUNNING", 60)]));
        assert_eq!((&one["operations"], &one["shortage"]["total_ms"]), (&json!({"CREATE": asked(1, 0)}), &json!(0)));
        assert_eq!(score(site, "?region=B").await["machine_time"], json!([]));
    })
    .await;
}

#[actix_web::test]
async fn what_takes_time_and_goes_wrong_is_told_the_same_each_time() {
    on_every_store(Preset::Flaky, async |site| {
        site.cluster("web").await;
        let template = json!({"name": "web-{n}", "cluster_name": "web"});
        site.post("/operations", &json!({"kind": "CREATE", "count": 40, "template": template})).await.expect(200);
        advance(site, "6h").await;
        let card = score(site, "").await;
        let total: u64 =
            card["machine_time"].as_array().unwrap().iter().map(|one| one["time_ms"].as_u64().unwrap()).sum();
        assert_eq!(total, 40 * 6 * 3_600_000, "every machine has all of its time");
        let created = &card["operations"]["CREATE"];
        let of = |name: &str| created[name].as_u64().unwrap();
        assert_eq!((of("asked"), of("done") + of("failed") + of("pending")), (40, 40));
        assert!(card["crashes"].as_u64().unwrap() > 0 && of("failed") > 0, "{card}");
        assert_eq!(score(site, "").await, card);
    })
    .await;
}

#[actix_web::test]
async fn an_interval_that_makes_no_sense_is_refused() {
    let site = Site::memory(Preset::Instant).await;
    let cases = [
        ("?from=2029-12-31T23:59:59Z", 422, "before_history", None),
        ("?to=2030-01-01T00:00:01Z", 422, "in_the_future", None),
        ("?from=noon", 400, "invalid_parameter", Some("from")),
        ("?fewer_than=-1", 400, "invalid_parameter", Some("fewer_than")),
        ("?fewer_than=1000000001", 400, "invalid_parameter", Some("fewer_than")),
        ("?fewer_then=1", 400, "unknown_parameter", Some("fewer_then")),
    ];
    for (query, status, code, pointer) in cases {
        let answer = site.simulate("GET", &format!("{PATH}{query}"), &Value::Null).await;
        answer.expect_problem(status, code, pointer);
    }
    advance(&site, "1h").await;
    let backwards = format!("{PATH}?from=2030-01-01T00:30:00Z&to=2030-01-01T00:29:59Z");
    site.simulate("GET", &backwards, &Value::Null).await.expect_problem(400, "invalid_parameter", None);
}
