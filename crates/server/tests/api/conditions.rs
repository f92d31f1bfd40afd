//! Conditional requests: ETag, If-None-Match, If-Match.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{Site, on_every_store};
use crate::spec;

#[actix_web::test]
async fn who_has_it_already_is_told_so() {
    on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        let machine = site.machine("a").await;
        for path in [cluster, machine] {
            let read = site.get(&path).await;
            let etag = read.etag().to_owned();
            let ask = |method: &'static str, known: String| {
                let path = path.clone();
                async move { site.ask(method, &path, &[("if-none-match", &known)], &Value::Null).await }
            };
            for known in
                [etag.clone(), format!("W/{etag}"), etag.trim_matches('"').into(), format!("\"x\", {etag}"), "*".into()]
            {
                for method in ["GET", "HEAD"] {
                    let answer = ask(method, known.clone()).await.expect(304);
                    assert_eq!((answer.etag(), answer.body.len()), (&*etag, 0), "{known}");
                }
            }
            for other in ["\"999\"", "\"3\", \"1.2\"", "\"\""] {
                assert_eq!(ask("GET", other.into()).await.expect(200).json(), read.json(), "{other}");
            }
            let name = json!({"name": "new"});
            site.patch(&path, &name).await.expect(200);
            let changed = ask("GET", etag.clone()).await.expect(200);
            assert_ne!(changed.etag(), etag);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_tag_changes_with_what_is_due_though_nothing_was_written() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let made = site.get(&path).await;
    let known = [("if-none-match", made.etag())];
    site.go_just_before(&made.json()["transition"]["due_at"]);
    site.ask("GET", &path, &known, &Value::Null).await.expect(304);
    site.go_to(&made.json()["transition"]["due_at"]);
    assert_eq!(site.ask("GET", &path, &known, &Value::Null).await.expect(200).etag(), "\"2.1\"");
    let stale = site.ask("PATCH", &path, &[("if-match", made.etag())], &json!({"tags": ["x"]})).await;
    stale.expect_problem(412, "version_mismatch", None);
    assert_eq!(stale.json()["version"], 2);
}

/// The writes that know If-Match, each with a request that would change something.
async fn conditional_writes(site: &Site) -> Vec<(&'static str, String, Value)> {
    let cluster = site.cluster("empty").await;
    let machine = site.machine("a").await;
    let other = site.machine("b").await;
    let writes = vec![
        ("PATCH", cluster.clone(), json!({"name": "new"})),
        ("DELETE", cluster, Value::Null),
        ("PATCH", machine.clone(), json!({"name": "new"})),
        ("POST", format!("{machine}?action=STOP"), Value::Null),
        ("DELETE", other, Value::Null),
    ];
    let knows = |operation: &&spec::Operation| operation.has_header("If-Match");
    assert_eq!(writes.len(), spec::operations().iter().filter(knows).count(), "each write that knows If-Match");
    writes
}

#[actix_web::test]
async fn a_write_is_carried_out_on_the_version_it_names_only() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        for (method, path, body) in conditional_writes(site).await {
            let (resource, _) = path.split_once('?').unwrap_or((&path, ""));
            let read = site.get(resource).await;
            let weak = format!("W/{}", read.etag());
            let before = site.everything().await;
            for other in ["\"999\"", "\"999\", \"x\", \"0\"", "\"\"", &weak] {
                let refused = site.ask(method, &path, &[("if-match", other)], &body).await;
                refused.expect_problem(412, "version_mismatch", None);
                assert_eq!(refused.json()["version"], read.json()["version"]);
                assert_eq!(site.everything().await, before, "{method} {path}");
            }
            let (version, _) = read.etag().split_once('.').unwrap_or((read.etag(), ""));
            let version = format!("\"999\", {}\"", version.trim_end_matches('"'));
            let separator = if path.contains('?') { '&' } else { '?' };
            let dry_run = format!("{path}{separator}dry_run=true");
            for matching in [read.etag(), read.etag().trim_matches('"'), &version, "*"] {
                let answer = site.ask(method, &dry_run, &[("if-match", matching)], &body).await;
                assert!(answer.status < 300, "{method} {path} {matching}: {answer}");
            }
            let answer = site.ask(method, &path, &[("if-match", read.etag())], &body).await;
            assert!(answer.status < 300, "{method} {path}: {answer}");
            assert_ne!(site.everything().await, before);
            // Whoever comes second on the same version is refused.
            let second = site.ask(method, &path, &[("if-match", read.etag())], &body).await;
            assert!([404, 412].contains(&second.status), "{method} {path}: {second}");
        }
    })
    .await;
}

#[actix_web::test]
async fn no_condition_makes_a_resource_exist() {
    let site = Site::memory(Preset::Instant).await;
    for path in ["/clusters/0123456789abcdef01234567", "/machines/0123456789abcdef01234567"] {
        site.ask("DELETE", path, &[("if-match", "*")], &Value::Null).await.expect(404);
        site.ask("GET", path, &[("if-none-match", "*")], &Value::Null).await.expect(404);
    }
}
