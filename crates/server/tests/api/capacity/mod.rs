//! What a world has room for.

mod mistakes;

use std::fmt::Write;

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::site::{START_TEXT, Site, alike_on_every_store, on_every_store};

const PATH: &str = "/worlds/default/capacity";

/// A pool of small machines in region A.
fn small(size: u32) -> Value {
    json!({"region_code": "A", "machine_type": "small", "size": size})
}

fn with(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    value.as_object_mut().unwrap().extend(more);
    value
}

async fn capacity(site: &Site) -> Value {
    site.simulate("GET", PATH, &Value::Null).await.expect(200).json()
}

/// Gives the world `default` these pools and nothing else.
async fn set(site: &Site, pools: Value) -> Value {
    site.simulate("PUT", PATH, &json!({ "pools": pools })).await.expect(200).json()
}

async fn edit(site: &Site, body: Value) -> Answer {
    site.simulate("PATCH", PATH, &body).await
}

/// How many places of small machines in region A are held.
async fn held(site: &Site) -> Value {
    let pools = capacity(site).await["pools"].clone();
    let is_it = |pool: &&Value| pool["region_code"] == "A" && pool["machine_type"] == "small";
    pools.as_array().unwrap().iter().find(is_it).unwrap()["held"].clone()
}

async fn create(site: &Site, name: &str) -> Answer {
    site.post("/machines", &json!({"name": name, "cluster_name": "web"})).await
}

/// Checks that there was no place in this region.
#[track_caller]
fn expect_full(answer: &Answer, region: &str) {
    answer.expect_problem(503, "insufficient_capacity", None);
    let told = answer.json();
    assert_eq!((&told["region_code"], &told["machine_type"]), (&json!(region), &json!("small")), "{answer}");
    assert_eq!(answer.header("retry-after"), None, "nobody knows when there is");
}

/// The last event of a machine.
async fn last_event(site: &Site, machine: &str) -> Value {
    site.walk(&format!("{machine}/events")).await.pop().unwrap()
}

async fn names(site: &Site) -> Vec<String> {
    let machines = site.walk("/machines?order_by=name").await;
    machines.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect()
}

/// A request to the world `a`.
async fn ask(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    site.send(method, &format!("/worlds/a/api/v1{path}"), &headers, body.as_bytes()).await
}

/// Makes the world `a`, whose time stands still, with the cluster `web`.
async fn world(site: &Site) {
    site.simulate("POST", "/worlds", &json!({"name": "a", "seed": 42})).await.expect(201);
    ask(site, "POST", "/clusters", &json!({"name": "web", "region_code": "A"})).await.expect(201);
}

async fn create_in_a(site: &Site, name: &str) -> Answer {
    ask(site, "POST", "/machines", &json!({"name": name, "cluster_name": "web"})).await
}

#[actix_web::test]
pub(crate) async fn a_capacity_is_read_and_changed() {
    on_every_store(Preset::Instant, async |site| {
        let nothing = json!({"as_of": START_TEXT, "suspended_frees_place": false, "pools": []});
        assert_eq!(capacity(site).await, nothing);
        site.cluster("web").await;
        site.machine("a").await;
        let unlimited = json!({"region_code": "A", "machine_type": "small", "held": 1});
        assert_eq!(capacity(site).await["pools"], json!([unlimited]));

        let refills =
            json!([{"at": "2030-01-02T00:00:00.000Z", "size": 20}, {"at": "2030-01-03T00:00:00.000Z", "size": 0}]);
        let large = json!({"region_code": "B", "machine_type": "large", "size": 2, "refills": refills});
        let put = json!({"pools": [large, small(5)], "suspended_frees_place": true});
        let answer = site.simulate("PUT", PATH, &put).await.expect(200).json();
        let (shown, empty) = (with(small(5), json!({"held": 1})), with(large.clone(), json!({"held": 0})));
        assert_eq!(answer, json!({"as_of": START_TEXT, "suspended_frees_place": true, "pools": [shown, empty]}));
        assert_eq!(capacity(site).await, answer);
        // One pool of them, and of it what is named.
        let of_large = |more: Value| with(json!({"region_code": "B", "machine_type": "large"}), more);
        let edited = edit(site, of_large(json!({"size": 3}))).await.expect(200).json();
        let larger = with(empty, json!({"size": 3}));
        assert_eq!(edited, with(answer, json!({"pools": [shown, larger]})));
        let headers = [("content-type", "application/merge-patch+json")];
        let body = of_large(json!({"refills": null})).to_string();
        let edited = site.send("PATCH", &format!("/sim/v1{PATH}"), &headers, body.as_bytes()).await.expect(200).json();
        assert_eq!(edited["pools"], json!([shown, of_large(json!({"size": 3, "held": 0}))]));
        assert_eq!(edited, edit(site, of_large(json!({}))).await.expect(200).json(), "what is absent stays");
        // Any number again: a pool that nobody holds a place in is not shown.
        edit(site, of_large(json!({"size": null, "refills": []}))).await.expect(200);
        let lifted = edit(site, with(small(0), json!({"size": null}))).await.expect(200).json();
        assert_eq!((&lifted["pools"], &lifted["suspended_frees_place"]), (&json!([unlimited]), &json!(true)));
        set(site, json!([small(1)])).await;
        let answer = set(site, json!([])).await;
        assert_eq!((&answer["pools"], &answer["suspended_frees_place"]), (&json!([unlimited]), &json!(false)));
        assert_eq!(capacity(site).await, answer);
        site.simulate("GET", "/worlds/nope/capacity", &Value::Null).await.expect_problem(404, "no_such_world", None);
    })
    .await;
}

