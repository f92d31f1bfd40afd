//! ETag, If-Match and If-None-Match over HTTP.

use cloudm_domain::Preset;
use serde_json::json;

use crate::inside::Inside;

#[test]
fn an_etag_shows_the_version_that_the_write_of_what_is_due_will_have() {
    let inside = Inside::new(Preset::Realistic);
    inside.client.create_cluster();
    let path = format!("/machines/{}", inside.client.create_machine("web-1"));
    inside.pass("10m");
    let seen = inside.client.get(&path);
    inside.settle();
    let written = inside.client.get(&path);
    assert_eq!((seen.header("etag"), seen.json()), (written.header("etag"), written.json()));
    assert_eq!(seen.header("etag"), "\"3.1\"");
}

#[test]
fn what_is_known_is_not_sent_again() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    client.create_cluster();
    let machine = client.create_machine("web-1");
    let cluster = client.machine(&machine)["cluster_id"].as_str().unwrap().to_owned();
    for path in [format!("/machines/{machine}"), format!("/clusters/{cluster}")] {
        let etag = client.get(&path).header("etag").to_owned();
        let asked = |tag: &str| client.send("GET", &path, &[("if-none-match", tag)], None);
        for tag in [etag.as_str(), "*", &format!("W/{etag}"), &format!("\"0\", {etag}")] {
            let known = asked(tag);
            assert_eq!((known.status, known.header("etag"), known.text.as_str()), (304, etag.as_str(), ""), "{tag}");
        }
        assert_eq!(asked("\"99\"").status, 200);
    }
    let tag = client.get(&format!("/machines/{machine}")).header("etag").to_owned();
    client.send("PATCH", &format!("/clusters/{cluster}"), &[], Some(&json!({"name": "db"})));
    let shown = client.send("GET", &format!("/machines/{machine}"), &[("if-none-match", &tag)], None);
    assert_eq!((shown.status, shown.json()["cluster_name"].clone()), (200, json!("db")), "the name it shows changed");
}

#[test]
fn every_write_of_one_resource_may_depend_on_its_version() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    client.create_cluster();
    let machine = client.create_machine("web-1");
    let cluster = format!("/clusters/{}", client.machine(&machine)["cluster_id"].as_str().unwrap());
    let machine = format!("/machines/{machine}");
    let tags = json!({"tags": ["x"]});
    let name = json!({"name": "db"});
    let stop = format!("{machine}?action=STOP");
    // Method, path, body, a version it has not, the one it has, and what it is answered with then.
    let writes = [
        ("PATCH", &machine, Some(&tags), "\"2\"", "\"3.1\"", 200),
        ("POST", &stop, None, "\"3.1\"", "\"4\"", 200),
        ("PATCH", &cluster, Some(&name), "\"2\"", "\"1\"", 200),
        ("DELETE", &machine, None, "W/\"6\"", "\"1\", \"6.9\"", 204),
        ("DELETE", &cluster, None, "\"1\"", "*", 204),
    ];
    for (method, path, body, wrong, right, status) in writes {
        let refused = client.send(method, path, &[("if-match", wrong)], body);
        assert_eq!(
            (refused.status, refused.json()["code"].clone()),
            (412, json!("version_mismatch")),
            "{method} {path}"
        );
        assert!(refused.json()["version"].is_u64());
        assert_eq!(client.send(method, path, &[("if-match", right)], body).status, status, "{method} {path}");
    }
}
