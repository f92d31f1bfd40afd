//! Clusters: made, read, listed, changed, deleted.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{START_TEXT, Site, on_every_store};

#[actix_web::test]
pub(crate) async fn a_cluster_is_made_and_read() {
    on_every_store(Preset::Instant, async |site| {
        let made = site.post("/clusters", &json!({"name": "web", "region_code": "A"})).await.expect(201);
        let cluster = made.json();
        let id = cluster["id"].as_str().unwrap();
        assert_eq!(
            cluster,
            json!({"id": id, "name": "web", "region_code": "A", "version": 1,
                "created_at": START_TEXT, "updated_at": START_TEXT})
        );
        assert!(id.len() == 24 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert_eq!((made.etag(), made.header("location")), ("\"1\"", Some(&*format!("/api/v1/clusters/{id}"))));
        let read = site.send("GET", made.header("location").unwrap(), &[], &[]).await.expect(200);
        assert_eq!((read.json(), read.etag()), (cluster.clone(), "\"1\""));
        assert_eq!(site.get("/clusters").await.expect(200).items(), [cluster]);
    })
    .await;
}

#[actix_web::test]
async fn clusters_are_listed_by_region_and_name_in_any_order() {
    let site = Site::memory(Preset::Instant).await;
    assert_eq!(site.get("/clusters").await.expect(200).json(), json!({"items": []}));
    for (name, region) in [("web-2", "A"), ("db", "B"), ("web-1", "C"), ("Web-3", "A"), ("web-1.a", "B")] {
        site.post("/clusters", &json!({"name": name, "region_code": region})).await.expect(201);
        site.wall.advance(1000);
    }
    for (query, expected) in [
        ("", vec!["web-2", "db", "web-1", "Web-3", "web-1.a"]),
        ("order_by=-created_at", vec!["web-1.a", "Web-3", "web-1", "db", "web-2"]),
        ("order_by=name", vec!["Web-3", "db", "web-1", "web-1.a", "web-2"]),
        ("order_by=-name", vec!["web-2", "web-1.a", "web-1", "db", "Web-3"]),
        ("region=A", vec!["web-2", "Web-3"]),
        ("region=B,C&order_by=name", vec!["db", "web-1", "web-1.a"]),
        ("region=B&region=C&name=web*", vec!["web-1", "web-1.a"]),
        ("name=web-1", vec!["web-1"]),
        ("name=*", vec!["web-2", "db", "web-1", "Web-3", "web-1.a"]),
        ("name=web-1*&order_by=-name", vec!["web-1.a", "web-1"]),
        ("region=H", vec![]),
    ] {
        for page_size in [1, 2, 1000] {
            let items = site.walk(&format!("/clusters?page_size={page_size}&{query}")).await;
            let names: Vec<_> = items.iter().map(|cluster| cluster["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{query}");
        }
    }
}

#[actix_web::test]
pub(crate) async fn a_cluster_is_changed_and_what_stays_is_no_change() {
    on_every_store(Preset::Instant, async |site| {
        let path = site.cluster("web").await;
        site.wall.advance(1000);
        let same = site.patch(&path, &json!({"name": "web", "region_code": "A"})).await.expect(200);
        assert_eq!((same.etag(), &same.json()["updated_at"]), ("\"1\"", &json!(START_TEXT)));
        assert_eq!(site.patch(&path, &json!({})).await.expect(200).json(), same.json());
        let renamed = site.patch(&path, &json!({"name": "front"})).await.expect(200);
        assert_eq!(renamed.etag(), "\"2\"");
        assert_eq!((&renamed.json()["name"], &renamed.json()["region_code"]), (&json!("front"), &json!("A")));
        let moved = site.merge_patch(&path, &json!({"region_code": "B"})).await.expect(200);
        let mut expected = renamed.json();
        expected["region_code"] = json!("B");
        expected["version"] = json!(3);
        assert_eq!(moved.json(), expected);
        assert_eq!(site.get(&path).await.expect(200).json(), expected);
        // The old name is free.
        site.cluster("web").await;
    })
    .await;
}

#[actix_web::test]
async fn its_machines_show_its_new_name_and_region() {
    on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        let path = site.machine("a").await;
        let before = site.get(&path).await;
        site.patch(&cluster, &json!({"name": "front", "region_code": "C"})).await.expect(200);
        let after = site.get(&path).await.expect(200);
        let mut expected = before.json();
        expected["cluster_name"] = json!("front");
        expected["region_code"] = json!("C");
        assert_eq!(after.json(), expected, "its version and the rest are as they were");
        assert_ne!(after.etag(), before.etag());
        let known = [("if-none-match", before.etag())];
        site.ask("GET", &path, &known, &Value::Null).await.expect(200);
        let listed = |query: &'static str| async move { site.get(&format!("/machines?{query}")).await.items() };
        for query in ["cluster=front", "region=C", "cluster=front&region=C,A&name=a*"] {
            assert_eq!(listed(query).await, std::slice::from_ref(&expected), "{query}");
        }
        for query in ["cluster=web", "region=A"] {
            assert_eq!(listed(query).await, Vec::<Value>::new(), "{query}");
        }
        let in_old = site.post("/machines", &json!({"name": "b", "cluster_name": "web"})).await;
        in_old.expect_problem(422, "unknown_cluster", None);
        site.post("/machines", &json!({"name": "b", "cluster_name": "front"})).await.expect(201);
        // A condition on the machine is about the machine itself.
        site.ask("PATCH", &path, &[("if-match", before.etag())], &json!({"tags": ["x"]})).await.expect(200);
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn only_an_empty_cluster_is_deleted() {
    on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        let machine = site.machine("a").await;
        site.delete(&cluster).await.expect_problem(409, "cluster_not_empty", None);
        site.delete(&machine).await.expect(204);
        assert!(site.delete(&cluster).await.expect(204).body.is_empty());
        site.delete(&cluster).await.expect_problem(404, "no_such_cluster", None);
        site.get(&cluster).await.expect_problem(404, "no_such_cluster", None);
        site.patch(&cluster, &json!({})).await.expect_problem(404, "no_such_cluster", None);
        assert_ne!(site.cluster("web").await, cluster, "an id is never used again");
    })
    .await;
}

#[actix_web::test]
async fn a_cluster_is_empty_at_the_instant_its_last_machine_ends() {
    for dry_run_first in [false, true] {
        let site = Site::memory(Preset::Realistic).await;
        let cluster = site.cluster("web").await;
        let (deleted, terminated) = (site.machine("a").await, site.machine("b").await);
        let due = site.delete(&deleted).await.expect(202).json()["transition"]["due_at"].clone();
        let other = site.operate(&terminated, "TERMINATE").await.expect(202).json()["transition"]["due_at"].clone();
        let last = if due.as_str() > other.as_str() { due } else { other };
        site.go_just_before(&last);
        site.delete(&cluster).await.expect_problem(409, "cluster_not_empty", None);
        site.go_to(&last);
        if dry_run_first {
            site.delete(&format!("{cluster}?dry_run=true")).await.expect(204);
        }
        site.delete(&cluster).await.expect(204);
        // The record of the TERMINATED machine went with its cluster; its history did not.
        site.get(&terminated).await.expect_problem(404, "no_such_machine", None);
        assert_eq!(site.walk("/machines?state=TERMINATED").await, Vec::<Value>::new());
        let events = site.walk("/events").await;
        assert_eq!(events.iter().filter(|event| event["state"] == "TERMINATED").count(), 2);
    }
}