#[actix_web::test]
async fn a_full_pool_refuses_and_the_history_says_so() {
    alike_on_every_store(Preset::Instant, async |site| {
        let web = site.cluster("web").await;
        set(site, json!([small(2)])).await;
        let first = site.machine("a").await;
        site.machine("b").await;
        let before = site.everything().await;
        let body = json!({"name": "c", "cluster_name": "web", "tags": ["x"], "protection": {"stop": true}});
        expect_full(&site.post("/machines?dry_run=true", &body).await, "A");
        assert_eq!(site.everything().await, before);
        expect_full(&site.post("/machines", &body).await, "A");
        assert_eq!((names(site).await, held(site).await), (vec!["a".into(), "b".into()], json!(2)));

        let events = site.walk("/events").await;
        let refused = events.last().unwrap();
        let expected = json!({
            "id": refused["id"], "machine_id": refused["machine_id"], "version": 1, "at": START_TEXT, "kind": "REFUSED",
            "cause": "CREATE", "cluster_id": web.replace("/clusters/", ""), "name": "c", "machine_type": "small",
            "tags": ["x"], "protection": {"stop": true, "terminate": false},
            "refusal": {
                "code": "INSUFFICIENT_CAPACITY",
                "message": "The pool of the machine's type in its region has no place left.",
            },
        });
        assert_eq!(*refused, expected);
        let never_was = format!("/machines/{}", refused["machine_id"].as_str().unwrap());
        site.get(&never_was).await.expect_problem(404, "no_such_machine", None);
        // Another type has no limit, and nor has another region.
        let large = json!({"name": "d", "cluster_name": "web", "machine_type": "large"});
        site.machine_of(&large).await;
        site.post("/clusters", &json!({"name": "db", "region_code": "B"})).await.expect(201);
        site.machine_of(&json!({"name": "e", "cluster_name": "db"})).await;
        // The name is free, and so is a place once one is given back.
        site.operate(&first, "TERMINATE").await.expect(200);
        site.machine_of(&body).await;
        // Whoever holds a place keeps it.
        set(site, json!([small(1)])).await;
        assert_eq!(held(site).await, json!(2));
        expect_full(&create(site, "f").await, "A");
    })
    .await;
}

