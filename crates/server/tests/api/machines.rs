//! Machines: made, read, changed.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{START_TEXT, Site, on_every_store};

#[actix_web::test]
pub(crate) async fn a_machine_is_made_and_read() {
    on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        let made = site.post("/machines", &json!({"name": "a", "cluster_name": "web"})).await.expect(201);
        let machine = made.json();
        let id = machine["id"].as_str().unwrap();
        assert_eq!(
            machine,
            json!({
                "id": id, "name": "a", "cluster_id": cluster.replace("/clusters/", ""), "cluster_name": "web",
                "region_code": "A", "machine_type": "small", "ip_address": machine["ip_address"], "tags": [],
                "state": "RUNNING", "state_changed_at": START_TEXT,
                "allowed_operations": ["STOP", "REBOOT", "SUSPEND", "TERMINATE"],
                "protection": {"stop": false, "terminate": false}, "version": 3,
                "created_at": START_TEXT, "updated_at": START_TEXT,
            }),
            "what is absent is left out"
        );
        assert!(machine["ip_address"].as_str().unwrap().starts_with("10."));
        assert_eq!((made.etag(), made.header("location")), ("\"3.1\"", Some(&*format!("/api/v1/machines/{id}"))));
        let read = site.send("GET", made.header("location").unwrap(), &[], &[]).await.expect(200);
        assert_eq!((read.json(), read.etag()), (machine, made.etag()));
    })
    .await;
}

#[actix_web::test]
async fn a_machine_is_made_as_it_is_asked_for() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let asked = json!({
        "name": "a", "cluster_name": "web", "tags": ["b", "a", "team:x"], "machine_type": "memory-large",
        "start": false, "protection": {"stop": true},
    });
    let machine = site.post("/machines", &asked).await.expect(201).json();
    assert_eq!(machine["state"], "STOPPED");
    assert_eq!(machine["version"], 2);
    assert_eq!(machine["machine_type"], "memory-large");
    assert_eq!(machine["protection"], json!({"stop": true, "terminate": false}));
    let mut tags: Vec<_> = machine["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["a", "b", "team:x"]);
    let most: Vec<_> = (0..50).map(|number| format!("{number:0>128}")).collect();
    let asked = json!({"name": "n".repeat(63), "cluster_name": "web", "tags": most, "start": true});
    assert_eq!(site.post("/machines", &asked).await.expect(201).json()["tags"].as_array().unwrap().len(), 50);
}

#[actix_web::test]
async fn a_name_is_unique_in_its_cluster_and_free_once_the_machine_ended() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        site.cluster("db").await;
        let mut ids = vec![site.machine("a").await];
        site.post("/machines", &json!({"name": "a", "cluster_name": "web"})).await.expect_problem(
            409,
            "name_taken",
            None,
        );
        ids.push(site.machine_of(&json!({"name": "a", "cluster_name": "db"})).await);
        ids.push(site.machine("A").await);
        for _ in 0..3 {
            site.delete(&ids[0]).await.expect(204);
            ids.insert(0, site.machine("a").await);
        }
        site.operate(&ids[0], "TERMINATE").await.expect(200);
        ids.push(site.machine("a").await);
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is never used again");
    })
    .await;
}

#[actix_web::test]
async fn a_machine_comes_up_in_its_time() {
    for settler in [false, true] {
        let site = Site::memory(Preset::Realistic).await;
        site.cluster("web").await;
        let made = site.post("/machines", &json!({"name": "a", "cluster_name": "web"})).await.expect(201).json();
        let path = format!("/machines/{}", made["id"].as_str().unwrap());
        assert_eq!((&made["state"], &made["version"]), (&json!("PROVISIONING"), &json!(1)));
        let transition = &made["transition"];
        assert_eq!((&transition["operation"], &transition["to"]), (&json!("CREATE"), &json!("RUNNING")));
        assert_eq!((&transition["started_at"], transition.get("from")), (&json!(START_TEXT), None));
        let mut due = transition["due_at"].clone();
        for (before, after) in [("PROVISIONING", "STARTING"), ("STARTING", "RUNNING")] {
            site.go_just_before(&due);
            assert_eq!(site.state(&path).await, before);
            site.go_to(&due);
            if settler {
                assert!(site.cloud.settler.run_once().await.unwrap());
            }
            let machine = site.get(&path).await.expect(200).json();
            assert_eq!((&machine["state"], &machine["state_changed_at"]), (&json!(after), &due));
            due = machine["transition"]["due_at"].clone();
        }
        let running = site.get(&path).await.json();
        assert_eq!((running.get("transition"), &running["version"]), (None, &json!(3)));
    }
}

