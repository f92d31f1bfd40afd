//! Machines over HTTP.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::inside::Inside;

fn with_machine(preset: Preset) -> (Inside, String) {
    let inside = Inside::new(preset);
    inside.client.create_cluster();
    let id = inside.client.create_machine("web-1");
    (inside, id)
}

fn act(inside: &Inside, id: &str, query: &str) -> Answer {
    inside.client.send("POST", &format!("/machines/{id}?{query}"), &[], None)
}

#[test]
fn a_machine_shows_all_that_is_known_of_it() {
    let inside = Inside::new(Preset::Realistic);
    let client = &inside.client;
    client.create_cluster();
    let made = client.post(
        "/machines",
        &json!({"name": "web-1", "cluster_name": "web", "tags": ["b", "a"], "machine_type": "large",
            "protection": {"stop": true}}),
    );
    assert_eq!((made.status, made.header("etag")), (201, "\"1.1\""));
    let machine = made.json();
    let id = machine["id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/api/v1/machines/{id}"));
    assert!(id.starts_with("70dbd880"), "an id begins with its second");
    let due_at = machine["transition"]["due_at"].as_str().unwrap();
    assert!(due_at > "2030-01-01T00:00:04", "{due_at}");
    let expected = json!({
        "id": id,
        "name": "web-1",
        "cluster_id": machine["cluster_id"],
        "cluster_name": "web",
        "region_code": "A",
        "machine_type": "large",
        "ip_address": machine["ip_address"],
        "tags": ["b", "a"],
        "state": "PROVISIONING",
        "state_changed_at": "2030-01-01T00:00:00.000Z",
        "transition": {
            "operation": "CREATE",
            "to": "RUNNING",
            "started_at": "2030-01-01T00:00:00.000Z",
            "due_at": due_at,
        },
        "allowed_operations": ["TERMINATE"],
        "protection": {"stop": true, "terminate": false},
        "version": 1,
        "created_at": "2030-01-01T00:00:00.000Z",
        "updated_at": "2030-01-01T00:00:00.000Z",
    });
    assert_eq!(machine, expected);
    assert!(machine["ip_address"].as_str().unwrap().starts_with("10."));
}

#[test]
fn operations_take_their_time_and_end_at_their_instant() {
    let (inside, id) = with_machine(Preset::Realistic);
    let client = &inside.client;
    let busy = act(&inside, &id, "action=STOP");
    assert_eq!((busy.status, busy.json()["code"].clone()), (409, json!("operation_in_progress")));
    assert_eq!(busy.json()["transition"]["operation"], "CREATE");
    inside.pass("10m");
    assert_eq!(client.machine(&id)["state"], "RUNNING");
    let stopping = act(&inside, &id, "action=stop");
    assert_eq!((stopping.status, stopping.json()["state"].clone()), (202, json!("STOPPING")));
    let again = act(&inside, &id, "action=Stop");
    assert_eq!((again.status, again.json()), (202, stopping.json()), "already so");
    inside.pass("10m");
    let stopped = client.machine(&id);
    assert_eq!(stopped["state"], "STOPPED");
    assert_eq!(stopped["state_changed_at"], stopping.json()["transition"]["due_at"], "not when it was looked at");
}

#[test]
fn with_instant_behaviour_every_operation_is_complete() {
    let (inside, id) = with_machine(Preset::Instant);
    let steps = [
        ("SUSPEND", "SUSPENDED"),
        ("RESUME", "RUNNING"),
        ("REBOOT", "RUNNING"),
        ("STOP", "STOPPED"),
        ("RESIZE&machine_type=large", "STOPPED"),
        ("START", "RUNNING"),
        ("TERMINATE", "TERMINATED"),
    ];
    for (action, state) in steps {
        let answer = act(&inside, &id, &format!("action={action}"));
        assert_eq!((answer.status, answer.json()["state"].clone()), (200, json!(state)), "{action}");
    }
    assert_eq!(inside.client.machine(&id)["machine_type"], "large");
}

