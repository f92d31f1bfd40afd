//! What a client would prefer: to wait for what takes time, or not to.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

/// Asks something of the world `a`, whose clock stands still.
async fn ask(site: &Site, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let uri = format!("/worlds/a/api/v1{path}");
    if body.is_null() {
        return site.send(method, &uri, headers, &[]).await;
    }
    let headers = [headers, &[("content-type", "application/json")]].concat();
    site.send(method, &uri, &headers, body.to_string().as_bytes()).await
}

/// Makes that world, with the cluster `web`.
async fn furnish(site: &Site) {
    let new = json!({"name": "a", "seed": 42, "preset": "realistic"});
    site.simulate("POST", "/worlds", &new).await.expect(201);
    ask(site, "POST", "/clusters", &[], &json!({"name": "web", "region_code": "A"})).await.expect(201);
}

async fn advance(site: &Site) {
    site.simulate("POST", "/worlds/a/clock/advance", &json!({"by": "1h"})).await.expect(200);
}

/// Asks, and moves the clock when what was asked is under way: as soon as it has left its mark.
async fn ask_and_advance(site: &Site, (method, path): (&'static str, String), body: Value) -> Answer {
    let events = async || ask(site, "GET", "/events?page_size=1000", &[], &Value::Null).await.items().len();
    let before = events().await;
    let asking = {
        let site = site.clone();
        let prefer = [("prefer", "wait=60")];
        actix_web::rt::spawn(async move { ask(&site, method, &path, &prefer, &body).await })
    };
    while events().await == before {
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    advance(site).await;
    asking.await.unwrap()
}

#[actix_web::test]
async fn a_machine_is_waited_for_until_it_is_at_rest() {
    on_every_store(Preset::Instant, async |site| {
        furnish(site).await;
        let new = json!({"name": "m", "cluster_name": "web"});
        let made = ask_and_advance(site, ("POST", "/machines".into()), new).await.expect(201);
        assert_eq!(made.header("preference-applied"), Some("wait=60"));
        let machine = format!("/machines/{}", made.json()["id"].as_str().unwrap());
        let read = ask(site, "GET", &machine, &[], &Value::Null).await.expect(200);
        assert_eq!((made.json(), made.etag()), (read.json(), read.etag()));
        assert_eq!(made.json()["state"], json!("RUNNING"));
        assert!(made.header("location").unwrap().ends_with(&machine));

        let stop = ("POST", format!("{machine}?action=STOP"));
        let stopped = ask_and_advance(site, stop, Value::Null).await.expect(200);
        assert_eq!(stopped.json()["state"], json!("STOPPED"));
        let gone = ask_and_advance(site, ("DELETE", machine), Value::Null).await.expect(204);
        assert_eq!(gone.header("preference-applied"), Some("wait=60"));
    })
    .await;
}

#[actix_web::test]
async fn a_wait_that_is_over_answers_with_what_is() {
    on_every_store(Preset::Instant, async |site| {
        furnish(site).await;
        let new = json!({"name": "m", "cluster_name": "web"});
        let now = [("prefer", "wait=0")];
        let made = ask(site, "POST", "/machines", &now, &new).await.expect(201);
        assert_eq!(
            (&made.json()["state"], made.header("preference-applied")),
            (&json!("PROVISIONING"), Some("wait=0"))
        );
        let machine = format!("/machines/{}", made.json()["id"].as_str().unwrap());
        advance(site).await;
        let stopping = ask(site, "POST", &format!("{machine}?action=STOP"), &now, &Value::Null).await.expect(202);
        assert_eq!(stopping.json()["state"], json!("STOPPING"));
        let going = ask(site, "DELETE", &machine, &now, &Value::Null).await.expect(202);
        assert_eq!(going.json()["state"], json!("TERMINATING"));
    })
    .await;
}

#[actix_web::test]
async fn nobody_waits_for_what_has_no_effect_or_is_answered_again() {
    let site = Site::memory(Preset::Instant).await;
    furnish(&site).await;
    let new = json!({"name": "m", "cluster_name": "web"});
    // Each would take ten minutes.
    let wait = ("prefer", "wait=600");
    let dry = ask(&site, "POST", "/machines?dry_run=true", &[wait], &new).await.expect(201);
    assert_eq!(dry.header("preference-applied"), None);
    let key = ("idempotency-key", "k");
    let first = ask(&site, "POST", "/machines", &[key], &new).await.expect(201);
    let again = ask(&site, "POST", "/machines", &[key, wait], &new).await.expect(201);
    assert_eq!((again.text(), again.header("preference-applied")), (first.text(), None));
    let machine = format!("/machines/{}", first.json()["id"].as_str().unwrap());
    ask(&site, "DELETE", &format!("{machine}?dry_run=true"), &[wait], &Value::Null).await.expect(202);
    // What is refused is refused at once.
    let refused = ask(&site, "POST", &format!("{machine}?action=STOP"), &[wait], &Value::Null).await;
    refused.expect_problem(409, "operation_in_progress", None);
    // A preference that is unknown, or does nothing here, is passed over.
    for prefer in ["respond-async", "wait=soon", "handling=strict; foo=\"wait=600\"", ""] {
        let asked = ask(&site, "DELETE", &machine, &[("prefer", prefer)], &Value::Null).await.expect(202);
        assert_eq!(asked.header("preference-applied"), None, "{prefer}");
    }
}

#[actix_web::test]
async fn a_fleet_operation_is_waited_for_or_not() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let create = |name: &str, count: usize| {
            json!({"kind": "CREATE", "count": count, "template": {"name": format!("{name}-{{n}}"), "cluster_name": "web"}})
        };
        let ask = async |prefer: &str, body: &Value| site.ask("POST", "/operations", &[("prefer", prefer)], body).await;
        let later = ask("respond-async", &create("a", 2)).await.expect(202);
        assert_eq!((&later.json()["state"], later.header("preference-applied")), (&json!("PENDING"), Some("respond-async")));
        assert!(later.header("location").is_some());
        // Nobody works on it yet, so that the wait is over before it ends.
        let over = ask("respond-async, wait=0", &create("b", 200)).await.expect(202);
        assert_eq!(over.header("preference-applied"), Some("respond-async, wait=0"));
        let _background = site.background();
        let waited = ask("wait=100", &create("c", 200)).await.expect(200);
        assert_eq!((&waited.json()["state"], waited.header("preference-applied")), (&json!("SUCCEEDED"), Some("wait=100")));
        assert_eq!(ask("wait=9999", &create("d", 1)).await.expect(200).header("preference-applied"), Some("wait=600"));
        for earlier in [later, over] {
            let path = format!("/operations/{}", earlier.json()["id"].as_str().unwrap());
            assert_eq!(site.get(&format!("{path}/wait")).await.expect(200).json()["state"], json!("SUCCEEDED"));
        }
        let web = site.get("/clusters").await.items()[0]["id"].as_str().unwrap().to_owned();
        let prefer = [("prefer", "wait=100")];
        let deleted = site.ask("DELETE", &format!("/clusters/{web}?cascade=true"), &prefer, &Value::Null).await.expect(200);
        assert_eq!((&deleted.json()["state"], deleted.header("preference-applied")), (&json!("SUCCEEDED"), Some("wait=100")));
    })
    .await;
}