#[actix_web::test]
async fn a_stopped_machine_needs_a_place_to_start() {
    alike_on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(1)])).await;
        let first = site.machine("a").await;
        site.operate(&first, "STOP").await.expect(200);
        assert_eq!(held(site).await, json!(0));
        let second = site.machine("b").await;
        let version = site.get(&first).await.json()["version"].as_u64().unwrap();
        expect_full(&site.operate(&first, "START&dry_run=true").await, "A");
        assert_eq!(site.get(&first).await.json()["version"], json!(version));
        expect_full(&site.operate(&first, "START").await, "A");
        let event = last_event(site, &first).await;
        let expected = json!({
            "id": event["id"], "machine_id": first.replace("/machines/", ""), "version": version + 1, "at": START_TEXT,
            "kind": "REFUSED", "cause": "START",
            "refusal": {
                "code": "INSUFFICIENT_CAPACITY",
                "message": "The pool of the machine's type in its region has no place left.",
            },
        });
        assert_eq!(event, expected);
        let told = site.get(&first).await.json();
        assert_eq!((&told["state"], &told["version"]), (&json!("STOPPED"), &json!(version + 1)));
        // A machine that has its place needs no other, and one that leaves gives it back.
        site.operate(&second, "REBOOT").await.expect(200);
        site.operate(&second, "STOP").await.expect(200);
        site.operate(&first, "START").await.expect(200);
        expect_full(&site.operate(&second, "RESIZE&machine_type=large").await, "A");
        assert_eq!(last_event(site, &second).await["cause"], json!("RESIZE"));
    })
    .await;
}

#[actix_web::test]
async fn a_stopped_machine_ends_also_where_no_place_is_left() {
    alike_on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        for name in ["a", "b", "c"] {
            site.machine_of(&json!({"name": name, "cluster_name": "web", "start": false})).await;
        }
        let path = |machine: &Value| format!("/machines/{}", machine["id"].as_str().unwrap());
        let machines = site.walk("/machines").await;
        set(site, json!([small(0)])).await;
        site.operate(&path(&machines[0]), "TERMINATE").await.expect(200);
        site.delete(&path(&machines[1])).await.expect(204);
        let ended = site.delete(&format!("{cluster}?cascade=true")).await.expect(200);
        assert_eq!(ended.json()["state"], json!("SUCCEEDED"));
    })
    .await;
}

#[actix_web::test]
async fn a_refill_comes_at_its_instant() {
    alike_on_every_store(Preset::Instant, async |site| {
        world(site).await;
        let refills =
            json!([{"at": "2030-01-01T00:10:00.000Z", "size": 2}, {"at": "2030-01-01T00:20:00.000Z", "size": 1}]);
        let pool = with(small(0), json!({"refills": refills}));
        let path = "/worlds/a/capacity";
        let put = site.simulate("PUT", path, &json!({"pools": [pool]})).await.expect(200).json();
        assert_eq!(put["pools"], json!([with(pool, json!({"held": 0}))]));
        let go_to = async |to: &str| {
            site.simulate("POST", "/worlds/a/clock/advance", &json!({ "to": to })).await.expect(200);
            site.simulate("GET", path, &Value::Null).await.expect(200).json()["pools"][0].clone()
        };
        expect_full(&create_in_a(site, "m").await, "A");
        assert_eq!(go_to("2030-01-01T00:09:59.999Z").await["size"], json!(0));
        expect_full(&create_in_a(site, "m").await, "A");
        let refilled = go_to("2030-01-01T00:10:00Z").await;
        assert_eq!((&refilled["size"], &refilled["refills"]), (&json!(2), &json!([refills[1]])));
        for name in ["m", "n"] {
            create_in_a(site, name).await.expect(201);
        }
        expect_full(&create_in_a(site, "o").await, "A");
        // It can become smaller, too, and then nobody has to go.
        assert_eq!(go_to("2030-01-01T00:20:00Z").await, with(small(1), json!({"held": 2})));
        // What is past is not said again.
        let past = json!([{"at": "2030-01-01T00:01:00.000Z", "size": 7}]);
        let put = json!({"pools": [with(small(3), json!({"refills": past}))]});
        let put = site.simulate("PUT", path, &put).await.expect(200).json();
        assert_eq!(put["pools"], json!([with(small(7), json!({"held": 2}))]));
    })
    .await;
}

#[actix_web::test]
async fn what_was_due_gives_its_place_back_first() {
    alike_on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        set(site, json!([small(1)])).await;
        let machine = site.machine("a").await;
        site.wall.advance(3_600_000);
        let due = site.operate(&machine, "STOP").await.expect(202).json()["transition"]["due_at"].clone();
        site.go_just_before(&due);
        expect_full(&create(site, "b").await, "A");
        site.go_to(&due);
        create(site, "b").await.expect(201);
        assert_eq!((site.state(&machine).await.as_str(), held(site).await), ("STOPPED", json!(1)));
    })
    .await;
}

