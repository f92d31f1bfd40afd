//! How machines end: deleted and forgotten at once, or terminated and kept for a while; settler or not.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{HOUR, Site, on_every_store};

/// Every request about a machine.
async fn every_request(site: &Site, path: &str) -> Vec<Answer> {
    vec![
        site.get(path).await,
        site.get(&format!("{path}/events")).await,
        site.operate(path, "START").await,
        site.patch(path, &json!({"tags": ["x"]})).await,
        site.delete(path).await,
        site.operate(path, "STOP&dry_run=true").await,
        site.ask("GET", path, &[("if-none-match", "*")], &Value::Null).await,
        site.ask("DELETE", path, &[("if-match", "*")], &Value::Null).await,
    ]
}

async fn names(site: &Site, query: &str) -> Vec<String> {
    let items = site.walk(&format!("/machines?{query}")).await;
    items.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect()
}

/// Runs the settler where the test is to be with it.
async fn settle(site: &Site, settler: bool) {
    if settler {
        assert!(site.cloud.settler.run_once().await.unwrap());
    }
}

#[actix_web::test]
pub(crate) async fn a_deleted_machine_is_gone_at_once_where_that_takes_no_time() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let path = site.machine("a").await;
        assert!(site.delete(&path).await.expect(204).body.is_empty());
        for answer in every_request(site, &path).await {
            answer.expect_problem(404, "no_such_machine", None);
        }
        assert_eq!(names(site, "").await, Vec::<String>::new());
        assert_eq!(names(site, "state=TERMINATED").await, Vec::<String>::new());
    })
    .await;
}

#[actix_web::test]
async fn a_deleted_machine_is_forgotten_at_the_instant_it_is_terminated() {
    for settler in [false, true] {
        on_every_store(Preset::Realistic, async |site| {
            site.cluster("web").await;
            let path = site.machine("a").await;
            site.wall.advance(HOUR);
            let answer = site.delete(&path).await.expect(202);
            let terminating = answer.json();
            assert_eq!(
                (&terminating["state"], &terminating["transition"]["operation"]),
                (&json!("TERMINATING"), &json!("TERMINATE"))
            );
            assert_eq!(site.delete(&path).await.expect(202).json(), terminating, "again is no change");
            assert_eq!(site.operate(&path, "TERMINATE").await.expect(202).json(), terminating);
            let due = &terminating["transition"]["due_at"];
            site.go_just_before(due);
            settle(site, settler).await;
            assert_eq!(site.get(&path).await.expect(200).json(), terminating);
            assert_eq!(names(site, "").await, ["a"]);
            site.post("/machines", &json!({"name": "a", "cluster_name": "web"})).await.expect_problem(
                409,
                "name_taken",
                None,
            );
            site.go_to(due);
            settle(site, settler).await;
            for answer in every_request(site, &path).await {
                answer.expect_problem(404, "no_such_machine", None);
            }
            assert_eq!(names(site, "").await, Vec::<String>::new());
            assert_eq!(names(site, "state=TERMINATED,TERMINATING").await, Vec::<String>::new());
            assert_ne!(site.machine("a").await, path);
        })
        .await;
    }
}

#[actix_web::test]
async fn a_name_is_free_again_without_anyone_having_looked() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let due = site.delete(&path).await.expect(202).json()["transition"]["due_at"].clone();
    site.go_to(&due);
    site.post("/machines?dry_run=true", &json!({"name": "a", "cluster_name": "web"})).await.expect(201);
    site.machine("a").await;
}

#[actix_web::test]
async fn a_terminated_machine_is_kept_for_the_retention() {
    for settler in [false, true] {
        on_every_store(Preset::Realistic, async |site| {
            site.cluster("web").await;
            let path = site.machine("a").await;
            site.wall.advance(HOUR);
            let terminating = site.operate(&path, "TERMINATE").await.expect(202).json();
            site.go_to(&terminating["transition"]["due_at"]);
            settle(site, settler).await;
            let terminated = site.get(&path).await.expect(200).json();
            assert_eq!(terminated["state"], "TERMINATED");
            assert_eq!(terminated["allowed_operations"], json!([]));
            assert_eq!(terminated["state_changed_at"], terminating["transition"]["due_at"]);
            // Lists leave it out unless it is asked for, and its name is free.
            assert_eq!(names(site, "").await, Vec::<String>::new());
            assert_eq!(names(site, "name=a&cluster=web&region=A").await, Vec::<String>::new());
            assert_eq!(names(site, "state=TERMINATED").await, ["a"]);
            let heir = site.machine("a").await;
            assert_eq!(names(site, "state=TERMINATED,PROVISIONING").await, ["a", "a"]);
            site.delete(&heir).await.expect(202);
            // It cannot be changed.
            site.operate(&path, "START").await.expect_problem(409, "illegal_transition", None);
            site.operate(&path, "TERMINATE").await.expect(200);
            site.patch(&path, &json!({"tags": []})).await.expect_problem(409, "machine_terminated", None);
            assert_eq!(site.get(&path).await.expect(200).json(), terminated);
            site.go_to(&terminated["state_changed_at"]);
            site.wall.advance(HOUR - 1);
            settle(site, settler).await;
            assert_eq!(site.get(&path).await.expect(200).json(), terminated);
            assert_eq!(names(site, "state=TERMINATED").await, ["a"]);
            site.wall.advance(1);
            settle(site, settler).await;
            for answer in every_request(site, &path).await {
                answer.expect_problem(404, "no_such_machine", None);
            }
            assert_eq!(names(site, "state=TERMINATED").await, Vec::<String>::new());
        })
        .await;
    }
}

#[actix_web::test]
async fn a_terminated_machine_is_forgotten_when_it_is_deleted() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let path = site.machine("a").await;
        site.operate(&path, "TERMINATE").await.expect(200);
        site.delete(&format!("{path}?dry_run=true")).await.expect(204);
        assert_eq!(site.state(&path).await, "TERMINATED");
        site.delete(&path).await.expect(204);
        site.get(&path).await.expect_problem(404, "no_such_machine", None);
    })
    .await;
}

#[actix_web::test]
async fn a_terminating_machine_is_forgotten_where_it_is_deleted_too() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let terminating = site.operate(&path, "TERMINATE").await.expect(202).json();
    let deleted = site.delete(&path).await.expect(202).json();
    assert_eq!(deleted["transition"], terminating["transition"], "it ends no later and no sooner");
    site.go_to(&terminating["transition"]["due_at"]);
    site.get(&path).await.expect_problem(404, "no_such_machine", None);
}
