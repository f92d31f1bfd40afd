//! Fleet operations: one request over many machines, each of which is decided on its own.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{START_TEXT, Site, on_every_store};

/// More machines than are decided before the answer.
const MANY: usize = 300;

fn path_of(operation: &Answer) -> String {
    format!("/operations/{}", operation.json()["id"].as_str().unwrap())
}

/// The progress of an operation that decided so many machines like this.
fn progress(done: usize, unchanged: usize, rejected: usize) -> Value {
    json!({"matched": done + unchanged + rejected, "done": done, "unchanged": unchanged, "rejected": rejected})
}

/// Makes machines `name-1`, `name-2`, … in the cluster `web`.
async fn make(site: &Site, name: &str, count: usize) {
    let template = json!({"name": format!("{name}-{{n}}"), "cluster_name": "web"});
    let made = site.start(&json!({"kind": "CREATE", "count": count, "template": template})).await.expect(200);
    assert_eq!(made.json()["progress"], progress(count, 0, 0));
}

/// The names of the machines that a selector selects, in order.
async fn names(site: &Site, selector: &str) -> Vec<String> {
    let machines = site.walk(&format!("/machines?order_by=name&{selector}")).await;
    machines.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
pub(crate) async fn a_fleet_is_made_and_told() {
    on_every_store(Preset::Instant, async |site| {
        let web = site.cluster("web").await;
        let template = json!({"name": "web-{n}.a", "cluster_name": "web", "tags": ["x"], "machine_type": "large",
            "start": false, "protection": {"stop": true}});
        let made = site.start(&json!({"kind": "create", "count": 3, "template": template})).await.expect(200);
        assert_eq!(made.header("location"), None);
        let told = made.json();
        let expected = json!({
            "id": told["id"], "kind": "CREATE", "count": 3,
            "template": {"name": "web-{n}.a", "cluster_id": web.replace("/clusters/", ""), "tags": ["x"],
                "machine_type": "large", "start": false, "protection": {"stop": true, "terminate": false}},
            "state": "SUCCEEDED", "progress": progress(3, 0, 0), "created_at": START_TEXT, "finished_at": START_TEXT,
        });
        assert_eq!(told, expected);
        assert_eq!(site.get(&path_of(&made)).await.expect(200).json(), told);

        let machines = site.walk("/machines").await;
        let of = |field: &str| machines.iter().map(|machine| machine[field].clone()).collect::<Vec<_>>();
        assert_eq!(of("name"), ["web-1.a", "web-2.a", "web-3.a"]);
        for machine in &machines {
            assert_eq!((&machine["state"], &machine["machine_type"]), (&json!("STOPPED"), &json!("large")));
            assert_eq!((&machine["tags"], &machine["protection"]["stop"]), (&json!(["x"]), &json!(true)));
        }
        let results = site.walk(&format!("{}/results?page_size=2", path_of(&made))).await;
        let result = |machine: &Value| json!({"machine_id": machine["id"], "name": machine["name"], "outcome": "DONE"});
        assert_eq!(results, machines.iter().map(result).collect::<Vec<_>>());

        let second = site.start(&json!({"kind": "STOP", "all": true})).await.expect(200);
        assert_eq!(site.walk("/operations").await, [second.json(), told]);
    })
    .await;
}

#[actix_web::test]
async fn each_kind_does_what_the_operation_does() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        make(site, "m", 4).await;
        let some = json!({"name": "m-*"});
        for (kind, state) in [
            ("STOP", "STOPPED"),
            ("START", "RUNNING"),
            ("Suspend", "SUSPENDED"),
            ("resume", "RUNNING"),
            ("REBOOT", "RUNNING"),
            ("STOP", "STOPPED"),
        ] {
            let told = site.start(&json!({"kind": kind, "selector": some})).await.expect(200).json();
            assert_eq!((&told["state"], &told["progress"]), (&json!("SUCCEEDED"), &progress(4, 0, 0)), "{told}");
            assert_eq!((&told["selector"], &told["force"]), (&some, &json!(false)));
            assert_eq!(names(site, &format!("state={state}")).await.len(), 4, "{kind}");
        }
        let resize = json!({"kind": "RESIZE", "all": true, "machine_type": "large"});
        let told = site.start(&resize).await.expect(200).json();
        assert_eq!((&told["all"], &told["machine_type"]), (&json!(true), &json!("large")));
        assert_eq!((told.get("selector"), &told["progress"]), (None, &progress(4, 0, 0)));
        let tag = json!({"kind": "TAG", "selector": {"name": "m-*"}, "add_tags": ["x", "y"]});
        site.start(&tag).await.expect(200);
        let tag = json!({"kind": "TAG", "selector": {"tag": ["x", "y"]}, "add_tags": ["z"], "remove_tags": ["x", "q"]});
        let told = site.start(&tag).await.expect(200).json();
        assert_eq!((&told["add_tags"], &told["remove_tags"]), (&json!(["z"]), &json!(["x", "q"])));
        assert!(site.walk("/machines").await.iter().all(|machine| machine["tags"] == json!(["y", "z"])));
        assert_eq!(site.start(&tag).await.json()["progress"], progress(0, 0, 0), "none has x any more");
        let terminate = json!({"kind": "TERMINATE", "selector": {"name": "m-1"}, "force": true});
        assert_eq!(site.start(&terminate).await.expect(200).json()["force"], json!(true));
        assert_eq!(names(site, "").await, ["m-2", "m-3", "m-4"]);
    })
    .await;
}

