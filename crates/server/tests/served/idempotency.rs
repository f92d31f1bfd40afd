//! Idempotency keys over HTTP.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::inside::Inside;

fn post(inside: &Inside, path: &str, key: &str, body: Option<&Value>) -> Answer {
    inside.client.send("POST", path, &[("idempotency-key", key)], body)
}

/// What makes an answer the same: all but what is of the single request.
fn same(answer: &Answer) -> (u16, String, Option<String>, String) {
    let location = answer.headers.get("location").map(|value| value.to_str().unwrap().to_owned());
    (answer.status, answer.header("etag").to_owned(), location, answer.text.clone())
}

#[test]
fn the_same_request_has_the_same_answer_and_one_effect() {
    let inside = Inside::new(Preset::Instant);
    let cluster = json!({"name": "web", "region_code": "A"});
    let machine = json!({"name": "web-1", "cluster_name": "web"});
    let first = post(&inside, "/clusters", "c", Some(&cluster));
    assert_eq!(same(&post(&inside, "/clusters", "c", Some(&cluster))), same(&first));
    let first = post(&inside, "/machines", "m", Some(&machine));
    inside.pass("5s");
    let again = post(&inside, "/machines", "m", Some(&machine));
    assert_eq!((first.status, same(&again)), (201, same(&first)));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let stop = format!("/machines/{}?action=STOP", first.json()["id"].as_str().unwrap());
    let stopped = post(&inside, &stop, "s", None);
    inside.client.send("POST", &stop.replace("STOP", "START"), &[], None);
    assert_eq!(same(&post(&inside, &stop, "s", None)), same(&stopped), "it is the answer of then");
    assert_eq!(inside.client.machine(first.json()["id"].as_str().unwrap())["state"], "RUNNING");
}

#[test]
fn work_found_done_is_kept_too() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let id = inside.client.create_machine("web-1");
    let start = format!("/machines/{id}?action=START");
    let unchanged = post(&inside, &start, "k", None);
    inside.client.send("POST", &format!("/machines/{id}?action=STOP"), &[], None);
    assert_eq!(same(&post(&inside, &start, "k", None)), same(&unchanged));
    assert_eq!(inside.client.machine(&id)["state"], "STOPPED");
}

#[test]
fn another_request_with_the_key_is_refused() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let body = json!({"name": "web-1", "cluster_name": "web"});
    let made = post(&inside, "/machines", "k", Some(&body));
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let others = [
        post(&inside, "/machines", "k", Some(&json!({"name": "web-2", "cluster_name": "web"}))),
        post(&inside, "/clusters", "k", Some(&json!({"name": "x", "region_code": "A"}))),
        post(&inside, &format!("/machines/{id}?action=STOP"), "k", None),
    ];
    for other in others {
        assert_eq!((other.status, other.json()["code"].clone()), (422, json!("idempotency_mismatch")));
    }
    assert_eq!(inside.client.machine(&id)["state"], "RUNNING");
}

#[test]
fn a_refusal_frees_the_key_and_a_dry_run_does_not_take_it() {
    let inside = Inside::new(Preset::Instant);
    let body = json!({"name": "web-1", "cluster_name": "web"});
    assert_eq!(post(&inside, "/machines", "k", Some(&body)).json()["code"], "unknown_cluster");
    inside.client.create_cluster();
    assert_eq!(post(&inside, "/machines?dry_run=true", "k", Some(&body)).status, 201);
    assert_eq!(post(&inside, "/machines", "k", Some(&body)).status, 201);
}

#[test]
fn an_answer_outlives_a_restart_and_expires_after_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let body = json!({"name": "web", "region_code": "A"});
    let inside = Inside::on(directory.path(), Preset::Instant);
    let first = same(&post(&inside, "/clusters", "k", Some(&body)));
    drop(inside);

    let inside = Inside::on(directory.path(), Preset::Instant);
    inside.pass("23h59m59s");
    assert_eq!(same(&post(&inside, "/clusters", "k", Some(&body))), first);
    inside.pass("1s");
    let anew = post(&inside, "/clusters", "k", Some(&body));
    assert_eq!(anew.json()["code"], "name_taken", "it is a new request by now");
}
