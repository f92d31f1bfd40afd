//! Requests that may be repeated: one effect and one answer for each key.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{HOUR, START, Site, on_every_store};
use crate::spec;

async fn keyed(site: &Site, path: &str, key: &str, body: &Value) -> Answer {
    site.ask("POST", path, &[("idempotency-key", key)], body).await
}

/// A request for each operation of the simulated cloud that knows keys; for those of the simulation, see `worlds` and `clock`.
async fn posts(site: &Site) -> Vec<(String, Value)> {
    site.cluster("web").await;
    let machine = site.machine("a").await;
    let posts = vec![
        ("/clusters".into(), json!({"name": "new", "region_code": "B"})),
        ("/machines".into(), json!({"name": "b", "cluster_name": "web"})),
        (format!("{machine}?action=REBOOT"), Value::Null),
        // No change: the answer is kept all the same.
        (format!("{machine}?action=START"), Value::Null),
    ];
    // An import knows no keys, and those of fleet operations have tests of their own: their answers are not kept.
    let others = ["importMachines", "createOperation"];
    let of_others = |operation: &&spec::Operation| others.contains(&operation.id.as_str());
    let all_posts =
        || spec::operations().iter().filter(|operation| operation.method == "POST").filter(|one| !of_others(one));
    assert!(all_posts().all(|operation| operation.has_header("Idempotency-Key")));
    let of_the_cloud = all_posts().filter(|operation| operation.path.starts_with("/api/")).count();
    assert_eq!(posts.len(), of_the_cloud + 1, "each operation that knows keys");
    posts
}