#[actix_web::test]
async fn each_machine_is_decided_on_its_own_and_refusals_stand_first() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let machine = async |name: &str, more: Value| {
            let mut body = json!({"name": name, "cluster_name": "web"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            site.machine_of(&body).await.replace("/machines/", "")
        };
        let running = machine("a", json!({})).await;
        let stopped = machine("b", json!({"start": false})).await;
        let protected = machine("c", json!({"protection": {"stop": true}})).await;
        let suspended = machine("d", json!({})).await;
        site.operate(&format!("/machines/{suspended}"), "SUSPEND").await.expect(200);

        let reboot = site.start(&json!({"kind": "REBOOT", "all": true})).await.expect(200);
        assert_eq!((&reboot.json()["state"], &reboot.json()["progress"]), (&json!("PARTIAL"), &progress(2, 0, 2)));
        let stop = site.start(&json!({"kind": "STOP", "all": true, "force": true})).await.expect(200);
        assert_eq!((&stop.json()["state"], &stop.json()["progress"]), (&json!("PARTIAL"), &progress(2, 1, 1)));
        for (operation, refused, code) in
            [(reboot, vec![&stopped, &suspended], "illegal_transition"), (stop, vec![&protected], "protected")]
        {
            let results = site.walk(&format!("{}/results?page_size=1", path_of(&operation))).await;
            let (refusals, others) = results.split_at(refused.len());
            let ids = |results: &[Value]| {
                results.iter().map(|one| one["machine_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let mut expected: Vec<_> = refused.into_iter().cloned().collect();
            expected.sort_unstable();
            assert_eq!(ids(refusals), expected);
            assert!(refusals.iter().all(|one| one["outcome"] == "REJECTED" && one["code"] == code), "{results:?}");
            assert!(others.iter().all(|one| one["outcome"] != "REJECTED" && one.get("code").is_none()), "{results:?}");
            assert!(ids(others).is_sorted() && results.len() == 4, "{results:?}");
        }
        assert_eq!(names(site, "state=STOPPED").await, ["a", "b", "d"]);
        let _ = running;
        let all_refuse = site.start(&json!({"kind": "STOP", "selector": {"name": "c"}})).await.expect(200).json();
        assert_eq!((&all_refuse["state"], &all_refuse["progress"]), (&json!("FAILED"), &progress(0, 0, 1)));
        let nobody = site.start(&json!({"kind": "STOP", "selector": {"cluster": "nobody"}})).await.expect(200).json();
        assert_eq!((&nobody["state"], &nobody["progress"]), (&json!("SUCCEEDED"), &progress(0, 0, 0)));
    })
    .await;
}

#[actix_web::test]
async fn a_machine_whose_name_is_taken_is_not_made() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        site.machine("m-2").await;
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let create = json!({"kind": "CREATE", "count": 3, "template": template});
        let made = site.start(&create).await.expect(200);
        assert_eq!((&made.json()["state"], &made.json()["progress"]), (&json!("PARTIAL"), &progress(2, 0, 1)));
        let results = site.walk(&format!("{}/results", path_of(&made))).await;
        assert_eq!((&results[0]["name"], &results[0]["code"]), (&json!("m-2"), &json!("name_taken")));
        assert_eq!((&results[1]["name"], &results[2]["name"]), (&json!("m-1"), &json!("m-3")));
        let again = site.start(&create).await.expect(200).json();
        assert_eq!((&again["state"], &again["progress"]), (&json!("FAILED"), &progress(0, 0, 3)));
        assert_eq!(names(site, "").await, ["m-1", "m-2", "m-3"]);
        // One machine needs no number.
        let one = json!({"kind": "CREATE", "count": 1, "template": {"name": "alone", "cluster_name": "web"}});
        site.start(&one).await.expect(200);
        assert_eq!(names(site, "name=alone").await, ["alone"]);
    })
    .await;
}

