//! Every route of the API's description answers. A route that is added and not listed here fails the test.

use std::collections::BTreeSet;

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::inside::Inside;

/// Operation id, method, path, body and the status it is answered with, in an order in which they can be sent.
fn requests(cluster: &str, machine: &str) -> Vec<(&'static str, &'static str, String, Value, u16)> {
    let (cluster, machine) = (format!("/api/v1/clusters/{cluster}"), format!("/api/v1/machines/{machine}"));
    let none = Value::Null;
    vec![
        ("isAlive", "GET", "/livez".into(), none.clone(), 200),
        ("isReady", "GET", "/readyz".into(), none.clone(), 200),
        ("isHealthy", "GET", "/healthz".into(), none.clone(), 200),
        ("listSiteConstants", "GET", "/api/v1/site-constants".into(), none.clone(), 200),
        ("createCluster", "POST", "/api/v1/clusters".into(), json!({"name": "db", "region_code": "B"}), 201),
        ("listClusters", "GET", "/api/v1/clusters".into(), none.clone(), 200),
        ("getCluster", "GET", cluster.clone(), none.clone(), 200),
        ("editCluster", "PATCH", cluster.clone(), json!({"region_code": "C"}), 200),
        ("createMachine", "POST", "/api/v1/machines".into(), json!({"name": "db-1", "cluster_name": "db"}), 201),
        ("listMachines", "GET", "/api/v1/machines".into(), none.clone(), 200),
        ("getMachine", "GET", machine.clone(), none.clone(), 200),
        ("editMachine", "PATCH", machine.clone(), json!({"tags": ["x"]}), 200),
        ("operateMachine", "POST", format!("{machine}?action=STOP"), none.clone(), 200),
        ("listMachineEvents", "GET", format!("{machine}/events"), none.clone(), 200),
        ("listEvents", "GET", "/api/v1/events".into(), none.clone(), 200),
        ("deleteMachine", "DELETE", machine, none.clone(), 204),
        ("deleteCluster", "DELETE", cluster, none, 204),
    ]
}

#[test]
fn every_route_answers() {
    let inside = Inside::new(Preset::Instant);
    inside.client.create_cluster();
    let machine = inside.client.create_machine("web-1");
    let cluster = inside.client.machine(&machine)["cluster_id"].as_str().unwrap().to_owned();
    let mut sent = BTreeSet::new();
    for (operation, method, path, body, status) in requests(&cluster, &machine) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        let answer = inside.client.raw(method, &path, headers, &body).unwrap();
        assert_eq!(answer.status, status, "{operation}: {answer:?}");
        sent.insert(operation.to_owned());
    }
    let description: Value = serde_json::from_str(&cloudm_http_actix::openapi_json()).unwrap();
    let operations =
        description["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let described: BTreeSet<_> =
        operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sent, described);
}
