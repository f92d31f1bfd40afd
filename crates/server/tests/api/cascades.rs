//! A cluster's deletion with its machines.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{Site, on_every_store};

#[actix_web::test]
async fn a_cluster_goes_with_its_machines() {
    on_every_store(Preset::Instant, async |site| {
        let web = site.cluster("web").await;
        for name in ["a", "b"] {
            site.machine(name).await;
        }
        site.cluster("other").await;
        site.machine_of(&json!({"name": "c", "cluster_name": "other"})).await;
        site.delete(&web).await.expect_problem(409, "cluster_not_empty", None);
        let deleted = site.delete(&format!("{web}?cascade=true")).await.expect(200).json();
        assert_eq!((&deleted["kind"], &deleted["state"]), (&json!("DELETE_CLUSTER"), &json!("SUCCEEDED")));
        assert_eq!(deleted["cluster_id"], json!(web.replace("/clusters/", "")));
        assert_eq!(deleted["progress"], json!({"matched": 2, "done": 2, "unchanged": 0, "rejected": 0}));
        site.get(&web).await.expect_problem(404, "no_such_cluster", None);
        assert_eq!(site.walk("/machines").await.len(), 1);
        let again = site.delete(&format!("{web}?cascade=true")).await;
        again.expect_problem(404, "no_such_cluster", None);
        assert_eq!(site.walk("/operations").await, [deleted]);
        // Without it, an empty one goes as ever.
        let empty = site.cluster("empty").await;
        site.delete(&format!("{empty}?cascade=false")).await.expect(204);
    })
    .await;
}

#[actix_web::test]
async fn a_machine_that_refuses_keeps_its_cluster() {
    on_every_store(Preset::Instant, async |site| {
        let web = site.cluster("web").await;
        site.machine("a").await;
        let kept =
            site.machine_of(&json!({"name": "b", "cluster_name": "web", "protection": {"terminate": true}})).await;
        let partial = site.delete(&format!("{web}?cascade=true")).await.expect(200).json();
        assert_eq!((&partial["state"], &partial["progress"]["rejected"]), (&json!("PARTIAL"), &json!(1)));
        site.get(&web).await.expect(200);
        let results = site.walk(&format!("/operations/{}/results", partial["id"].as_str().unwrap())).await;
        assert_eq!((results.len(), &results[0]["code"]), (2, &json!("protected")));
        assert_eq!(results[0]["machine_id"], json!(kept.replace("/machines/", "")));
        assert_eq!(site.delete(&format!("{web}?cascade=true")).await.expect(200).json()["state"], json!("FAILED"));
        site.patch(&kept, &json!({"protection": null})).await.expect(200);
        assert_eq!(site.delete(&format!("{web}?cascade=true")).await.expect(200).json()["state"], json!("SUCCEEDED"));
    })
    .await;
}

#[actix_web::test]
async fn a_condition_is_looked_at_first_and_a_dry_run_is_none() {
    let site = Site::memory(Preset::Instant).await;
    let web = site.cluster("web").await;
    site.machine("a").await;
    let before = site.everything().await;
    let cascade = format!("{web}?cascade=true");
    let if_match = async |value: &str| site.ask("DELETE", &cascade, &[("if-match", value)], &Value::Null).await;
    if_match("\"2\"").await.expect_problem(412, "version_mismatch", None);
    if_match("x").await.expect_problem(400, "invalid_header", Some("if-match"));
    let dry = site.delete(&format!("{cascade}&dry_run=true")).await;
    dry.expect_problem(400, "invalid_parameter", Some("dry_run"));
    assert_eq!(site.everything().await, before);
    if_match("\"1\"").await.expect(200);
}

#[actix_web::test]
async fn a_cluster_whose_machines_take_time_goes_when_they_have_ended() {
    on_every_store(Preset::Instant, async |site| {
        site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42, "preset": "realistic"})).await.expect(201);
        let headers = [("content-type", "application/json")];
        let post = async |path: &str, body: Value| {
            let path = format!("/worlds/a/api/v1{path}");
            site.send("POST", &path, &headers, body.to_string().as_bytes()).await.expect(201).json()
        };
        let cluster = post("/clusters", json!({"name": "web", "region_code": "A"})).await;
        post("/machines", json!({"name": "m", "cluster_name": "web"})).await;
        let advance = async |by: &str| {
            site.simulate("POST", "/worlds/a/clock/advance", &json!({ "by": by })).await.expect(200);
        };
        advance("1h").await;
        let web = format!("/worlds/a/api/v1/clusters/{}", cluster["id"].as_str().unwrap());
        let started = site.send("DELETE", &format!("{web}?cascade=true"), &[], &[]).await.expect(202);
        assert_eq!(started.json()["state"], json!("RUNNING"));
        let operation = started.header("location").unwrap().to_owned();
        assert!(operation.starts_with("/worlds/a/api/v1/operations/"), "{operation}");
        site.send("GET", &web, &[], &[]).await.expect(200);
        advance("1ms").await;
        let read = async || site.send("GET", &operation, &[], &[]).await.expect(200).json();
        assert_eq!(read().await["state"], json!("RUNNING"), "time is to pass");
        advance("1h").await;
        assert_eq!(read().await["state"], json!("SUCCEEDED"));
        site.send("GET", &web, &[], &[]).await.expect_problem(404, "no_such_cluster", None);

        // One that machines are made in meanwhile stays, and says so.
        let cluster = post("/clusters", json!({"name": "web", "region_code": "A"})).await;
        post("/machines", json!({"name": "m", "cluster_name": "web"})).await;
        advance("1h").await;
        let web = format!("/worlds/a/api/v1/clusters/{}", cluster["id"].as_str().unwrap());
        let started = site.send("DELETE", &format!("{web}?cascade=true"), &[], &[]).await.expect(202);
        post("/machines", json!({"name": "new", "cluster_name": "web"})).await;
        advance("1h").await;
        let ended = site.send("GET", started.header("location").unwrap(), &[], &[]).await.expect(200).json();
        assert_eq!((&ended["state"], &ended["reason"]), (&json!("PARTIAL"), &json!("cluster_not_empty")));
        site.send("GET", &web, &[], &[]).await.expect(200);
    })
    .await;
}
