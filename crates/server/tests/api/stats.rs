//! Counts of machines: what is counted is what is listed.

use cloudm_domain::{MachineState, Preset};
use serde_json::{Map, Value, json};

use crate::site::{HOUR, START_TEXT, Site, on_every_store};

async fn count(site: &Site, selector: &str) -> u64 {
    site.walk(&format!("/machines?page_size=1000&{selector}")).await.len() as u64
}

/// The stats, made of lists.
async fn counted(site: &Site) -> Value {
    let states: Vec<_> = MachineState::ALL.iter().map(|state| state.code()).collect();
    let by = async |field: &str, values: &[&str]| {
        let mut counts = Map::new();
        for value in values {
            let count = count(site, &format!("{field}={value}")).await;
            if count > 0 {
                counts.insert((*value).to_owned(), count.into());
            }
        }
        Value::Object(counts)
    };
    let mut clusters = Vec::new();
    for cluster in site.walk("/clusters").await {
        let machines = count(site, &format!("cluster={}", cluster["id"].as_str().unwrap())).await;
        if machines > 0 {
            clusters.push(json!({"id": cluster["id"], "name": cluster["name"], "region_code": cluster["region_code"],
                "machines": machines}));
        }
    }
    clusters.sort_unstable_by_key(|cluster| cluster["id"].as_str().unwrap().to_owned());
    json!({
        "machines": count(site, "").await,
        "states": by("state", &states).await,
        "regions": by("region", &["A", "B", "C", "D"]).await,
        "clusters": clusters,
        "machine_types": by("machine_type", &["small", "medium", "large"]).await,
    })
}

async fn check(site: &Site) -> Value {
    let mut stats = site.get("/stats").await.expect(200).json();
    let as_of = stats.as_object_mut().unwrap().remove("as_of").unwrap();
    assert_eq!(stats, counted(site).await);
    assert_eq!(site.get("/stats").await.json()["as_of"], as_of);
    stats
}

#[actix_web::test]
pub(crate) async fn what_is_counted_is_what_is_listed() {
    on_every_store(Preset::Realistic, async |site| {
        let nothing = json!({"as_of": START_TEXT, "machines": 0, "states": {}, "regions": {}, "clusters": [],
            "machine_types": {}});
        assert_eq!(site.get("/stats").await.expect(200).json(), nothing);
        let mut clusters = Vec::new();
        for (name, region) in [("web", "A"), ("db", "B"), ("cache", "A"), ("empty", "D")] {
            let made = site.post("/clusters", &json!({"name": name, "region_code": region})).await.expect(201);
            clusters.push(format!("/clusters/{}", made.json()["id"].as_str().unwrap()));
        }
        let mut paths = Vec::new();
        for number in 0..24_usize {
            let cluster = ["web", "db", "cache", "web"][number % 4];
            let machine_type = ["small", "large", "medium"][number % 3];
            let body = json!({"name": format!("m-{number}"), "cluster_name": cluster, "machine_type": machine_type,
                "start": number % 5 != 0});
            paths.push(site.machine_of(&body).await);
        }
        assert_eq!(check(site).await["states"], json!({"PROVISIONING": 24}));
        site.wall.advance(20_000);
        check(site).await;
        site.wall.advance(HOUR);
        assert_eq!(check(site).await["machines"], json!(24));
        for (path, action) in paths.iter().zip(["STOP", "TERMINATE", "SUSPEND", "REBOOT"].iter().cycle()) {
            site.operate(path, action).await;
        }
        check(site).await;
        site.wall.advance(30 * 60_000);
        let stats = check(site).await;
        assert!(stats["states"]["TERMINATED"].as_u64() > Some(3), "{stats}");
        site.patch(&clusters[0], &json!({"name": "front", "region_code": "C"})).await.expect(200);
        site.delete(&paths[2]).await.expect(202);
        check(site).await;
        // TERMINATED machines are forgotten by and by.
        site.wall.advance(2 * HOUR);
        assert_eq!(check(site).await["states"].get("TERMINATED"), None);
        let resize = json!({"kind": "RESIZE", "selector": {"state": "STOPPED"}, "machine_type": "small"});
        site.start(&resize).await.expect(200);
        check(site).await;
        site.wall.advance(HOUR);
        check(site).await;
    })
    .await;
}

#[actix_web::test]
async fn each_world_has_its_own_counts() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        site.machine("a").await;
        site.simulate("POST", "/worlds/default/fork", &json!({"name": "copy"})).await.expect(201);
        site.machine("b").await;
        let machines = async |root: &str| {
            site.send("GET", &format!("{root}/stats"), &[], &[]).await.expect(200).json()["machines"].clone()
        };
        assert_eq!((machines("/api/v1").await, machines("/worlds/copy/api/v1").await), (json!(2), json!(1)));
        let snapshot = site.simulate("GET", "/worlds/default/snapshot", &Value::Null).await.expect(200).body;
        let ndjson = [("content-type", "application/x-ndjson")];
        site.send("PUT", "/sim/v1/worlds/read/snapshot", &ndjson, &snapshot).await.expect(201);
        assert_eq!(machines("/worlds/read/api/v1").await, json!(2));
        site.simulate("POST", "/worlds/default/reset", &Value::Null).await.expect(200);
        assert_eq!(machines("/api/v1").await, json!(0));
    })
    .await;
}