#[actix_web::test]
async fn a_suspended_machine_keeps_its_place_or_gives_it_back() {
    alike_on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(1)])).await;
        let machine = site.machine("a").await;
        site.operate(&machine, "SUSPEND").await.expect(200);
        assert_eq!(held(site).await, json!(1));
        expect_full(&create(site, "b").await, "A");
        site.operate(&machine, "RESUME").await.expect(200);
        site.operate(&machine, "SUSPEND").await.expect(200);
        let frees = json!({"pools": [small(1)], "suspended_frees_place": true});
        site.simulate("PUT", PATH, &frees).await.expect(200);
        assert_eq!(held(site).await, json!(0));
        create(site, "b").await.expect(201);
        expect_full(&site.operate(&machine, "RESUME").await, "A");
        assert_eq!(last_event(site, &machine).await["cause"], json!("RESUME"));
        assert_eq!(held(site).await, json!(1));
    })
    .await;
}

#[actix_web::test]
async fn a_cluster_moves_whole_or_not_at_all() {
    alike_on_every_store(Preset::Instant, async |site| {
        let cluster = site.cluster("web").await;
        for name in ["a", "b"] {
            site.machine(name).await;
        }
        let in_b = |size: u32| json!({"region_code": "B", "machine_type": "small", "size": size});
        set(site, json!([in_b(1)])).await;
        let before = site.everything().await;
        let to_b = json!({"name": "front", "region_code": "B"});
        for query in ["?dry_run=true", ""] {
            expect_full(&site.patch(&format!("{cluster}{query}"), &to_b).await, "B");
            assert_eq!(site.everything().await, before);
        }
        // Its name needs no room, and nor does a region without a pool.
        site.patch(&cluster, &json!({"name": "front"})).await.expect(200);
        site.patch(&cluster, &json!({"region_code": "C"})).await.expect(200);
        edit(site, in_b(2)).await.expect(200);
        site.patch(&format!("{cluster}?dry_run=true"), &to_b).await.expect(200);
        site.patch(&cluster, &to_b).await.expect(200);
        assert_eq!(capacity(site).await["pools"], json!([with(in_b(2), json!({"held": 2}))]));
    })
    .await;
}

#[actix_web::test]
async fn a_fleet_is_carried_out_as_far_as_there_is_room() {
    alike_on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(4)])).await;
        let template = json!({"name": "m-{n}", "cluster_name": "web"});
        let made = site.start(&json!({"kind": "CREATE", "count": 10, "template": template})).await.expect(200).json();
        let partial = json!({"matched": 10, "done": 4, "unchanged": 0, "rejected": 6});
        assert_eq!((&made["state"], &made["progress"]), (&json!("PARTIAL"), &partial));
        let results = site.walk(&format!("/operations/{}/results", made["id"].as_str().unwrap())).await;
        let codes: Vec<_> = results.iter().filter_map(|one| one.get("code")).collect();
        assert_eq!((results.len(), codes), (10, vec![&json!("insufficient_capacity"); 6]));
        let (_, done) = results.split_at(6);
        assert!(done.iter().all(|one| one["outcome"] == "DONE"), "{results:?}");
        assert_eq!((names(site).await.len(), held(site).await), (4, json!(4)));
        let refusals =
            async || site.walk("/events?page_size=1000").await.iter().filter(|e| e["kind"] == "REFUSED").count();
        assert_eq!(refusals().await, 6);

        site.start(&json!({"kind": "STOP", "all": true})).await.expect(200);
        set(site, json!([small(3)])).await;
        let started = site.start(&json!({"kind": "START", "all": true})).await.expect(200).json();
        let partial = json!({"matched": 4, "done": 3, "unchanged": 0, "rejected": 1});
        assert_eq!((&started["state"], &started["progress"]), (&json!("PARTIAL"), &partial));
        assert_eq!((refusals().await, held(site).await), (7, json!(3)));
    })
    .await;
}

