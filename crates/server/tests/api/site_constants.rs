//! The site's constants.

use cloudm_domain::{MachineState, Operation, Preset};

use crate::site::Site;

fn codes(constants: &serde_json::Value) -> Vec<&str> {
    constants["values"].as_array().unwrap().iter().map(|value| value["code"].as_str().unwrap()).collect()
}

#[actix_web::test]
pub(crate) async fn each_kind_is_listed_alone_and_all_together() {
    let site = Site::memory(Preset::Instant).await;
    let mut all = Vec::new();
    for kind in ["region", "machine_state", "machine_operation", "machine_type"] {
        let one = site.get(&format!("/site-constants?constant={kind}")).await.expect(200).json();
        assert_eq!(one["constant"], kind);
        all.push(one);
    }
    assert_eq!(site.get("/site-constants").await.expect(200).items(), all);
    assert!(codes(&all[0]).starts_with(&["A", "B", "C", "D", "E", "F"]));
    assert_eq!(codes(&all[1]), MachineState::ALL.iter().map(|state| state.code()).collect::<Vec<_>>());
    assert_eq!(codes(&all[2]), Operation::ALL.iter().map(|operation| operation.code()).collect::<Vec<_>>());
    assert_eq!(codes(&all[3]).len(), 8);
    let named = |value: &serde_json::Value| !value["name"].as_str().unwrap().is_empty();
    assert!(all.iter().flat_map(|kind| kind["values"].as_array().unwrap()).all(named));
    for number in ["vcpus", "memory_mib", "price_per_hour_micros"] {
        assert!(all[3]["values"].as_array().unwrap().iter().all(|value| value[number].as_u64() > Some(0)));
        assert_eq!(all[0]["values"][0].get(number), None);
    }
}

#[actix_web::test]
async fn an_unknown_kind_is_told_which_there_are() {
    let site = Site::memory(Preset::Instant).await;
    for kind in ["nonsense", "", "REGION"] {
        let refused = site.get(&format!("/site-constants?constant={kind}")).await;
        refused.expect_problem(400, "unknown_constant", Some("constant"));
        assert_eq!(
            refused.json()["constants"],
            serde_json::json!(["region", "machine_state", "machine_operation", "machine_type"])
        );
    }
}
