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

/// An operation that has ended.
pub(crate) fn operation() -> Value {
    json!({
        "id": "70dbd9aca7f44b0d9c1b6f3e",
        "kind": "STOP",
        "selector": {"cluster": ["cluster1"], "state": ["RUNNING"], "tag": ["tag1"]},
        "force": false,
        "state": "PARTIAL",
        "progress": {"matched": 3, "done": 2, "unchanged": 0, "rejected": 1},
        "created_at": "2030-01-01T00:05:00.000Z",
        "finished_at": "2030-01-01T00:05:00.000Z",
    })
}

/// An operation that goes on.
pub(crate) fn running_operation() -> Value {
    json!({
        "id": "70dbd9ac1d2f4c0a8b7e6f5d",
        "kind": "CREATE",
        "count": 1000,
        "template": {"name": "web-{n}", "cluster_id": "70dbd8809c404bf3976680b0", "tags": ["tag1"], "machine_type": "small",
            "start": true, "protection": {"stop": false, "terminate": false}},
        "state": "RUNNING",
        "progress": {"matched": 256, "done": 256, "unchanged": 0, "rejected": 0},
        "created_at": "2030-01-01T00:05:00.000Z",
    })
}

/// That operation, cancelled.
pub(crate) fn cancelled_operation() -> Value {
    let mut operation = running_operation();
    operation["state"] = "CANCELLED".into();
    operation["finished_at"] = "2030-01-01T00:05:00.000Z".into();
    operation
}

/// The deletion of a cluster with its machines, which go on ending.
pub(crate) fn deletion_operation() -> Value {
    json!({
        "id": "70dbd9ac77aa4d1e9f0c2b3a",
        "kind": "DELETE_CLUSTER",
        "cluster_id": "70dbd8809c404bf3976680b0",
        "state": "RUNNING",
        "progress": {"matched": 2, "done": 2, "unchanged": 0, "rejected": 0},
        "created_at": "2030-01-01T00:05:00.000Z",
    })
}

/// A page of results.
pub(crate) fn result_list() -> Value {
    json!({
        "items": [
            {"machine_id": "70dbd880c40a1f0be3dd9a11", "outcome": "REJECTED", "code": "protected"},
            {"machine_id": "70dbd880131237f27bdd20d5", "outcome": "DONE"},
            {"machine_id": "70dbd8807a5e0c1d2b3f4e5d", "outcome": "DONE"},
        ],
    })
}