#[actix_web::test]
async fn an_import_is_told_which_lines_had_no_room() {
    alike_on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(2)])).await;
        let mut lines = String::new();
        for (number, machine_type) in ["small", "large", "small", "small", "large", "small"].iter().enumerate() {
            let line = json!({"name": format!("m-{number}"), "cluster_name": "web", "machine_type": machine_type});
            writeln!(lines, "{line}").unwrap();
        }
        let headers = [("content-type", "application/x-ndjson")];
        let report = site.send("POST", "/api/v1/machines/import", &headers, lines.as_bytes()).await.expect(200).json();
        let detail = "there is no room for another machine of type 'small' in region 'A'";
        let refused = |line: u32| json!({"line": line, "code": "insufficient_capacity", "detail": detail});
        assert_eq!(report, json!({"lines": 6, "created": 4, "refused": 2, "problems": [refused(4), refused(6)]}));
        assert_eq!((names(site).await.len(), held(site).await), (4, json!(2)));
    })
    .await;
}

#[actix_web::test]
async fn a_refusal_frees_the_key() {
    alike_on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(0)])).await;
        let body = json!({"name": "a", "cluster_name": "web"});
        let keyed = async || site.ask("POST", "/machines", &[("idempotency-key", "k")], &body).await;
        for _ in 0..2 {
            expect_full(&keyed().await, "A");
        }
        edit(site, small(1)).await.expect(200);
        let made = keyed().await.expect(201);
        let again = keyed().await.expect(201);
        assert_eq!((again.text(), made.header("idempotency-replayed")), (made.text(), None));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(held(site).await, json!(1));
    })
    .await;
}

#[actix_web::test]
async fn those_who_ask_at_once_share_the_places() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        set(site, json!([small(10)])).await;
        let ask = |number: usize| {
            let site = site.clone();
            actix_web::rt::spawn(async move { create(&site, &format!("m-{number}")).await })
        };
        let mut made = 0;
        for answer in (0..64).map(ask).collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            if answer.status == 201 {
                made += 1;
            } else {
                expect_full(&answer, "A");
            }
        }
        assert_eq!((made, names(site).await.len(), held(site).await), (10, 10, json!(10)));
        let events = site.walk("/events?page_size=1000").await;
        assert_eq!(events.iter().filter(|event| event["kind"] == "REFUSED").count(), 54);
    })
    .await;
}

#[actix_web::test]
async fn a_capacity_goes_with_its_world() {
    on_every_store(Preset::Instant, async |site| {
        world(site).await;
        let refills = json!([{"at": "2030-01-02T00:00:00.000Z", "size": 5}]);
        let put = json!({"pools": [with(small(1), json!({"refills": refills}))], "suspended_frees_place": true});
        let told = site.simulate("PUT", "/worlds/a/capacity", &put).await.expect(200).json();
        let of = async |world: &str| {
            let path = format!("/worlds/{world}/capacity");
            site.simulate("GET", &path, &Value::Null).await.expect(200).json()
        };
        site.simulate("POST", "/worlds/a/fork", &json!({"name": "b"})).await.expect(201);
        assert_eq!(of("b").await, told);
        let snapshot = site.simulate("GET", "/worlds/a/snapshot", &Value::Null).await.expect(200).body;
        site.simulate("POST", "/worlds/a/reset", &Value::Null).await.expect(200);
        assert_eq!(of("a").await, json!({"as_of": START_TEXT, "suspended_frees_place": false, "pools": []}));
        assert_eq!(of("b").await, told, "a fork goes its own way");
        let headers = [("content-type", "application/x-ndjson")];
        for (world, status) in [("a", 200), ("c", 201)] {
            let path = format!("/sim/v1/worlds/{world}/snapshot");
            site.send("PUT", &path, &headers, &snapshot).await.expect(status);
            assert_eq!(of(world).await, told);
        }
        let text = |world: &'static str| async move {
            let path = format!("/worlds/{world}/snapshot");
            site.simulate("GET", &path, &Value::Null).await.expect(200).text()
        };
        let (first, again) = (String::from_utf8(snapshot).unwrap(), text("a").await);
        assert_eq!(again, first);
        // The refused are in it, too.
        create_in_a(site, "m").await.expect(201);
        expect_full(&create_in_a(site, "n").await, "A");
        let text = text("a").await;
        site.send("PUT", "/sim/v1/worlds/d/snapshot", &headers, text.as_bytes()).await.expect(201);
        let digest = async |world: &str| {
            let path = format!("/worlds/{world}/digest");
            site.simulate("GET", &path, &Value::Null).await.expect(200).json()
        };
        assert_eq!((digest("d").await, of("d").await), (digest("a").await, of("a").await));
    })
    .await;
}
