//! Two clients never both win the same race.

use std::sync::Barrier;

use serde_json::json;

use crate::client::Client;
use crate::support::{Place, STORES, Server, race};

/// Runs the same race on every store, and where servers can share one, split over two.
fn on_every_store(test: impl Fn(&[Server], &Client)) {
    for store in STORES {
        let place = Place::new(store);
        let servers = place.start_together();
        let client = servers[0].client();
        client.create_cluster();
        test(&servers, &client);
    }
}

#[test]
fn start_and_stop_raced_by_64_make_one_chain_of_events() {
    on_every_store(|servers, client| {
        let id = client.create_machine("contested");
        let statuses = race(servers, 64, |client, number| {
            let act = |turn| {
                let action = if (number + turn) % 2 == 0 { "START" } else { "STOP" };
                client.send("POST", &format!("/machines/{id}?action={action}"), &[], None).status
            };
            (0..5).map(act).collect::<Vec<_>>()
        });
        assert!(statuses.concat().iter().all(|status| *status == 200), "{statuses:?}");
        let version = client.check_chain(&id);
        assert!(version > 3 && (version - 3) % 2 == 0, "each change is two events: {version}");
    });
}

#[test]
fn one_of_64_creators_of_a_name_wins() {
    on_every_store(|servers, client| {
        for resource in ["machines", "clusters"] {
            let body = match resource {
                "machines" => json!({"name": "wanted", "cluster_name": "web"}),
                _ => json!({"name": "wanted", "region_code": "B"}),
            };
            let mut statuses = race(servers, 64, |client, _| client.post(&format!("/{resource}"), &body).status);
            statuses.sort_unstable();
            let expected = [vec![201], vec![409; 63]].concat();
            assert_eq!(statuses, expected, "{resource}");
            let found = client.get(&format!("/{resource}?name=wanted")).json();
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{resource}");
        }
    });
}

#[test]
fn conditional_updates_count_in_the_version() {
    on_every_store(|servers, client| {
        let id = client.create_machine("counted");
        let path = format!("/machines/{id}");
        let before = client.machine(&id)["version"].as_u64().unwrap();
        let won = race(servers, 32, |client, number| {
            let update = |turn| {
                let etag = client.get(&path).header("etag").to_owned();
                let body = json!({"tags": [format!("by:{number}"), format!("turn:{turn}")]});
                let status = client.send("PATCH", &path, &[("if-match", &etag)], Some(&body)).status;
                assert!([200, 412].contains(&status), "{status}");
                u64::from(status == 200)
            };
            (0..30).map(update).sum::<u64>()
        });
        let won: u64 = won.into_iter().sum();
        assert!(won > 0);
        assert_eq!(client.check_chain(&id), before + won);
    });
}

#[test]
fn a_hundred_keys_have_a_hundred_effects_and_one_answer_each() {
    const KEYS: usize = 100;
    const COPIES: usize = 20;
    on_every_store(|servers, client| {
        let id = client.create_machine("rebooted");
        let before = client.machine(&id)["version"].as_u64().unwrap();
        let together = Barrier::new(COPIES);
        let answers = race(servers, COPIES, |client, _| {
            let send = |key| {
                together.wait();
                let key = format!("key-{key}");
                client.send("POST", &format!("/machines/{id}?action=REBOOT"), &[("idempotency-key", &key)], None)
            };
            (0..KEYS).map(send).map(|answer| (answer.status, answer.header("etag").to_owned(), answer.text)).collect()
        });
        let first: &Vec<_> = &answers[0];
        assert!(first.iter().all(|(status, ..)| *status == 200), "{first:?}");
        assert!(answers.iter().all(|others| others == first));
        assert_eq!(client.check_chain(&id), before + 2 * KEYS as u64, "each effect is two events");
    });
}

#[test]
fn no_machine_is_made_in_a_cluster_that_is_deleted() {
    const ROUNDS: usize = 100;
    const CREATORS: usize = 32;
    on_every_store(|servers, client| {
        for round in 0..ROUNDS {
            let cluster = format!("doomed-{round}");
            let made = client.post("/clusters", &json!({"name": cluster, "region_code": "A"})).json();
            let path = format!("/clusters/{}", made["id"].as_str().unwrap());
            // The one who deletes is not always among the first.
            let deleter = round % (CREATORS + 1);
            let statuses = race(servers, CREATORS + 1, |client, number| {
                if number == deleter {
                    return client.send("DELETE", &path, &[], None).status;
                }
                client.post("/machines", &json!({"name": format!("m-{number}"), "cluster_name": cluster})).status
            });
            let made = statuses.iter().filter(|status| **status == 201).count();
            let listed = client.get(&format!("/machines?name=m-*&page_size=1000&cluster={cluster}")).json();
            assert_eq!(listed["items"].as_array().unwrap().len(), made, "{statuses:?}");
            match statuses[deleter] {
                204 => assert_eq!((made, client.get(&path).status), (0, 404), "{statuses:?}"),
                409 => assert_eq!((made, client.get(&path).status), (CREATORS, 200), "{statuses:?}"),
                _ => panic!("{statuses:?}"),
            }
            let expected = if made == 0 { 422 } else { 201 };
            let others = statuses.iter().enumerate().filter(|(number, _)| *number != deleter);
            assert!(others.into_iter().all(|(_, status)| *status == expected), "{statuses:?}");
        }
    });
}

#[test]
fn as_many_creations_pass_as_a_fault_lets_in_the_whole_world() {
    const PASSING: usize = 10;
    const CREATORS: usize = 64;
    on_every_store(|servers, client| {
        let refuse = json!({"kind": "refuse", "code": "quota_exceeded", "status": 429});
        let fault = json!({"on": {"operation": "CREATE"}, "scope": "world", "after": PASSING, "effect": refuse});
        let headers = [("content-type", "application/json")];
        let faults = "/sim/v1/worlds/default/faults";
        assert_eq!(client.raw("POST", faults, &headers, &fault.to_string()).unwrap().status, 201);
        let create = |client: &Client, number: usize| {
            client.post("/machines", &json!({"name": format!("m-{number}"), "cluster_name": "web"})).status
        };
        let mut statuses = race(servers, CREATORS, create);
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![201; PASSING], vec![429; CREATORS - PASSING]].concat());
        let counted = client.raw("GET", faults, &[], "").unwrap().json()["items"][0].clone();
        assert_eq!((&counted["matches"], &counted["struck"]), (&json!(CREATORS), &json!(CREATORS - PASSING)));
    });
}
