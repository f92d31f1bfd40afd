//! Scenarios: whole worlds in one request. One route a file.

mod body;
mod get;
mod mistakes;
mod put;

use serde_json::{Value, json};

pub(crate) use get::get_scenario;
pub(crate) use put::put_scenario;

/// What a scenario is in examples.
fn example() -> Value {
    json!({"seed": 42, "preset": "realistic",
        "capacity": {"pools": [{"region_code": "A", "machine_type": "small", "size": 10}]},
        "faults": [{"on": {"state": "STARTING"}, "effect": {"kind": "fail"}, "probability": 0.1}],
        "schedule": [{"kind": "MAINTENANCE_STOP", "not_before": "2030-01-01T02:00:00Z", "notice": "10m"}],
        "clusters": [{"name": "web", "region_code": "A"}],
        "machines": [{"name": "web-{n}", "count": 3, "cluster_name": "web", "tags": ["team:a"]}]})
}