#[actix_web::test]
async fn a_large_fleet_is_told_where_it_is_and_waited_for() {
    on_every_store(Preset::Instant, async |site| {
        let _background = site.background();
        site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42})).await.expect(201);
        let json = [("content-type", "application/json")];
        let post = async |path: &str, body: Value| {
            site.send("POST", &format!("/worlds/a/api/v1{path}"), &json, body.to_string().as_bytes()).await
        };
        post("/clusters", json!({"name": "web", "region_code": "A"})).await.expect(201);
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let started =
            post("/operations", json!({"kind": "CREATE", "count": MANY, "template": template})).await.expect(202);
        let location = started.header("location").unwrap().to_owned();
        assert_eq!(location, format!("/worlds/a/api/v1{}", path_of(&started)));
        let wait = async |location: &str| {
            site.send("GET", &format!("{location}/wait?timeout=120s"), &[], &[]).await.expect(200).json()
        };
        let made = wait(&location).await;
        assert_eq!((&made["state"], &made["progress"]), (&json!("SUCCEEDED"), &progress(MANY, 0, 0)));
        // More than are decided in the answer, so that it says how far it is.
        let stop = post("/operations", json!({"kind": "STOP", "all": true})).await.expect(202);
        let ended = wait(stop.header("location").unwrap()).await;
        assert_eq!((&ended["state"], &ended["progress"]), (&json!("SUCCEEDED"), &progress(MANY, 0, 0)));
        let (mut results, mut link) = (Vec::new(), format!("{location}/results?page_size=70"));
        loop {
            let page = site.send("GET", &link, &[], &[]).await.expect(200);
            results.extend(page.items().into_iter().map(|one| one["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.header("link") else { break };
            link = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        let expected: Vec<_> = (1..=MANY).map(|number| format!("m-{number}")).collect();
        assert_eq!(results, expected, "each once, in the order of ids");
        let stats = site.send("GET", "/worlds/a/api/v1/stats", &[], &[]).await.expect(200).json();
        assert_eq!(stats["states"], json!({ "STOPPED": MANY }));
    })
    .await;
}

#[actix_web::test]
pub(crate) async fn an_operation_is_cancelled() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        make(site, "m", 3).await;
        // Nobody works on it here.
        let stop = json!({"kind": "STOP", "all": true});
        let started = site.ask("POST", "/operations", &[("prefer", "respond-async")], &stop).await.expect(202);
        assert_eq!(started.json()["state"], json!("PENDING"));
        let path = path_of(&started);
        let late = site.get(&format!("{path}/wait?timeout=10ms")).await;
        late.expect_problem(409, "wait_timeout", None);
        assert_eq!(late.json()["state"], json!("PENDING"));
        let cancelled = site.delete(&path).await.expect(200).json();
        assert_eq!((&cancelled["state"], &cancelled["progress"]), (&json!("CANCELLED"), &progress(0, 0, 0)));
        assert!(cancelled["finished_at"].is_string());
        for again in [site.delete(&path).await, site.get(&path).await, site.get(&format!("{path}/wait")).await] {
            assert_eq!(again.expect(200).json(), cancelled);
        }
        assert_eq!(site.get(&format!("{path}/results")).await.expect(200).items(), Vec::<Value>::new());
        let _background = site.background();
        site.get(&format!("{}/wait", path_of(&site.start(&stop).await))).await.expect(200);
        assert_eq!(site.get(&path).await.json(), cancelled);
        // What has ended stays as it is.
        let ended = site.start(&json!({"kind": "START", "all": true})).await.expect(200);
        assert_eq!(site.delete(&path_of(&ended)).await.expect(200).json(), ended.json());
    })
    .await;
}