#[test]
fn a_machine_may_be_made_stopped() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let body = json!({"name": "web-1", "cluster_name": "web", "start": false});
    assert_eq!(inside.client.post("/machines", &body).json()["state"], "STOPPED");
}

#[test]
fn force_and_protection() {
    let (inside, id) = with_machine(Preset::Realistic);
    inside.pass("10m");
    act(&inside, &id, "action=REBOOT");
    assert_eq!(act(&inside, &id, "action=STOP").status, 409);
    let patch = |body: Value| inside.client.send("PATCH", &format!("/machines/{id}"), &[], Some(&body)).json();
    let protection = patch(json!({"protection": {"stop": true}}))["protection"].clone();
    assert_eq!(protection, json!({"stop": true, "terminate": false}));
    let refused = act(&inside, &id, "action=STOP&force=true");
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("protected")));
    patch(json!({"protection": {"terminate": true}}));
    for answer in
        [act(&inside, &id, "action=TERMINATE"), inside.client.send("DELETE", &format!("/machines/{id}"), &[], None)]
    {
        assert_eq!((answer.status, answer.json()["code"].clone()), (409, json!("protected")));
    }
    let protection = patch(json!({"protection": {"stop": false}}))["protection"].clone();
    assert_eq!(protection, json!({"stop": false, "terminate": true}), "a merge patch leaves the rest");
    assert_eq!(act(&inside, &id, "action=STOP&force=true").json()["state"], "STOPPING");
}

