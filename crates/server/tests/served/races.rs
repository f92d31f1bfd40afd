//! Two clients never both win the same race.

use std::sync::Barrier;

use serde_json::json;

use crate::support::{STORES, Server, race};

/// Runs the same race on every store.
fn on_every_store(test: impl Fn(&Server)) {
    for store in STORES {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), store);
        server.client().create_cluster();
        test(&server);
    }
}

#[test]
fn start_and_stop_raced_by_64_make_one_chain_of_events() {
    on_every_store(|server| {
        let client = server.client();
        let id = client.create_machine("contested");
        let statuses = race(server, 64, |client, number| {
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
    on_every_store(|server| {
        for resource in ["machines", "clusters"] {
            let body = match resource {
                "machines" => json!({"name": "wanted", "cluster_name": "web"}),
                _ => json!({"name": "wanted", "region_code": "B"}),
            };
            let mut statuses = race(server, 64, |client, _| client.post(&format!("/{resource}"), &body).status);
            statuses.sort_unstable();
            let expected = [vec![201], vec![409; 63]].concat();
            assert_eq!(statuses, expected, "{resource}");
            let found = server.client().get(&format!("/{resource}?name=wanted")).json();
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{resource}");
        }
    });
}

#[test]
fn conditional_updates_count_in_the_version() {
    on_every_store(|server| {
        let client = server.client();
        let id = client.create_machine("counted");
        let path = format!("/machines/{id}");
        let before = client.machine(&id)["version"].as_u64().unwrap();
        let won = race(server, 32, |client, number| {
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
    on_every_store(|server| {
        let client = server.client();
        let id = client.create_machine("rebooted");
        let before = client.machine(&id)["version"].as_u64().unwrap();
        let together = Barrier::new(COPIES);
        let answers = race(server, COPIES, |client, _| {
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
