//! `dry_run`: the answer that a write would get, and no effect.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{HOUR, Site, on_every_store};
use crate::spec;

/// A request for each write that knows `dry_run`, in an order in which all can be carried out.
async fn writes(site: &Site) -> Vec<(&'static str, String, Value)> {
    let (cluster, empty) = (site.cluster("web").await, site.cluster("empty").await);
    let machine = site.machine("a").await;
    site.wall.advance(HOUR);
    let writes = vec![
        ("POST", "/clusters?".into(), json!({"name": "new", "region_code": "B"})),
        ("PATCH", format!("{cluster}?"), json!({"name": "front", "region_code": "C"})),
        ("DELETE", format!("{empty}?"), Value::Null),
        ("POST", "/machines?".into(), json!({"name": "b", "cluster_name": "front", "tags": ["x"]})),
        ("PATCH", format!("{machine}?"), json!({"name": "c", "tags": ["x"], "protection": {"stop": true}})),
        ("POST", format!("{machine}?action=SUSPEND&"), Value::Null),
        ("DELETE", format!("{machine}?"), Value::Null),
        (
            "POST",
            "/sim/v1/worlds/default/faults?".into(),
            json!({"on": {"operation": "CREATE"}, "effect": {"kind": "fail"}}),
        ),
        (
            "POST",
            "/sim/v1/worlds/default/schedule?".into(),
            json!({"kind": "MAINTENANCE_STOP", "not_before": "2099-01-01T00:00:00Z"}),
        ),
    ];
    let knows = |operation: &&spec::Operation| operation.has_query("dry_run");
    assert_eq!(writes.len(), spec::operations().iter().filter(knows).count(), "each write that knows dry_run");
    writes
}

/// Sends a request to the simulated cloud, or to whoever controls it.
async fn ask(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    match path.strip_prefix("/sim/v1") {
        Some(path) => site.simulate(method, path, body).await,
        None => site.ask(method, path, &[], body).await,
    }
}

#[actix_web::test]
async fn a_dry_run_gives_the_answer_and_has_no_effect() {
    for preset in [Preset::Instant, Preset::Realistic] {
        on_every_store(preset, async |site| {
            for (method, path, body) in writes(site).await {
                if preset == Preset::Realistic {
                    site.wall.advance(HOUR);
                }
                let before = site.everything().await;
                let dry = ask(site, method, &format!("{path}dry_run=true"), &body).await;
                assert_eq!(site.everything().await, before, "{method} {path}");
                let real = ask(site, method, &format!("{path}dry_run=false"), &body).await;
                assert!(real.status < 300, "{method} {path}: {real}");
                assert_ne!(site.everything().await, before, "{method} {path}");
                assert_eq!((dry.status, &dry.body), (real.status, &real.body), "{method} {path}");
                for header in ["etag", "location", "content-type"] {
                    assert_eq!(dry.header(header), real.header(header), "{method} {path}");
                }
            }
        })
        .await;
    }
}

#[actix_web::test]
async fn a_dry_run_is_refused_as_the_write_would_be() {
    let site = Site::memory(Preset::Instant).await;
    let cluster = site.cluster("web").await;
    let machine = site.machine("a").await;
    site.cluster("other").await;
    site.machine("b").await;
    let before = site.everything().await;
    for (method, path, body, status) in [
        ("POST", "/clusters?".into(), json!({"name": "web", "region_code": "A"}), 409),
        ("POST", "/clusters?".into(), json!({"name": "new", "region_code": "Z"}), 422),
        ("PATCH", format!("{cluster}?"), json!({"name": "other"}), 409),
        ("PATCH", format!("{cluster}?"), json!({"region_code": "Z"}), 422),
        ("DELETE", format!("{cluster}?"), Value::Null, 409),
        ("POST", "/machines?".into(), json!({"name": "a", "cluster_name": "web"}), 409),
        ("POST", "/machines?".into(), json!({"name": "c", "cluster_name": "nowhere"}), 422),
        ("POST", "/machines?".into(), json!({"name": "c", "cluster_name": "web", "machine_type": "huge"}), 422),
        ("PATCH", format!("{machine}?"), json!({"name": "b"}), 409),
        ("POST", format!("{machine}?action=RESIZE&machine_type=large&"), Value::Null, 409),
        ("DELETE", "/machines/0123456789abcdef01234567?".into(), Value::Null, 404),
    ] {
        let dry = site.ask(method, &format!("{path}dry_run=true"), &[], &body).await.expect(status).json();
        assert_eq!(site.everything().await, before, "{method} {path}");
        let real = site.ask(method, &path, &[], &body).await.expect(status).json();
        assert_eq!((&dry["code"], &dry["detail"]), (&real["code"], &real["detail"]), "{method} {path}");
    }
}