#[test]
fn a_merge_patch_takes_away_with_null() {
    let (inside, id) = with_machine(Preset::Instant);
    let patch = |media_type: &str, body: &str| {
        inside.client.raw("PATCH", &format!("/api/v1/machines/{id}"), &[("content-type", media_type)], body).unwrap()
    };
    patch("application/json", r#"{"tags":["a"],"protection":{"stop":true,"terminate":true}}"#);
    let merged = patch("application/merge-patch+json", r#"{"protection":{"stop":null}}"#).json();
    assert_eq!((&merged["tags"], &merged["protection"]), (&json!(["a"]), &json!({"stop": false, "terminate": true})));
    let merged = patch("application/merge-patch+json", r#"{"tags":null,"protection":null}"#).json();
    assert_eq!((&merged["tags"], &merged["protection"]), (&json!([]), &json!({"stop": false, "terminate": false})));
    assert_eq!(patch("application/merge-patch+json", r#"{"name":null}"#).json()["code"], "wrong_type");
}

#[test]
fn an_edit_is_one_event_and_nothing_changed_is_none() {
    let (inside, id) = with_machine(Preset::Instant);
    let patch = |body: Value| inside.client.send("PATCH", &format!("/machines/{id}"), &[], Some(&body)).json();
    let edited = patch(json!({"name": "web-2", "tags": ["x"], "protection": {"stop": true}}));
    assert_eq!((&edited["version"], &edited["name"]), (&json!(4), &json!("web-2")));
    assert_eq!(patch(json!({"name": "web-2", "tags": ["x"]})), edited);
    assert_eq!(patch(json!({})), edited);
    inside.client.create_machine("web-1");
    assert_eq!(patch(json!({"name": "web-1"}))["code"], "name_taken");
}

#[test]
fn deletion_forgets_at_the_instant_of_terminated() {
    for settler in [false, true] {
        let (inside, id) = with_machine(Preset::Realistic);
        let path = format!("/machines/{id}");
        inside.pass("10m");
        let deleting = inside.client.send("DELETE", &path, &[], None);
        assert_eq!((deleting.status, deleting.json()["state"].clone()), (202, json!("TERMINATING")));
        let taken = inside.client.post("/machines", &json!({"name": "web-1", "cluster_name": "web"}));
        assert_eq!(taken.json()["code"], "name_taken", "until it is TERMINATED");
        let due_at: cloudm_domain::Instant = deleting.json()["transition"]["due_at"].as_str().unwrap().parse().unwrap();
        let started: cloudm_domain::Instant = deleting.json()["updated_at"].as_str().unwrap().parse().unwrap();
        let left = due_at.since(started).millis();
        inside.pass(&format!("{}ms", left - 1));
        assert_eq!(inside.client.send("DELETE", &path, &[], None).status, 202, "it is on its way still");
        inside.pass("1ms");
        if settler {
            inside.settle();
        }
        assert_eq!(inside.client.get(&path).status, 404);
        assert_eq!(inside.client.send("DELETE", &path, &[], None).status, 404);
        assert_eq!(inside.client.get("/machines").json()["items"], json!([]));
        inside.client.create_machine("web-1");
    }
}

#[test]
fn a_terminated_machine_stays_readable_for_an_hour() {
    let (inside, id) = with_machine(Preset::Instant);
    let path = format!("/machines/{id}");
    act(&inside, &id, "action=TERMINATE");
    inside.client.create_machine("web-1");
    inside.pass("59m59s");
    assert_eq!(inside.client.machine(&id)["state"], "TERMINATED");
    let found = |query: &str| inside.client.get(&format!("/machines{query}")).json()["items"].as_array().unwrap().len();
    assert_eq!((found(""), found("?state=TERMINATED"), found("?state=RUNNING,TERMINATED")), (1, 1, 2));
    let edit = inside.client.send("PATCH", &path, &[], Some(&json!({"name": "x"})));
    assert_eq!((edit.status, edit.json()["code"].clone()), (409, json!("machine_terminated")));
    inside.pass("1s");
    assert_eq!(inside.client.get(&path).status, 404);
    inside.settle();
    assert_eq!((found(""), found("?state=TERMINATED")), (1, 0));
}

#[test]
fn a_terminated_machine_is_forgotten_by_deleting_it() {
    let (inside, id) = with_machine(Preset::Instant);
    act(&inside, &id, "action=TERMINATE");
    let path = format!("/machines/{id}");
    assert_eq!(inside.client.send("DELETE", &path, &[], None).status, 204);
    assert_eq!(inside.client.get(&path).status, 404);
}

#[test]
fn a_name_is_free_again_with_another_id_in_the_same_second() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let mut ids = Vec::new();
    for _ in 0..12 {
        let id = inside.client.create_machine("web-1");
        assert!(!ids.contains(&id));
        assert_eq!(inside.client.send("DELETE", &format!("/machines/{id}"), &[], None).status, 204);
        ids.push(id);
    }
}

#[test]
fn a_dry_run_answers_and_does_nothing() {
    let (inside, id) = with_machine(Preset::Instant);
    let client = &inside.client;
    let before = (client.get("/clusters").json(), client.get("/machines").json(), client.get("/events").json());
    let machine = json!({"name": "web-2", "cluster_name": "web"});
    let tried = client.post("/machines?dry_run=true", &machine);
    let path = format!("/machines/{id}");
    let cluster = format!("/clusters/{}", client.machine(&id)["cluster_id"].as_str().unwrap());
    let answers = [
        (tried.status, 201),
        (client.post("/clusters?dry_run=true", &json!({"name": "db", "region_code": "A"})).status, 201),
        (client.send("PATCH", &format!("{path}?dry_run=true"), &[], Some(&json!({"tags": ["x"]}))).status, 200),
        (client.send("PATCH", &format!("{cluster}?dry_run=true"), &[], Some(&json!({"name": "x"}))).status, 200),
        (act(&inside, &id, "action=STOP&dry_run=true").status, 200),
        (client.send("DELETE", &format!("{path}?dry_run=true"), &[], None).status, 204),
        (client.send("DELETE", &format!("{cluster}?dry_run=true"), &[], None).status, 409),
        (client.post("/machines?dry_run=true", &json!({"name": "web-1", "cluster_name": "web"})).status, 409),
        (client.post("/clusters?dry_run=true", &json!({"name": "web", "region_code": "A"})).status, 409),
    ];
    for (number, (status, expected)) in answers.into_iter().enumerate() {
        assert_eq!(status, expected, "{number}");
    }
    assert_eq!((client.get("/clusters").json(), client.get("/machines").json(), client.get("/events").json()), before);
    assert_eq!(client.post("/machines", &machine).json()["id"], tried.json()["id"], "the answer it would give");
}
