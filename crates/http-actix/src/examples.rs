//! The examples of the API's description that several routes share.

use serde_json::{Value, json};

/// A machine at rest.
pub(crate) fn machine() -> Value {
    json!({
        "id": "70dbd880131237f27bdd20d5",
        "name": "machine1",
        "cluster_id": "70dbd8809c404bf3976680b0",
        "cluster_name": "cluster1",
        "region_code": "A",
        "machine_type": "small",
        "ip_address": "10.221.32.213",
        "tags": ["tag1"],
        "state": "RUNNING",
        "state_changed_at": "2030-01-01T00:00:37.000Z",
        "allowed_operations": ["STOP", "REBOOT", "SUSPEND", "TERMINATE"],
        "protection": {"stop": false, "terminate": false},
        "version": 3,
        "created_at": "2030-01-01T00:00:00.000Z",
        "updated_at": "2030-01-01T00:00:37.000Z",
    })
}

/// A machine on its way to STOPPED.
pub(crate) fn stopping_machine() -> Value {
    on_its_way("STOPPING", "STOP", "STOPPED")
}

/// A machine on its way to its end.
pub(crate) fn terminating_machine() -> Value {
    on_its_way("TERMINATING", "TERMINATE", "TERMINATED")
}

fn on_its_way(state: &str, operation: &str, to: &str) -> Value {
    let mut machine = machine();
    machine["state"] = state.into();
    machine["state_changed_at"] = "2030-01-01T00:05:00.000Z".into();
    machine["updated_at"] = "2030-01-01T00:05:00.000Z".into();
    machine["version"] = 4.into();
    machine["allowed_operations"] = if to == "TERMINATED" { json!([]) } else { json!(["TERMINATE"]) };
    machine["transition"] = json!({
        "operation": operation,
        "from": "RUNNING",
        "to": to,
        "started_at": "2030-01-01T00:05:00.000Z",
        "due_at": "2030-01-01T00:05:20.000Z",
    });
    machine
}

/// A page of one machine.
pub(crate) fn machine_list() -> Value {
    json!({"items": [machine()], "position": "cLFA1mYAAAAAAAAD"})
}

/// A page of two events.
pub(crate) fn event_list() -> Value {
    let at = "2030-01-01T00:05:00.000Z";
    json!({
        "items": [
            {"id": "cLFA1mYAAAAAAAAD", "machine_id": "70dbd880131237f27bdd20d5", "version": 3, "at": "2030-01-01T00:00:37.000Z",
                "kind": "STATE_ENTERED", "state": "RUNNING", "cause": "CREATE"},
            {"id": "cLFA1mYAAAAAAAAE", "machine_id": "70dbd880131237f27bdd20d5", "version": 4, "at": at,
                "kind": "STATE_ENTERED", "state": "STOPPING", "cause": "STOP", "to": "STOPPED",
                "due_at": "2030-01-01T00:05:20.000Z"},
        ],
        "position": "cLFA1mYAAAAAAAAE",
    })
}
