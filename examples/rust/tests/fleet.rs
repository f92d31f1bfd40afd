//! Tests of a program that keeps a fleet running, against a cloud whose time they move.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use cloudm_example::{Origin, Refused, World};
use serde_json::{Value, json};

/// The program under test: starts every machine that has failed; says how many.
fn heal(cloud: &World) -> usize {
    let failed = cloud.machines("state=FAILED").unwrap();
    for machine in &failed {
        let id = machine["id"].as_str().unwrap();
        cloud.ask("POST", &format!("/machines/{id}?action=START"), &Value::Null).unwrap();
    }
    failed.len()
}

/// A fleet of twenty that runs.
static FLEET: Origin = Origin::new(fleet);

fn fleet() -> Result<World, Refused> {
    let world = World::make(42, "flaky")?;
    world.ask("POST", "/clusters", &json!({"name": "web", "region_code": "A"}))?;
    for number in 0..20 {
        let machine = json!({"name": format!("web-{number}"), "cluster_name": "web"});
        world.ask("POST", "/machines", &machine)?;
    }
    world.run_until_idle()?;
    Ok(world)
}

#[test]
fn a_boot_takes_minutes_that_take_no_time() {
    let world = FLEET.fork().unwrap();
    let machine = world.ask("POST", "/machines", &json!({"name": "new", "cluster_name": "web"})).unwrap();
    assert_eq!(machine["state"], "PROVISIONING");
    let path = format!("/machines/{}", machine["id"].as_str().unwrap());
    let refused = world.ask("POST", &format!("{path}?action=STOP"), &Value::Null).unwrap_err();
    assert_eq!(refused.code(), "operation_in_progress");
    world.advance("10m").unwrap();
    assert_eq!(world.ask("GET", &path, &Value::Null).unwrap()["state"], "RUNNING");
}

#[test]
fn a_night_of_failures_is_healed() {
    let world = FLEET.fork().unwrap();
    assert!(world.advance("8h").unwrap()["states"]["FAILED"].as_u64() > Some(0));
    let failed = world.machines("state=FAILED").unwrap().len();
    assert_eq!(heal(&world), failed);
    assert_eq!(world.machines("state=FAILED").unwrap().len(), 0);
}

#[test]
fn a_month_is_the_same_each_time() {
    let world = FLEET.fork().unwrap();
    let twin = world.fork().unwrap();
    for world in [&*world, &twin] {
        for _ in 0..30 {
            world.advance("24h").unwrap();
            heal(world);
        }
    }
    assert_eq!(world.digest().unwrap(), twin.digest().unwrap());
}
