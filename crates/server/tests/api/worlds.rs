//! Worlds over HTTP: made, listed, changed, copied, begun anew and deleted.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{Site, on_every_store};

/// Sends a request under the API of a world.
async fn ask(site: &Site, world: &str, method: &str, path: &str, body: &Value) -> Answer {
    let uri = format!("/worlds/{world}/api/v1{path}");
    if body.is_null() {
        return site.send(method, &uri, &[], &[]).await;
    }
    site.send(method, &uri, &[("content-type", "application/json")], body.to_string().as_bytes()).await
}

async fn post(site: &Site, path: &str, body: &Value) -> Answer {
    site.simulate("POST", path, body).await
}

async fn get(site: &Site, path: &str) -> Answer {
    site.simulate("GET", path, &Value::Null).await
}

/// Makes a machine in a world and returns its path.
async fn machine(site: &Site, world: &str, name: &str) -> String {
    let web = json!({"name": "web", "region_code": "A"});
    ask(site, world, "POST", "/clusters", &web).await;
    let new = json!({"name": name, "cluster_name": "web"});
    let made = ask(site, world, "POST", "/machines", &new).await.expect(201).json();
    format!("/machines/{}", made["id"].as_str().unwrap())
}

fn names(list: &Answer) -> Vec<String> {
    list.items().iter().map(|world| world["name"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
pub(crate) async fn a_world_is_made_and_read() {
    on_every_store(Preset::Instant, async |site| {
        let new = json!({"name": "a", "seed": 42, "start": "2031-02-03T04:05:06Z", "rate": 0.5, "preset": "flaky",
            "retention": "90s"});
        let made = post(site, "/worlds", &new).await.expect(201);
        assert_eq!(made.header("location"), Some("/sim/v1/worlds/a"));
        let shown = json!({"name": "a", "seed": 42, "preset": "flaky", "start": "2031-02-03T04:05:06.000Z",
            "retention": "1m30s", "now": "2031-02-03T04:05:06.000Z", "rate": 0.5, "version": 1});
        assert_eq!(made.json(), shown);
        assert_eq!(get(site, "/worlds/a").await.expect(200).json(), shown);
        // What is absent is chosen.
        let chosen = post(site, "/worlds", &json!({"name": "b"})).await.expect(201).json();
        assert_eq!((&chosen["rate"], &chosen["preset"]), (&json!(0.0), &json!("instant")));
        assert_eq!(chosen["now"], json!("2030-01-01T00:00:00.000Z"));
        assert!(chosen["seed"].is_u64() && chosen["seed"] != made.json()["seed"]);
        let list = get(site, "/worlds").await.expect(200);
        assert_eq!(names(&list), ["a", "b", "default"]);
        let first = get(site, "/worlds?page_size=2").await.expect(200);
        let token = first.json()["next_page_token"].as_str().unwrap().to_owned();
        let rest = get(site, &format!("/worlds?page_size=2&page_token={token}")).await.expect(200);
        assert_eq!((names(&first), names(&rest)), (vec!["a".into(), "b".into()], vec!["default".to_owned()]));
        for path in ["/worlds/nope", "/worlds/A", "/worlds/nope/clock", "/worlds/nope/behaviour"] {
            get(site, path).await.expect_problem(404, "no_such_world", None);
        }
    })
    .await;
}

#[actix_web::test]
async fn every_route_of_the_cloud_serves_every_world() {
    on_every_store(Preset::Instant, async |site| {
        post(site, "/worlds", &json!({"name": "other"})).await.expect(201);
        let path = machine(site, "other", "a").await;
        let read = ask(site, "other", "GET", &path, &Value::Null).await.expect(200);
        assert_eq!(read.header("x-world-now"), Some("2030-01-01T00:00:00.000Z"));
        site.get(&path).await.expect_problem(404, "no_such_machine", None);
        assert!(site.get("/clusters").await.items().is_empty());
        machine(site, "other", "b").await;
        let page = ask(site, "other", "GET", "/machines?page_size=1", &Value::Null).await.expect(200);
        let link = page.header("link").unwrap();
        assert!(link.starts_with("</worlds/other/api/v1/machines?"), "{link}");
        let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
        assert_eq!(site.send("GET", next, &[], &[]).await.expect(200).items().len(), 1);
        let made = ask(site, "other", "POST", "/clusters", &json!({"name": "db", "region_code": "A"})).await;
        assert!(made.header("location").unwrap().starts_with("/worlds/other/api/v1/clusters/"), "{made}");
        // Also on a problem, and in the world that has no prefix.
        let refused = ask(site, "other", "POST", "/clusters", &json!({"name": "db", "region_code": "A"})).await;
        refused.expect_problem(409, "name_taken", None);
        assert_eq!(refused.header("x-world-now"), Some("2030-01-01T00:00:00.000Z"));
        site.wall.advance(1_500);
        let constants = site.get("/site-constants").await.expect(200);
        assert_eq!(constants.header("x-world-now"), Some("2030-01-01T00:00:01.500Z"));
        assert_eq!(site.send("GET", "/livez", &[], &[]).await.header("x-world-now"), None);
        for world in ["nope", "A", "%20"] {
            ask(site, world, "GET", "/machines", &Value::Null).await.expect_problem(404, "no_such_world", None);
        }
        // A token of one world is none of another.
        let token = page.json()["next_page_token"].as_str().unwrap().to_owned();
        let elsewhere = site.get(&format!("/machines?page_size=1&page_token={token}")).await;
        elsewhere.expect_problem(400, "invalid_page_token", None);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_worlds_retention_is_changed() {
    on_every_store(Preset::Instant, async |site| {
        post(site, "/worlds", &json!({"name": "a"})).await.expect(201);
        let before = machine(site, "a", "before").await;
        ask(site, "a", "POST", &format!("{before}?action=TERMINATE"), &Value::Null).await.expect(200);
        let changed = site.simulate("PATCH", "/worlds/a", &json!({"retention": "1s"})).await.expect(200).json();
        assert_eq!((&changed["retention"], &changed["version"]), (&json!("1s"), &json!(2)));
        assert_eq!(changed["now"], json!("2030-01-01T00:00:00.001Z"), "the clock is where it holds");
        // The same again changes nothing.
        let same = site.simulate("PATCH", "/worlds/a", &json!({"retention": "1s"})).await.expect(200).json();
        assert_eq!(same, changed);
        let after = machine(site, "a", "after").await;
        ask(site, "a", "POST", &format!("{after}?action=TERMINATE"), &Value::Null).await.expect(200);
        post(site, "/worlds/a/clock/advance", &json!({"by": "1s"})).await.expect(200);
        ask(site, "a", "GET", &before, &Value::Null).await.expect(200);
        ask(site, "a", "GET", &after, &Value::Null).await.expect(404);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_fork_goes_its_own_way() {
    on_every_store(Preset::Instant, async |site| {
        post(site, "/worlds", &json!({"name": "a", "seed": 1, "preset": "realistic"})).await.expect(201);
        let path = machine(site, "a", "m").await;
        post(site, "/worlds/a/clock/advance", &json!({"by": "5s"})).await.expect(200);
        let made = post(site, "/worlds/a/fork", &json!({"name": "b"})).await.expect(201);
        assert_eq!(made.header("location"), Some("/sim/v1/worlds/b"));
        assert_eq!((&made.json()["seed"], &made.json()["now"]), (&json!(1), &json!("2030-01-01T00:00:05.000Z")));
        let reseeded = post(site, "/worlds/a/fork", &json!({"name": "c", "seed": 2})).await.expect(201).json();
        assert_eq!(reseeded["seed"], json!(2));
        // The same future, each in its own time.
        let seen = async |world| ask(site, world, "GET", &path, &Value::Null).await.expect(200).json();
        assert_eq!(seen("a").await, seen("b").await);
        post(site, "/worlds/b/clock/advance", &json!({"by": "1h"})).await.expect(200);
        assert_eq!(
            (seen("a").await["state"].clone(), seen("b").await["state"].clone()),
            (json!("PROVISIONING"), json!("RUNNING"))
        );
        post(site, "/worlds/a/clock/advance", &json!({"by": "1h"})).await.expect(200);
        assert_eq!(seen("a").await, seen("b").await);
        ask(site, "b", "POST", &format!("{path}?action=TERMINATE"), &Value::Null).await.expect(202);
        assert_eq!(seen("a").await["state"], json!("RUNNING"));
        post(site, "/worlds/a/fork", &json!({"name": "b"})).await.expect_problem(409, "name_taken", None);
        post(site, "/worlds/nope/fork", &json!({"name": "d"})).await.expect_problem(404, "no_such_world", None);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_world_begins_anew() {
    on_every_store(Preset::Instant, async |site| {
        let new = json!({"name": "a", "seed": 42, "preset": "realistic", "rate": 2.0, "retention": "5m"});
        let first = post(site, "/worlds", &new).await.expect(201);
        let (first, etag) = (first.json(), first.etag().to_owned());
        let path = machine(site, "a", "m").await;
        post(site, "/worlds/a/clock/advance", &json!({"by": "1h"})).await.expect(200);
        site.simulate("PATCH", "/worlds/a/clock", &json!({"rate": 0})).await.expect(200);
        site.simulate("PATCH", "/worlds/a", &json!({"retention": "1s"})).await.expect(200);
        let behaviour = get(site, "/presets").await.expect(200).items()[0]["behaviour"].clone();
        site.simulate("PUT", "/worlds/a/behaviour", &behaviour).await.expect(200);
        let anew = post(site, "/worlds/a/reset", &Value::Null).await.expect(200).json();
        assert_eq!(anew, first);
        let known = [("if-none-match", etag.as_str())];
        assert_ne!(site.send("GET", "/sim/v1/worlds/a", &known, &[]).await.expect(200).etag(), etag);
        ask(site, "a", "GET", &path, &Value::Null).await.expect_problem(404, "no_such_machine", None);
        assert_ne!(get(site, "/worlds/a/behaviour").await.expect(200).json(), behaviour);
        // The same again gives the same ids.
        assert_eq!(machine(site, "a", "m").await, path);
        post(site, "/worlds/default/reset", &Value::Null).await.expect(200);
        post(site, "/worlds/nope/reset", &Value::Null).await.expect_problem(404, "no_such_world", None);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn a_deleted_world_is_gone() {
    on_every_store(Preset::Instant, async |site| {
        post(site, "/worlds", &json!({"name": "a"})).await.expect(201);
        let path = machine(site, "a", "m").await;
        site.simulate("DELETE", "/worlds/a", &Value::Null).await.expect(204);
        get(site, "/worlds/a").await.expect_problem(404, "no_such_world", None);
        ask(site, "a", "GET", &path, &Value::Null).await.expect_problem(404, "no_such_world", None);
        site.simulate("DELETE", "/worlds/a", &Value::Null).await.expect_problem(404, "no_such_world", None);
        site.simulate("DELETE", "/worlds/default", &Value::Null).await.expect_problem(409, "default_world", None);
        assert_eq!(names(&get(site, "/worlds").await), ["default"]);
        post(site, "/worlds", &json!({"name": "a"})).await.expect(201);
        assert!(ask(site, "a", "GET", "/machines", &Value::Null).await.expect(200).items().is_empty());
    })
    .await;
}

#[actix_web::test]
async fn a_repeated_request_makes_one_world() {
    on_every_store(Preset::Instant, async |site| {
        let keyed = async |path: &str, key: &str, body: &Value| {
            let headers = [("idempotency-key", key), ("content-type", "application/json")];
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
            site.send("POST", &format!("/sim/v1{path}"), headers, body.as_bytes()).await
        };
        let replayed = |answer: &Answer| answer.header("idempotency-replayed") == Some("true");
        let new = json!({"name": "a"});
        let first = keyed("/worlds", "k1", &new).await.expect(201);
        let again = keyed("/worlds", "k1", &new).await.expect(201);
        assert_eq!((again.json(), replayed(&first), replayed(&again)), (first.json(), false, true));
        keyed("/worlds", "k2", &new).await.expect_problem(409, "name_taken", None);
        let other = json!({"name": "a", "seed": 1});
        keyed("/worlds", "k1", &other).await.expect_problem(422, "idempotency_mismatch", None);

        let fork = json!({"name": "b"});
        let first = keyed("/worlds/a/fork", "k3", &fork).await.expect(201);
        let again = keyed("/worlds/a/fork", "k3", &fork).await.expect(201);
        assert_eq!((again.json(), replayed(&again)), (first.json(), true));

        keyed("/worlds/a/reset", "k4", &Value::Null).await.expect(200);
        machine(site, "a", "m").await;
        assert!(replayed(&keyed("/worlds/a/reset", "k4", &Value::Null).await.expect(200)));
        assert_eq!(ask(site, "a", "GET", "/machines", &Value::Null).await.items().len(), 1, "it was reset once");
        keyed("/worlds/a/reset", "k5", &Value::Null).await.expect(200);
        assert!(ask(site, "a", "GET", "/machines", &Value::Null).await.items().is_empty());
    })
    .await;
}