#[track_caller]
fn check_replay(first: &Answer, again: &Answer) {
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    for header in ["etag", "location", "content-type"] {
        assert_eq!(again.header(header), first.header(header));
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
}

#[actix_web::test]
async fn a_repeated_request_has_one_effect_and_one_answer() {
    for preset in [Preset::Instant, Preset::Realistic] {
        on_every_store(preset, async |site| {
            for (number, (path, body)) in posts(site).await.into_iter().enumerate() {
                site.wall.advance(HOUR);
                let key = format!("key-{number}");
                let first = keyed(site, &path, &key, &body).await;
                assert!(first.status < 300, "{first}");
                let after = site.everything().await;
                check_replay(&first, &keyed(site, &path, &key, &body).await);
                assert_eq!(site.everything().await, after);
                // The answer is the one that was given, whatever happened since.
                site.wall.advance(HOUR);
                check_replay(&first, &keyed(site, &path, &key, &body).await);
            }
        })
        .await;
    }
}

#[actix_web::test]
async fn a_key_belongs_to_one_request() {
    on_every_store(Preset::Instant, async |site| {
        let posts = posts(site).await;
        for (number, (path, body)) in posts.iter().enumerate() {
            let key = format!("key-{number}");
            assert!(keyed(site, path, &key, body).await.status < 300);
            let before = site.everything().await;
            let mut other_body = body.clone();
            if other_body.is_object() {
                other_body["name"] = json!("other");
                keyed(site, path, &key, &other_body).await.expect_problem(422, "idempotency_mismatch", None);
                let dressed = format!("{body} ");
                let headers = [("idempotency-key", &*key), ("content-type", "application/json")];
                let answer = site.send("POST", &format!("/api/v1{path}"), &headers, dressed.as_bytes()).await;
                answer.expect_problem(422, "idempotency_mismatch", None);
            }
            let separator = if path.contains('?') { '&' } else { '?' };
            let other_query = format!("{path}{separator}dry_run=false");
            keyed(site, &other_query, &key, body).await.expect_problem(422, "idempotency_mismatch", None);
            let (other_path, its_body) = &posts[(number + 1) % posts.len()];
            keyed(site, other_path, &key, its_body).await.expect_problem(422, "idempotency_mismatch", None);
            assert_eq!(site.everything().await, before);
            let again = keyed(site, path, &key, body).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "the first answer is still kept: {again}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_refusal_frees_the_key() {
    on_every_store(Preset::Instant, async |site| {
        let web = site.cluster("web").await;
        let machine = site.machine("a").await;
        let new = json!({"name": "web", "region_code": "B"});
        keyed(site, "/clusters", "k1", &new).await.expect_problem(409, "name_taken", None);
        keyed(site, "/clusters", "k1", &json!({"name": "x", "region_code": "Z"})).await.expect(422);
        site.patch(&web, &json!({"name": "front"})).await.expect(200);
        let made = keyed(site, "/clusters", "k1", &new).await.expect(201);
        check_replay(&made, &keyed(site, "/clusters", "k1", &new).await);

        let same_name = json!({"name": "a", "cluster_name": "front"});
        keyed(site, "/machines", "k2", &same_name).await.expect_problem(409, "name_taken", None);
        let resume = format!("{machine}?action=RESIZE&machine_type=large");
        keyed(site, &resume, "k3", &Value::Null).await.expect_problem(409, "illegal_transition", None);
        site.operate(&machine, "STOP").await.expect(200);
        let resized = keyed(site, &resume, "k3", &Value::Null).await.expect(200);
        site.delete(&machine).await.expect(204);
        keyed(site, "/machines", "k2", &same_name).await.expect(201);
        // What it was about is gone; what was answered is not.
        check_replay(&resized, &keyed(site, &resume, "k3", &Value::Null).await);
    })
    .await;
}

#[actix_web::test]
async fn a_condition_that_fails_frees_the_key_too() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let path = format!("{}?action=STOP", site.machine("a").await);
    let ask = async |if_match: &str| {
        site.ask("POST", &path, &[("idempotency-key", "k"), ("if-match", if_match)], &Value::Null).await
    };
    ask("\"99\"").await.expect_problem(412, "version_mismatch", None);
    let stopped = ask("\"3\"").await.expect(200);
    check_replay(&stopped, &ask("\"3\"").await);
}

#[actix_web::test]
async fn a_dry_run_neither_uses_a_key_nor_is_one_kept_for_it() {
    let site = Site::memory(Preset::Instant).await;
    let body = json!({"name": "new", "region_code": "B"});
    for _ in 0..2 {
        let dry = keyed(&site, "/clusters?dry_run=true", "k", &body).await.expect(201);
        assert_eq!(dry.header("idempotency-replayed"), None);
    }
    let made = keyed(&site, "/clusters", "k", &body).await.expect(201);
    assert_eq!(made.header("idempotency-replayed"), None);
    keyed(&site, "/clusters?dry_run=true", "k", &body).await.expect_problem(409, "name_taken", None);
}

#[actix_web::test]
async fn an_answer_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(directory.path(), Preset::Realistic, START).await;
    let mut kept = Vec::new();
    for (number, (path, body)) in posts(&site).await.into_iter().enumerate() {
        site.wall.advance(HOUR);
        let key = format!("key-{number}");
        kept.push((keyed(&site, &path, &key, &body).await, path, key, body));
    }
    let before = site.everything().await;
    let wall = START + 5 * HOUR;
    site.store.close().await;
    drop(site);
    let site = Site::open(directory.path(), Preset::Realistic, wall).await;
    for (first, path, key, body) in &kept {
        check_replay(first, &keyed(&site, path, key, body).await);
        keyed(&site, &format!("{path}{}x=1", if path.contains('?') { '&' } else { '?' }), key, body).await.expect(400);
    }
    let after = site.everything().await;
    assert_eq!(after["clusters"], before["clusters"]);
    assert_eq!(after["machines"].as_array().map(Vec::len), before["machines"].as_array().map(Vec::len));
    site.store.close().await;
}

#[actix_web::test]
async fn an_answer_is_kept_for_a_day_of_wall_time() {
    on_every_store(Preset::Instant, async |site| {
        let body = json!({"name": "new", "region_code": "B"});
        let first = keyed(site, "/clusters", "k", &body).await.expect(201);
        site.wall.advance(24 * HOUR - 1);
        check_replay(&first, &keyed(site, "/clusters", "k", &body).await);
        site.wall.advance(1);
        keyed(site, "/clusters", "k", &body).await.expect_problem(409, "name_taken", None);
        // And the key can be used for something else.
        keyed(site, "/clusters", "k", &json!({"name": "other", "region_code": "B"})).await.expect(201);
    })
    .await;
}

#[actix_web::test]
async fn those_who_ask_at_once_get_one_answer() {
    on_every_store(Preset::Instant, async |site| {
        let (path, body) = posts(site).await.remove(1);
        let ask = || {
            let (site, path, body) = (site.clone(), path.clone(), body.clone());
            actix_web::rt::spawn(async move { keyed(&site, &path, "k", &body).await })
        };
        let asked: Vec<_> = (0..20).map(|_| ask()).collect();
        let mut made = 0;
        let mut texts = Vec::new();
        for answer in asked {
            let answer = answer.await.unwrap().expect(201);
            made += usize::from(answer.header("idempotency-replayed").is_none());
            texts.push(answer.text());
        }
        texts.dedup();
        assert_eq!((made, texts.len()), (1, 1));
    })
    .await;
}