#[actix_web::test]
async fn a_key_has_one_operation_which_is_told_as_it_is_now() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        make(site, "m", 2).await;
        let ask = async |key: &str, prefer: &str, body: &Value| {
            site.ask("POST", "/operations", &[("idempotency-key", key), ("prefer", prefer)], body).await
        };
        let stop = json!({"kind": "STOP", "all": true});
        let first = ask("k", "", &stop).await.expect(200);
        assert_eq!(first.header("idempotency-replayed"), None);
        site.start(&json!({"kind": "START", "all": true})).await.expect(200);
        let again = ask("k", "", &stop).await.expect(200);
        assert_eq!((again.json(), again.header("idempotency-replayed")), (first.json(), Some("true")));
        assert_eq!(names(site, "state=RUNNING").await.len(), 2, "it has one effect");
        let other = json!({"kind": "STOP", "selector": {"name": "m-1"}});
        ask("k", "", &other).await.expect_problem(422, "idempotency_mismatch", None);

        let pending = ask("later", "respond-async", &stop).await.expect(202);
        let seen = ask("later", "respond-async", &stop).await.expect(202);
        assert_eq!((seen.json(), seen.header("location")), (pending.json(), pending.header("location")));
        let cancelled = site.delete(&path_of(&pending)).await.expect(200).json();
        assert_eq!(ask("later", "", &stop).await.expect(200).json(), cancelled);
        // A refusal frees the key.
        ask("free", "", &json!({"kind": "STOP"})).await.expect_problem(422, "selector_needed", None);
        ask("free", "", &stop).await.expect(200);
        assert_eq!(site.walk("/operations").await.len(), 5);
    })
    .await;
}

#[actix_web::test]
async fn the_progress_of_an_operation_is_streamed_up_to_its_end() {
    on_every_store(Preset::Instant, async |site| {
        let _background = site.background();
        site.cluster("web").await;
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let started = site.start(&json!({"kind": "CREATE", "count": MANY, "template": template})).await.expect(202);
        let path = path_of(&started);
        let stream = [("accept", "text/event-stream")];
        let streamed = site.ask("GET", &path, &stream, &Value::Null).await.expect(200);
        assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
        let text = streamed.text();
        let messages: Vec<_> = text.split("\n\n").filter(|message| !message.is_empty()).collect();
        let told = |message: &str| {
            let data = message.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            serde_json::from_str::<Value>(data).unwrap()
        };
        let (end, progress) = messages.split_last().unwrap();
        assert_eq!(*end, "event: end\ndata: {\"code\":\"ended\"}");
        assert!(progress.iter().all(|message| message.contains("event: progress\n")), "{text}");
        let matched = |message: &&str| told(message)["progress"]["matched"].as_u64().unwrap();
        assert!(progress.iter().map(matched).is_sorted(), "{text}");
        let last = told(progress.last().unwrap());
        assert_eq!(last, site.get(&path).await.json());
        assert_eq!(last["state"], json!("SUCCEEDED"));
        // Of one that has ended, the end.
        let ended = site.ask("GET", &path, &stream, &Value::Null).await.expect(200).text();
        assert_eq!(ended.matches("event: ").count(), 2, "{ended}");
        let unknown = site.ask("GET", "/operations/0123456789abcdef01234567", &stream, &Value::Null).await;
        unknown.expect_problem(404, "no_such_operation", None);
    })
    .await;
}

