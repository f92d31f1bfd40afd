//! Clusters over HTTP.

use cloudm_domain::Preset;
use serde_json::json;

use crate::inside::Inside;

#[test]
fn a_cluster_is_made_read_moved_and_deleted() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    let made = client.post("/clusters", &json!({"name": "web", "region_code": "A"}));
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    let location = made.header("location").to_owned();
    assert_eq!(location, format!("/api/v1/clusters/{}", made.json()["id"].as_str().unwrap()));
    assert_eq!(made.json()["created_at"], "2030-01-01T00:00:00.000Z");

    let read = client.raw("GET", &location, &[], "").unwrap();
    assert_eq!((read.status, read.json()), (200, made.json()));

    inside.pass("5s");
    let path = location.trim_start_matches("/api/v1").to_owned();
    let moved = client.send("PATCH", &path, &[], Some(&json!({"name": "db", "region_code": "B"}))).json();
    assert_eq!((&moved["name"], &moved["region_code"], &moved["version"]), (&json!("db"), &json!("B"), &json!(2)));
    assert_eq!(moved["updated_at"], "2030-01-01T00:00:05.000Z");
    let unchanged = client.send("PATCH", &path, &[], Some(&json!({"name": "db"}))).json();
    assert_eq!(unchanged, moved);

    assert_eq!(client.send("DELETE", &path, &[], None).status, 204);
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(client.get("/clusters").json()["items"], json!([]));
}

#[test]
fn machines_go_with_their_cluster() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    client.create_cluster();
    let id = client.create_machine("web-1");
    let before = client.machine(&id);
    let path = format!("/clusters/{}", before["cluster_id"].as_str().unwrap());
    client.send("PATCH", &path, &[], Some(&json!({"name": "db", "region_code": "F"})));
    let after = client.machine(&id);
    assert_eq!((&after["cluster_name"], &after["region_code"]), (&json!("db"), &json!("F")));
    assert_eq!(after["version"], before["version"]);
    for (query, found) in [("region=F", 1), ("region=A", 0), ("cluster=db", 1), ("cluster=web", 0)] {
        let list = client.get(&format!("/machines?{query}")).json();
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
}

#[test]
fn only_a_cluster_without_machines_is_deleted() {
    let inside = Inside::new(Preset::Realistic);
    let client = &inside.client;
    client.create_cluster();
    let id = client.create_machine("web-1");
    let path = format!("/clusters/{}", client.machine(&id)["cluster_id"].as_str().unwrap());
    let delete = |query: &str| client.send("DELETE", &format!("{path}{query}"), &[], None);
    assert_eq!(delete("").json()["code"], "cluster_not_empty");
    assert_eq!(client.send("POST", &format!("/machines/{id}?action=TERMINATE"), &[], None).status, 202);
    assert_eq!(delete("?dry_run=true").status, 409);
    // Once its end is due it counts as ended, settler or not.
    inside.pass("10m");
    assert_eq!(delete("?dry_run=true").status, 204);
    assert_eq!(client.machine(&id)["state"], "TERMINATED");
    assert_eq!(delete("").status, 204);
    assert_eq!(client.get(&format!("/machines/{id}")).status, 404, "its record went with its cluster");
    assert_eq!(client.get("/machines?state=TERMINATED").json()["items"], json!([]));
}

#[test]
fn a_name_is_free_again_with_another_id() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let made = client.post("/clusters", &json!({"name": "web", "region_code": "A"}));
        assert_eq!(made.status, 201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(client.send("DELETE", &format!("/clusters/{id}"), &[], None).status, 204);
        assert!(!ids.contains(&id), "no id is used twice, also within a second");
        ids.push(id);
    }
}

#[test]
fn a_world_has_a_thousand_clusters_at_most() {
    let inside = Inside::new(Preset::Instant);
    for number in 0..1000 {
        let made = inside.client.post("/clusters", &json!({"name": format!("c-{number}"), "region_code": "A"}));
        assert_eq!(made.status, 201, "{made:?}");
    }
    let one_more = json!({"name": "one-more", "region_code": "A"});
    for path in ["/clusters", "/clusters?dry_run=true"] {
        let refused = inside.client.post(path, &one_more);
        assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("too_many_clusters")));
    }
}
