//! Every mistake of a capacity is told, and changes nothing.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use super::{PATH, capacity, edit, set, small, with};
use crate::site::Site;

/// Refills one second after the other.
fn refills(count: usize) -> Value {
    (0..count).map(|n| json!({"at": format!("2030-01-02T00:{:02}:{:02}Z", n / 60, n % 60), "size": n})).collect()
}

#[actix_web::test]
async fn every_mistake_of_a_capacity_is_pointed_at() {
    let site = Site::memory(Preset::Instant).await;
    let before = set(&site, json!([small(3)])).await;
    let refused = async |body: Value, code: &str, pointer: &str| {
        let answer = site.simulate("PUT", PATH, &body).await;
        answer.expect_problem(422, code, Some(pointer));
        assert_eq!(capacity(&site).await, before, "{body:.300}");
    };
    let in_b = with(small(1), json!({"region_code": "B"}));
    let pool = |more: Value| json!({"pools": [small(1), with(in_b.clone(), more)]});
    let refill = |more: Value| pool(json!({"refills": [with(json!({"at": "2030-01-02T00:00:00Z", "size": 1}), more)]}));
    let without = |field: &str| {
        let mut body = pool(json!({}));
        body["pools"][1].as_object_mut().unwrap().remove(field);
        body
    };
    for (body, code, pointer) in [
        (json!({"pools": ["x"]}), "wrong_type", "/pools/0"),
        (json!({"pools": [["A", "small", 1]]}), "wrong_type", "/pools/0"),
        (pool(json!({"size": "1"})), "wrong_type", "/pools/1/size"),
        (pool(json!({"size": null})), "wrong_type", "/pools/1/size"),
        (pool(json!({"size": 1.5})), "wrong_type", "/pools/1/size"),
        (pool(json!({"size": -1})), "invalid_value", "/pools/1/size"),
        (pool(json!({"size": 1_000_000_001})), "invalid_value", "/pools/1/size"),
        (pool(json!({"size": u64::MAX})), "invalid_value", "/pools/1/size"),
        (pool(json!({"region_code": 7})), "wrong_type", "/pools/1/region_code"),
        (pool(json!({"region_code": "a b"})), "invalid_value", "/pools/1/region_code"),
        (pool(json!({"region_code": "Z"})), "unknown_region", "/pools/1/region_code"),
        (pool(json!({"machine_type": ""})), "invalid_value", "/pools/1/machine_type"),
        (pool(json!({"machine_type": "huge"})), "unknown_machine_type", "/pools/1/machine_type"),
        (pool(json!({"held": 1})), "unknown_field", "/pools/1/held"),
        (without("region_code"), "missing_field", "/pools/1/region_code"),
        (without("machine_type"), "missing_field", "/pools/1/machine_type"),
        (without("size"), "missing_field", "/pools/1/size"),
        (pool(json!({"refills": null})), "wrong_type", "/pools/1/refills"),
        (pool(json!({"refills": {}})), "wrong_type", "/pools/1/refills"),
        (pool(json!({"refills": [7]})), "wrong_type", "/pools/1/refills/0"),
        (pool(json!({"refills": [{"size": 1}]})), "missing_field", "/pools/1/refills/0/at"),
        (pool(json!({"refills": [{"at": "2030-01-02T00:00:00Z"}]})), "missing_field", "/pools/1/refills/0/size"),
        (refill(json!({"at": 7})), "wrong_type", "/pools/1/refills/0/at"),
        (refill(json!({"at": "soon"})), "invalid_value", "/pools/1/refills/0/at"),
        (refill(json!({"at": "2030-02-30T00:00:00Z"})), "invalid_value", "/pools/1/refills/0/at"),
        (refill(json!({"at": "2200-01-01T00:00:00Z"})), "invalid_value", "/pools/1/refills/0/at"),
        (refill(json!({"size": 1_000_000_001})), "invalid_value", "/pools/1/refills/0/size"),
        (refill(json!({"in": "1h"})), "unknown_field", "/pools/1/refills/0/in"),
        (pool(json!({"region_code": "A"})), "invalid_capacity", "/pools/1"),
        (json!({"pools": vec![small(1); 257]}), "invalid_capacity", "/pools"),
        (pool(json!({"refills": refills(1_001)})), "invalid_capacity", "/pools"),
        (pool(json!({"refills": [refills(2)[1], refills(2)[0]]})), "invalid_capacity", "/pools/1/refills"),
        (pool(json!({"refills": [refills(1)[0], refills(1)[0]]})), "invalid_capacity", "/pools/1/refills"),
    ] {
        refused(body, code, pointer).await;
    }
    let twice = r#"{"pools":[{"region_code":"A","machine_type":"small","size":1,"size":1}]}"#;
    let headers = [("content-type", "application/json")];
    let answer = site.send("PUT", &format!("/sim/v1{PATH}"), &headers, twice.as_bytes()).await;
    answer.expect_problem(422, "duplicate_field", Some("/pools/0/size"));
    // As much as there may be.
    let most = with(small(1_000_000_000), json!({"refills": refills(1_000)}));
    set(&site, json!([most])).await;
}

#[actix_web::test]
async fn every_mistake_of_a_pool_is_pointed_at() {
    let site = Site::memory(Preset::Instant).await;
    let before = set(&site, json!([with(small(3), json!({"refills": refills(600)}))])).await;
    let in_b = json!({"region_code": "B", "machine_type": "small"});
    for (body, code, pointer) in [
        (with(small(1), json!({"size": -1})), "invalid_value", "/size"),
        (with(small(1), json!({"size": 1_000_000_001})), "invalid_value", "/size"),
        (with(small(1), json!({"size": 1.5})), "wrong_type", "/size"),
        (with(small(1), json!({"region_code": "Z"})), "unknown_region", "/region_code"),
        (with(small(1), json!({"machine_type": "huge"})), "unknown_machine_type", "/machine_type"),
        (with(small(1), json!({"refills": [["2030-01-02T00:00:00Z", 1]]})), "wrong_type", "/refills/0"),
        (with(small(1), json!({"refills": [{"at": "soon", "size": 1}]})), "invalid_value", "/refills/0/at"),
        (with(small(1), json!({"refills": [{"at": "2030-01-02T00:00:00Z"}]})), "missing_field", "/refills/0/size"),
        (with(small(1), json!({"refills": [refills(2)[1], refills(2)[0]]})), "invalid_capacity", "/refills"),
        (with(small(1), json!({"size": null, "refills": refills(1)})), "invalid_capacity", "/refills"),
        (with(in_b.clone(), json!({"refills": refills(1)})), "invalid_capacity", "/refills"),
        (with(in_b, json!({"size": 1, "refills": refills(401)})), "invalid_capacity", "/refills"),
    ] {
        let answer = edit(&site, body).await;
        answer.expect_problem(422, code, Some(pointer));
        assert_eq!(capacity(&site).await, before);
    }
}