#[actix_web::test]
async fn an_advance_waits_for_what_is_under_way() {
    on_every_store(Preset::Instant, async |site| {
        let _background = site.background();
        site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42, "preset": "realistic"})).await.expect(201);
        let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
        let post = async |path: &str, body: Value| {
            site.send("POST", &format!("/worlds/a/api/v1{path}"), &headers, body.to_string().as_bytes()).await
        };
        post("/clusters", json!({"name": "web", "region_code": "A"})).await.expect(201);
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let started =
            post("/operations", json!({"kind": "CREATE", "count": MANY, "template": template})).await.expect(202);
        site.simulate("POST", "/worlds/a/clock/advance", &json!({"by": "1h"})).await.expect(200);
        let ended = site.send("GET", started.header("location").unwrap(), &[], &[]).await.expect(200).json();
        assert_eq!((&ended["state"], &ended["created_at"]), (&json!("SUCCEEDED"), &ended["finished_at"]));
    })
    .await;
}

#[actix_web::test]
async fn a_request_that_makes_no_sense_is_refused_whole() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    make(&site, "m", 2).await;
    let all = |kind: &str, more: Value| {
        let mut body = json!({"kind": kind, "all": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let template = |field: &str, value: Value| {
        let mut template = json!({"name": "x-{n}", "cluster_name": "web"});
        template[field] = value;
        json!({"kind": "CREATE", "count": 2, "template": template})
    };
    let count =
        |count: Value| json!({"kind": "CREATE", "count": count, "template": {"name": "x-{n}", "cluster_name": "web"}});
    let many: Vec<_> = (0..51).map(|number| format!("t{number}")).collect();
    let cases = [
        (json!({"kind": "EXPLODE", "all": true}), "unknown_kind", "/kind"),
        (json!({"kind": "", "all": true}), "unknown_kind", "/kind"),
        (json!({"kind": "DELETE_CLUSTER", "all": true}), "unknown_kind", "/kind"),
        (json!({"kind": "STOP"}), "selector_needed", "/selector"),
        (json!({"kind": "STOP", "all": false}), "selector_needed", "/selector"),
        (json!({"kind": "STOP", "selector": {}}), "selector_needed", "/selector"),
        (json!({"kind": "STOP", "selector": {}, "all": true}), "selector_needed", "/all"),
        (json!({"kind": "STOP", "selector": {"name": "m-1"}, "all": true}), "selector_needed", "/all"),
        (json!({"kind": "STOP", "selector": {"state": []}}), "invalid_value", "/selector/state"),
        (json!({"kind": "STOP", "selector": {"state": ["UP"]}}), "invalid_value", "/selector/state/0"),
        (json!({"kind": "STOP", "selector": {"clutser": "web"}}), "unknown_field", "/selector/clutser"),
        (json!({"kind": "STOP", "selector": {"tag": 7}}), "wrong_type", "/selector/tag"),
        (json!({"kind": "STOP", "selector": {"name": null}}), "wrong_type", "/selector/name"),
        (all("STOP", json!({"count": 2})), "invalid_value", "/count"),
        (all("STOP", json!({"machine_type": "large"})), "invalid_value", "/machine_type"),
        (all("STOP", json!({"add_tags": ["x"]})), "invalid_value", "/add_tags"),
        (all("RESIZE", json!({})), "missing_field", "/machine_type"),
        (all("RESIZE", json!({"machine_type": "a b"})), "invalid_value", "/machine_type"),
        (all("RESIZE", json!({"machine_type": "huge"})), "unknown_machine_type", ""),
        (all("TAG", json!({})), "missing_field", "/add_tags"),
        (all("TAG", json!({"add_tags": [], "remove_tags": []})), "missing_field", "/add_tags"),
        (all("TAG", json!({"add_tags": many})), "invalid_tags", "/add_tags"),
        (all("TAG", json!({"remove_tags": ["x", "a b"]})), "invalid_tags", "/remove_tags/1"),
        (all("TAG", json!({"add_tags": ["x", "x"]})), "invalid_tags", "/add_tags"),
        (all("TAG", json!({"add_tags": ["x"], "remove_tags": ["y", "x"]})), "invalid_tags", "/remove_tags/1"),
        (all("TAG", json!({"add_tags": ["x"], "force": true})), "invalid_value", "/force"),
        (all("CREATE", json!({})), "invalid_value", "/all"),
        (json!({"kind": "CREATE", "count": 2}), "missing_field", "/template"),
        (json!({"kind": "CREATE", "template": {"name": "x", "cluster_name": "web"}}), "missing_field", "/count"),
        (count(json!(0)), "invalid_value", "/count"),
        (count(json!(1_000_001)), "invalid_value", "/count"),
        (count(json!(-1)), "invalid_value", "/count"),
        (count(json!(1.5)), "wrong_type", "/count"),
        (count(json!("2")), "wrong_type", "/count"),
        (template("name", json!("x")), "invalid_name", "/template/name"),
        (template("name", json!("x {n}")), "invalid_name", "/template/name"),
        (template("name", json!("{n}{n}")), "invalid_name", "/template/name"),
        (template("name", json!("x".repeat(64))), "invalid_name", "/template/name"),
        (template("cluster_name", json!("nowhere")), "unknown_cluster", ""),
        (template("cluster_name", json!("a b")), "invalid_name", "/template/cluster_name"),
        (template("tags", json!(["x", "a b"])), "invalid_tags", "/template/tags/1"),
        (template("machine_type", json!("huge")), "unknown_machine_type", ""),
        (template("protection", json!({"stop": 1})), "wrong_type", "/template/protection/stop"),
        (template("nmae", json!("x")), "unknown_field", "/template/nmae"),
        (
            json!({"kind": "CREATE", "count": 2, "template": {"name": "x-{n}"}}),
            "missing_field",
            "/template/cluster_name",
        ),
        (json!({"kind": "CREATE", "count": 2, "template": ["x-{n}", "web"]}), "wrong_type", "/template"),
    ];
    let before = site.everything().await;
    for (body, code, pointer) in cases {
        let refused = site.start(&body).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some(code)), "{body}: {refused}");
        refused.expect_problem(422, code, Some(pointer).filter(|pointer| !pointer.is_empty()));
        assert_eq!(site.everything().await, before, "{body}");
    }
    // The longest of the names is too long, so that none is made.
    let long =
        json!({"kind": "CREATE", "count": 1000, "template": {"name": "x".repeat(60) + "{n}", "cluster_name": "web"}});
    site.start(&long).await.expect_problem(422, "invalid_name", Some("/template/name"));
    assert_eq!(site.everything().await, before);
}

#[actix_web::test]
async fn a_world_has_room_for_so_many_operations() {
    let site = Site::memory(Preset::Instant).await;
    let later = [("prefer", "respond-async")];
    let stop = json!({"kind": "STOP", "all": true});
    let mut last = String::new();
    for _ in 0..100 {
        last = path_of(&site.ask("POST", "/operations", &later, &stop).await.expect(202));
    }
    let refused = site.ask("POST", "/operations", &later, &stop).await;
    refused.expect_problem(503, "too_many_operations", None);
    assert!(refused.header("retry-after").is_some());
    site.delete(&last).await.expect(200);
    site.ask("POST", "/operations", &later, &stop).await.expect(202);
}
