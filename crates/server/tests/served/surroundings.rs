//! What surrounds the API: request ids, HEAD, health, documentation.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::inside::Inside;

fn get(inside: &Inside, path: &str) -> Answer {
    inside.client.raw("GET", path, &[], "").unwrap()
}

#[test]
fn every_answer_has_an_id_that_is_the_clients_where_it_is_safe() {
    let inside = Inside::new(Preset::Instant);
    let mut made = Vec::new();
    for path in ["/api/v1/machines", "/api/v1/nope", "/api/v1/machines/x", "/livez", "/", "/apidocs/", "/openapi.json"]
    {
        let id = get(&inside, path).header("x-request-id").to_owned();
        assert!(!id.is_empty() && !made.contains(&id), "{path}");
        made.push(id);
        let given = inside.client.raw("GET", path, &[("x-request-id", "mine.1_2-3")], "").unwrap();
        assert_eq!(given.header("x-request-id"), "mine.1_2-3", "{path}");
        let unsafe_one = inside.client.raw("GET", path, &[("x-request-id", "a b\"c")], "").unwrap();
        assert_ne!(unsafe_one.header("x-request-id"), "a b\"c", "{path}");
    }
}

#[test]
fn head_is_get_without_its_body() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let id = inside.client.create_machine("web-1");
    let machine = format!("/api/v1/machines/{id}");
    for path in
        ["/api/v1/machines", "/api/v1/site-constants", "/livez", "/openapi.json", "/apidocs/", "/nope", &machine]
    {
        let head = inside.client.raw("HEAD", path, &[], "").unwrap();
        let get = get(&inside, path);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{path} {name}");
        }
    }
}

#[test]
fn a_draining_server_lives_and_is_not_ready() {
    let inside = Inside::new(Preset::Instant);
    let statuses = || ["/livez", "/readyz", "/healthz"].map(|path| get(&inside, path).status);
    assert_eq!(statuses(), [200, 200, 200]);
    inside.api.drain();
    assert_eq!(statuses(), [200, 503, 503]);
    let refused = get(&inside, "/readyz");
    assert_eq!((refused.json()["code"].clone(), refused.header("retry-after")), (json!("not_ready"), "1"));
    assert_eq!(get(&inside, "/api/v1/machines").status, 200, "what comes all the same is answered");
}

#[test]
fn the_documentation_is_served_from_the_binary() {
    let inside = Inside::new(Preset::Instant);
    for path in ["/", "/apidocs"] {
        let there = get(&inside, path);
        assert_eq!((there.status, there.header("location")), (307, "/apidocs/"), "{path}");
    }
    let page = get(&inside, "/apidocs/");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text.contains("//unpkg") && !page.text.contains("https://"), "it needs no other host");
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-initializer.js"]
    {
        assert!(page.text.contains(asset), "{asset}");
        assert_eq!(get(&inside, &format!("/apidocs/{asset}")).status, 200, "{asset}");
    }
    assert!(get(&inside, "/apidocs/swagger-initializer.js").text.contains("/openapi.json"));
    assert_eq!(get(&inside, "/apidocs/nope.js").json()["code"], "no_such_path");
    let description: Value = get(&inside, "/openapi.json").json();
    assert_eq!(description, serde_json::from_str::<Value>(&cloudm_http_actix::openapi_json()).unwrap());
}

#[test]
fn the_catalogue_is_told() {
    let inside = Inside::new(Preset::Instant);
    let constants = |kind: &str| get(&inside, &format!("/api/v1/site-constants?constant={kind}")).json();
    let regions = constants("region");
    let codes: Vec<_> = regions["values"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.starts_with(&["A", "B", "C", "D", "E", "F"]), "{codes:?}");
    assert_eq!(constants("machine_state")["values"].as_array().unwrap().len(), 15);
    assert_eq!(constants("machine_operation")["values"].as_array().unwrap().len(), 7);
    let types = constants("machine_type");
    assert!(types["values"].as_array().unwrap().len() >= 8);
    for one in types["values"].as_array().unwrap() {
        for field in ["vcpus", "memory_mib", "price_per_hour_micros"] {
            assert!(one[field].as_u64().is_some_and(|number| number > 0), "{one}");
        }
    }
    let all = get(&inside, "/api/v1/site-constants").json();
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
    assert_eq!(all["items"][0], regions);
}
