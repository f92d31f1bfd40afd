//! Machines in bulk: out of a world as lines, and into another.

use std::fmt::Write;
use std::future::poll_fn;
use std::pin::pin;

use actix_web::body::MessageBody;
use actix_web::test::{self, TestRequest};
use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{HOUR, Site, on_every_store};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// The lines of an export under this root.
async fn export(site: &Site, root: &str, selector: &str) -> Vec<Value> {
    let exported = site.send("GET", &format!("{root}/machines/export?{selector}"), &[], &[]).await.expect(200);
    assert_eq!(exported.header("content-type"), Some(NDJSON.1));
    let text = exported.text();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:.200}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn import(site: &Site, root: &str, lines: impl AsRef<[u8]>) -> Answer {
    site.send("POST", &format!("{root}/machines/import"), &[NDJSON], lines.as_ref()).await
}

fn lines(machines: impl IntoIterator<Item = Value>) -> String {
    let mut text = String::new();
    machines.into_iter().for_each(|machine| writeln!(text, "{machine}").unwrap());
    text
}

/// What an import takes of a machine.
fn taken(machine: &Value) -> Value {
    let of = |field: &str| machine[field].clone();
    json!({"name": of("name"), "cluster_name": of("cluster_name"), "tags": of("tags"), "machine_type": of("machine_type"),
        "protection": of("protection"), "stopped": of("state") == "STOPPED"})
}

#[actix_web::test]
pub(crate) async fn machines_go_from_world_to_world() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        site.post("/clusters", &json!({"name": "db", "region_code": "B"})).await.expect(201);
        for number in 0..12_usize {
            let (cluster, machine_type) = (["web", "db"][number % 2], ["small", "large"][number / 2 % 2]);
            let body = json!({"name": format!("m-{number}"), "cluster_name": cluster, "machine_type": machine_type,
                "tags": [format!("t{}", number % 3)], "start": number % 4 != 0,
                "protection": {"stop": number % 5 == 0, "terminate": false}});
            site.machine_of(&body).await;
        }
        site.wall.advance(HOUR);
        let exported = export(site, "/api/v1", "").await;
        assert_eq!(exported, site.walk("/machines?page_size=1000").await, "the same as a list");
        assert_eq!(export(site, "/api/v1", "cluster=db&tag=t1").await, site.walk("/machines?cluster=db&tag=t1").await);
        assert_eq!(export(site, "/api/v1", "name=nobody").await, Vec::<Value>::new());

        site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42})).await.expect(201);
        for (name, region) in [("web", "C"), ("db", "D")] {
            let body = json!({"name": name, "region_code": region}).to_string();
            let headers = [("content-type", "application/json")];
            site.send("POST", "/worlds/a/api/v1/clusters", &headers, body.as_bytes()).await.expect(201);
        }
        let root = "/worlds/a/api/v1";
        let report = import(site, root, lines(exported.clone())).await.expect(200).json();
        assert_eq!(report, json!({"lines": 12, "created": 12, "refused": 0, "problems": []}));
        let made = export(site, root, "").await;
        let by_name = |machines: &[Value]| {
            let mut taken: Vec<_> = machines.iter().map(taken).collect();
            taken.sort_unstable_by_key(|machine| machine["name"].as_str().unwrap().to_owned());
            taken
        };
        assert_eq!(by_name(&made), by_name(&exported));
        assert!(made.iter().all(|machine| machine["region_code"] != "A" && machine["created_at"] != Value::Null));

        // What is there is refused when it is repeated.
        let again = import(site, root, lines(exported)).await.expect(200).json();
        assert_eq!((&again["created"], &again["refused"]), (&json!(0), &json!(12)));
        let first = json!({"line": 1, "code": "name_taken", "detail": "the name is taken"});
        assert_eq!(again["problems"][0], first);
        assert_eq!(export(site, root, "").await, made);
    })
    .await;
}

