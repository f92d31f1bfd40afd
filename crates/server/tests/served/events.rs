//! Histories over HTTP.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::inside::Inside;

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[test]
fn a_history_tells_what_changed_and_nothing_of_the_future() {
    let inside = Inside::new(Preset::Realistic);
    let client = &inside.client;
    client.create_cluster();
    let id = client.create_machine("web-1");
    client.send("PATCH", &format!("/machines/{id}"), &[], Some(&json!({"tags": ["x"]})));
    inside.pass("10m");
    client.send("DELETE", &format!("/machines/{id}"), &[], None);
    let page = client.get(&format!("/machines/{id}/events")).json();
    let told: Vec<_> = items(&page).iter().map(|event| (event["kind"].clone(), event["state"].clone())).collect();
    let kinds = [
        ("CREATED", json!("PROVISIONING")),
        ("EDITED", Value::Null),
        ("STATE_ENTERED", json!("STARTING")),
        ("STATE_ENTERED", json!("RUNNING")),
        ("DELETE_REQUESTED", Value::Null),
        ("STATE_ENTERED", json!("TERMINATING")),
    ];
    assert_eq!(told, kinds.map(|(kind, state)| (json!(kind), state)));
    let versions: Vec<_> = items(&page).iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    let created = &items(&page)[0];
    assert_eq!(
        (&created["name"], &created["to"], &created["cause"]),
        (&json!("web-1"), &json!("RUNNING"), &json!("CREATE"))
    );
    assert_eq!(items(&page)[2]["at"], created["due_at"], "a step that was due has its due time");
    let running = &items(&page)[3];
    assert_eq!(running["cause"], "CREATE");
    assert!(running.get("due_at").is_none(), "when it will fail is not told: {running}");
}

#[test]
fn reading_a_history_settles_what_is_due() {
    let inside = Inside::new(Preset::Realistic);
    inside.client.create_cluster();
    let id = inside.client.create_machine("web-1");
    inside.pass("10m");
    for path in [format!("/machines/{id}/events"), "/events".into()] {
        assert_eq!(items(&inside.client.get(&path).json()).len(), 3, "{path}");
    }
}

#[test]
fn the_history_of_the_world_is_read_page_by_page_and_from_a_position() {
    let inside = Inside::new(Preset::Instant);
    let client = &inside.client;
    client.create_cluster();
    let ids: Vec<_> = (0..5).map(|number| client.create_machine(&format!("web-{number}"))).collect();
    let whole = client.get("/events").json();
    assert_eq!(items(&whole).len(), 15);
    let (mut walked, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/events?page_size=4{token}")).json();
        walked.extend(items(&page).iter().cloned());
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
    }
    assert_eq!(&walked, items(&whole));
    let position = client.get("/machines").json()["position"].as_str().unwrap().to_owned();
    let after = |position: &str| client.get(&format!("/events?after={position}")).json();
    assert_eq!(items(&after(&position)).len(), 0);
    client.send("POST", &format!("/machines/{}?action=STOP", ids[0]), &[], None);
    let since = after(&position);
    assert_eq!(items(&since).len(), 2, "what came after the list was read");
    assert_eq!(items(&after(items(&since)[0]["id"].as_str().unwrap())), &items(&since)[1..]);
    assert_eq!(items(&after(since["position"].as_str().unwrap())).len(), 0);
}

#[test]
fn the_world_remembers_what_it_forgot() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let id = inside.client.create_machine("web-1");
    inside.client.send("DELETE", &format!("/machines/{id}"), &[], None);
    assert_eq!(inside.client.get(&format!("/machines/{id}/events")).status, 404);
    let whole = inside.client.get("/events").json();
    let last = items(&whole).last().unwrap().clone();
    assert_eq!((items(&whole).len(), &last["state"], &last["machine_id"]), (6, &json!("TERMINATED"), &json!(id)));
}