#[actix_web::test]
pub(crate) async fn a_machine_is_changed_by_a_merge_patch() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let path = site.machine("a").await;
        let mut version = 3;
        let cases = [
            // What is sent, what it is then, whether that is a change.
            (json!({"tags": ["x", "y"]}), json!({"tags": ["x", "y"]}), true),
            (json!({"tags": ["x", "y"]}), json!({}), false),
            (json!({}), json!({}), false),
            (json!({"name": "b"}), json!({"name": "b", "tags": ["x", "y"]}), true),
            (json!({"tags": null}), json!({"tags": []}), true),
            (json!({"tags": []}), json!({"tags": []}), false),
            (json!({"protection": {"stop": true}}), json!({"protection": {"stop": true, "terminate": false}}), true),
            (
                json!({"protection": {"terminate": true}}),
                json!({"protection": {"stop": true, "terminate": true}}),
                true,
            ),
            (json!({"protection": {}}), json!({"protection": {"stop": true, "terminate": true}}), false),
            (json!({"protection": {"stop": null}}), json!({"protection": {"stop": false, "terminate": true}}), true),
            (json!({"protection": null}), json!({"protection": {"stop": false, "terminate": false}}), true),
            (json!({"protection": null}), json!({}), false),
            (
                json!({"name": "c", "tags": ["z"], "protection": {"stop": true}}),
                json!({"name": "c", "tags": ["z"], "protection": {"stop": true, "terminate": false}}),
                true,
            ),
        ];
        for (patch, expected, changes) in cases {
            site.wall.advance(1000);
            let before = site.get(&path).await.json();
            // It is one under either name.
            let tried = site.merge_patch(&format!("{path}?dry_run=true"), &patch).await.expect(200);
            assert_eq!(site.get(&path).await.json(), before, "{patch}");
            let answer = site.patch(&path, &patch).await.expect(200);
            assert_eq!(tried.json(), answer.json());
            version += u64::from(changes);
            let after = answer.json();
            assert_eq!(after["version"], version, "{patch}: what changes is one event");
            assert_eq!(after["updated_at"] == before["updated_at"], !changes, "{patch}");
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(&after[field], value, "{patch}");
            }
            assert_eq!(site.get(&path).await.json(), after);
            assert_eq!(answer.etag(), format!("\"{version}.1\""));
        }
        // The name it had is free.
        site.machine("a").await;
    })
    .await;
}

#[actix_web::test]
async fn a_patch_moves_nothing_that_is_due() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    let before = site.get(&path).await.json();
    site.wall.advance(1000);
    let after = site.patch(&path, &json!({"name": "b", "tags": ["x"]})).await.expect(200).json();
    assert_eq!((&after["state"], &after["transition"]), (&before["state"], &before["transition"]));
}

#[actix_web::test]
async fn a_rename_takes_a_free_name_only() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let (a, b) = (site.machine("a").await, site.machine("b").await);
    let before = site.everything().await;
    site.patch(&a, &json!({"name": "b"})).await.expect_problem(409, "name_taken", None);
    assert_eq!(site.everything().await, before);
    let due: Value = site.delete(&b).await.expect(202).json()["transition"]["due_at"].clone();
    site.go_just_before(&due);
    site.patch(&a, &json!({"name": "b"})).await.expect_problem(409, "name_taken", None);
    site.go_to(&due);
    let before = site.everything().await;
    site.patch(&format!("{a}?dry_run=true"), &json!({"name": "b"})).await.expect(200);
    assert_eq!(site.everything().await, before);
    assert_eq!(site.patch(&a, &json!({"name": "b"})).await.expect(200).json()["name"], "b");
}