#[actix_web::test]
async fn a_broken_line_is_refused_and_the_rest_goes_on() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let good = |name: &str| json!({"name": name, "cluster_name": "web"}).to_string();
        let long = format!("{{\"name\": \"{}\"}}", "x".repeat(256 * 1024));
        let unknown = format!("{{\"{}\": 1}}", "f".repeat(10_000));
        let body = [
            &good("a"),
            "",
            "{\"name\":",
            "[]",
            "  \t",
            &good("a"),
            "{\"name\":\"b\"}",
            "{\"name\":\"b c\",\"cluster_name\":\"web\"}",
            "{\"name\":\"b\",\"cluster_name\":\"nowhere\"}",
            "{\"name\":\"b\",\"cluster_name\":\"web\",\"machine_type\":\"huge\"}",
            "{\"name\":\"b\",\"cluster_name\":\"web\",\"tags\":[\"x\",\"x y\"]}",
            "{\"name\":\"b\",\"cluster_name\":\"web\",\"nmae\":\"x\"}",
            "{\"name\":\"b\",\"cluster_name\":\"web\"} x",
            &long,
            &unknown,
            "\u{0}",
            "{\"name\":\"b\",\"cluster_name\":\"web\",\"state\":\"STOPPED\"}\r",
            // Without an end.
            &good("c"),
        ];
        let report = import(site, "/api/v1", body.join("\n")).await.expect(200).json();
        assert_eq!((&report["lines"], &report["created"], &report["refused"]), (&json!(16), &json!(3), &json!(13)));
        let told: Vec<_> = report["problems"].as_array().unwrap().iter().collect();
        let told: Vec<_> =
            told.iter().map(|one| (one["line"].as_u64().unwrap(), one["code"].as_str().unwrap())).collect();
        let expected = [
            (3, "malformed_json"),
            (4, "wrong_type"),
            (6, "name_taken"),
            (7, "missing_field"),
            (8, "invalid_name"),
            (9, "unknown_cluster"),
            (10, "unknown_machine_type"),
            (11, "invalid_tags"),
            (12, "unknown_field"),
            (13, "malformed_json"),
            (14, "body_too_large"),
            (15, "unknown_field"),
            (16, "malformed_json"),
        ];
        assert_eq!(told, expected);
        assert_eq!(report["problems"][7]["pointer"], json!("/tags/1"));
        assert!(report.to_string().len() < 4_000, "a client's own text is not told at length");
        let machines = site.walk("/machines?order_by=name").await;
        let states: Vec<_> = machines.iter().map(|one| (one["name"].clone(), one["state"].clone())).collect();
        let pair = |name: &str, state: &str| (json!(name), json!(state));
        assert_eq!(states, [pair("a", "RUNNING"), pair("b", "STOPPED"), pair("c", "RUNNING")]);
    })
    .await;
}

#[actix_web::test]
async fn an_import_and_an_export_have_any_length() {
    const MACHINES: usize = 2_500;
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let machine = |number: usize| json!({"name": format!("m-{number}"), "cluster_name": "web"});
        let report = import(site, "/api/v1", lines((0..MACHINES).map(machine))).await.expect(200).json();
        assert_eq!(report, json!({"lines": MACHINES, "created": MACHINES, "refused": 0, "problems": []}));
        assert_eq!(site.get("/stats").await.json()["machines"], json!(MACHINES));
        let exported = export(site, "/api/v1", "").await;
        assert_eq!(exported.len(), MACHINES);
        assert_eq!(exported, site.walk("/machines?page_size=999").await);
        let again = import(site, "/api/v1", lines((0..MACHINES).map(machine))).await.expect(200).json();
        assert_eq!((&again["refused"], &again["truncated"]), (&json!(MACHINES), &json!(true)));
        assert_eq!(again["problems"].as_array().unwrap().len(), 1_000);
        assert_eq!((&again["problems"][999]["line"], &again["created"]), (&json!(1_000), &json!(0)));
    })
    .await;
}

#[actix_web::test]
async fn what_is_no_import_is_refused_whole() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let line = lines([json!({"name": "a", "cluster_name": "web"})]);
    let path = "/api/v1/machines/import";
    for content_type in ["application/json", "text/plain", ""] {
        let refused = site.send("POST", path, &[("content-type", content_type)], line.as_bytes()).await;
        refused.expect_problem(415, "unsupported_media_type", None);
    }
    let keyed = site.send("POST", path, &[NDJSON, ("idempotency-key", "k")], line.as_bytes()).await;
    keyed.expect_problem(400, "invalid_header", Some("idempotency-key"));
    let elsewhere = import(&site, "/worlds/nowhere/api/v1", &line).await;
    elsewhere.expect_problem(404, "no_such_world", None);
    assert_eq!(site.walk("/machines").await, Vec::<Value>::new());
    let nothing = json!({"lines": 0, "created": 0, "refused": 0, "problems": []});
    for empty in ["", "\n \n"] {
        assert_eq!(import(&site, "/api/v1", empty).await.expect(200).json(), nothing);
    }
    let media_type = [("content-type", "Application/X-NDJSON; charset=utf-8")];
    site.send("POST", path, &media_type, line.as_bytes()).await.expect(200);
}

#[actix_web::test]
async fn an_export_that_cannot_go_on_breaks_off() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let machine = |number: usize| json!({"name": format!("m-{number}"), "cluster_name": "web"});
    import(&site, "/api/v1", lines((0..1_500).map(machine))).await.expect(200);
    let service = test::init_service(site.api.app()).await;
    let request = TestRequest::with_uri("/api/v1/machines/export").to_request();
    let mut body = pin!(test::call_service(&service, request).await.into_body());
    let mut next = async || poll_fn(|context| body.as_mut().poll_next(context)).await;
    let first = next().await.unwrap().unwrap_or_else(|_| panic!("the first page is there"));
    assert_eq!(first.split(|byte| *byte == b'\n').count(), 1_001);
    site.store.close().await;
    // Who reads it is told by the connection, which ends without the end of the answer.
    assert!(next().await.unwrap().is_err());
}
