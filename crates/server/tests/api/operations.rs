//! Operations on one machine, held against the table of the lifecycle.

use cloudm_domain::{Cause, MachineState, Operation, Preset, already_so, transition};
use serde_json::{Value, json};

use crate::site::{HOUR, Site, on_every_store};

/// Makes a machine that is in this state now, under the preset `realistic`; none where only the world leads there.
async fn machine_in(site: &Site, state: MachineState) -> Option<String> {
    let path = site.machine_of(&json!({"name": state.code(), "cluster_name": "web"})).await;
    let due = |machine: &Value| machine["transition"]["due_at"].clone();
    let steps: &[&str] = match state {
        MachineState::Provisioning => return Some(path),
        MachineState::Starting => {
            site.go_to(&due(&site.get(&path).await.json()));
            return Some(path);
        }
        MachineState::Running => &[],
        MachineState::Stopping => &["STOP"],
        MachineState::Stopped => &["STOP", ""],
        MachineState::Suspending => &["SUSPEND"],
        MachineState::Suspended => &["SUSPEND", ""],
        MachineState::Resuming => &["SUSPEND", "", "RESUME"],
        MachineState::Rebooting => &["REBOOT"],
        MachineState::Updating => &["STOP", "", "RESIZE&machine_type=medium"],
        MachineState::Terminating => &["TERMINATE"],
        MachineState::Terminated => &["TERMINATE", ""],
        MachineState::Failed | MachineState::Repairing | MachineState::Migrating => return None,
    };
    site.wall.advance(HOUR);
    for step in steps {
        match *step {
            "" => site.go_to(&due(&site.get(&path).await.json())),
            action => drop(site.operate(&path, action).await.expect(202)),
        }
    }
    Some(path)
}

/// The status that the table of the lifecycle leads to.
fn expected(operation: Operation, state: MachineState, forced: bool) -> (u16, Option<&'static str>) {
    match transition(Cause::from(operation), state, forced, false) {
        Some(row) if row.via.is_empty() => (200, None),
        Some(_) => (202, None),
        None if already_so(operation, state) => (if state.is_active() { 202 } else { 200 }, None),
        None if state.is_active() => (409, Some("operation_in_progress")),
        None => (409, Some("illegal_transition")),
    }
}

#[actix_web::test]
async fn every_operation_in_every_state_does_what_the_table_says() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let mut seen = 0;
    for state in MachineState::ALL {
        let Some(path) = machine_in(&site, *state).await else { continue };
        let before = site.get(&path).await.expect(200).json();
        assert_eq!(before["state"], state.code());
        assert_eq!(before.get("transition").is_some(), state.is_active());
        for operation in Operation::ALL {
            for forced in [false, true] {
                let resize = if *operation == Operation::Resize { "&machine_type=large" } else { "" };
                let asked = format!("{path}?action={}&force={forced}{resize}&dry_run=true", operation.code());
                let answer = site.post(&asked, &Value::Null).await;
                let (status, code) = expected(*operation, *state, forced);
                let told = answer.json();
                assert_eq!((answer.status, told["code"].as_str()), (status, code), "{asked} in {state}: {answer}");
                if code.is_some() {
                    assert_eq!(told["state"], state.code());
                    assert_eq!(told["allowed_operations"], before["allowed_operations"]);
                }
                if code == Some("operation_in_progress") {
                    assert_eq!(told["transition"], before["transition"]);
                }
                let changes = transition(Cause::from(*operation), *state, false, false).is_some();
                let listed = before["allowed_operations"].as_array().unwrap().contains(&json!(operation.code()));
                assert_eq!(listed, changes, "{operation} in {state}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 12 * 7 * 2, "the states that operations lead to");
}

#[actix_web::test]
pub(crate) async fn an_operation_takes_effect_and_is_done_when_it_is_due() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        let path = site.machine("a").await;
        site.wall.advance(HOUR);
        for (action, on_the_way, end) in [
            ("STOP", "STOPPING", "STOPPED"),
            ("START", "STARTING", "RUNNING"),
            ("REBOOT", "REBOOTING", "RUNNING"),
            ("SUSPEND", "SUSPENDING", "SUSPENDED"),
            ("RESUME", "RESUMING", "RUNNING"),
        ] {
            let before = site.get(&path).await.json();
            let answer = site.operate(&path, action).await.expect(202);
            let machine = answer.json();
            assert_eq!(machine["state"], on_the_way);
            assert_eq!(machine["version"].as_u64(), before["version"].as_u64().map(|version| version + 1));
            assert_eq!(answer.etag(), format!("\"{}.1\"", machine["version"]));
            let transition = &machine["transition"];
            assert_eq!((&transition["operation"], &transition["from"]), (&json!(action), &before["state"]));
            assert_eq!(site.get(&path).await.json(), machine);
            site.go_just_before(&transition["due_at"]);
            assert_eq!(site.state(&path).await, on_the_way);
            site.go_to(&transition["due_at"]);
            assert_eq!(site.state(&path).await, end);
        }
        site.operate(&path, "SUSPEND").await.expect(202);
        site.wall.advance(HOUR);
        assert_eq!(site.operate(&path, "STOP").await.expect(200).json()["state"], "STOPPED");
    })
    .await;
}

#[actix_web::test]
async fn what_is_so_already_is_no_change() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    for action in ["START", "RESUME", "RESIZE&machine_type=small"] {
        let before = site.everything().await;
        site.operate(&path, action).await.expect(200);
        assert_eq!(site.everything().await, before, "{action}");
    }
}

#[actix_web::test]
async fn an_action_is_read_in_any_case() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    for (action, state) in [("stop", "STOPPED"), ("sTaRt", "RUNNING"), ("Suspend", "SUSPENDED"), ("RESUME", "RUNNING")]
    {
        assert_eq!(site.operate(&path, action).await.expect(200).json()["state"], state);
    }
}

#[actix_web::test]
async fn force_cuts_a_start_short() {
    let site = Site::memory(Preset::Realistic).await;
    site.cluster("web").await;
    let path = site.machine("a").await;
    site.go_to(&site.get(&path).await.json()["transition"]["due_at"]);
    assert_eq!(site.state(&path).await, "STARTING");
    site.operate(&path, "STOP").await.expect_problem(409, "operation_in_progress", None);
    site.operate(&path, "STOP&force=false").await.expect_problem(409, "operation_in_progress", None);
    let stopping = site.operate(&path, "STOP&force=true").await.expect(202).json();
    assert_eq!((&stopping["state"], &stopping["transition"]["from"]), (&json!("STOPPING"), &json!("STARTING")));
    site.wall.advance(HOUR);
    assert_eq!(site.state(&path).await, "STOPPED");
}

#[actix_web::test]
async fn a_resize_gives_the_type_when_it_is_done() {
    on_every_store(Preset::Realistic, async |site| {
        site.cluster("web").await;
        let path = site.machine_of(&json!({"name": "a", "cluster_name": "web", "start": false})).await;
        site.wall.advance(HOUR);
        let updating = site.operate(&path, "RESIZE&machine_type=large").await.expect(202).json();
        assert_eq!((&updating["state"], &updating["machine_type"]), (&json!("UPDATING"), &json!("small")));
        // The type that it is getting is as good as given; another is refused.
        assert_eq!(site.operate(&path, "RESIZE&machine_type=large").await.expect(202).json(), updating);
        let other = site.operate(&path, "RESIZE&machine_type=medium").await;
        other.expect_problem(409, "operation_in_progress", None);
        let of_type =
            |code: &'static str| async move { site.get(&format!("/machines?machine_type={code}")).await.items().len() };
        site.go_just_before(&updating["transition"]["due_at"]);
        assert_eq!((of_type("small").await, of_type("large").await), (1, 0));
        site.go_to(&updating["transition"]["due_at"]);
        assert_eq!((of_type("small").await, of_type("large").await), (0, 1));
        let stopped = site.get(&path).await.json();
        assert_eq!((&stopped["state"], &stopped["machine_type"]), (&json!("STOPPED"), &json!("large")));
        site.operate(&path, "START").await.expect(202);
        site.wall.advance(HOUR);
        let running = site.operate(&path, "RESIZE&machine_type=small").await;
        running.expect_problem(409, "illegal_transition", None);
    })
    .await;
}

#[actix_web::test]
async fn protection_holds_forced_or_not_until_it_is_taken_away() {
    on_every_store(Preset::Instant, async |site| {
        site.cluster("web").await;
        let protection = json!({"stop": true, "terminate": true});
        let path = site.machine_of(&json!({"name": "a", "cluster_name": "web", "protection": protection})).await;
        let before = site.everything().await;
        assert_eq!(site.get(&path).await.json()["allowed_operations"], json!(["REBOOT", "SUSPEND"]));
        for action in ["STOP", "TERMINATE", "STOP&force=true", "TERMINATE&force=true", "STOP&dry_run=true"] {
            let refused = site.operate(&path, action).await;
            refused.expect_problem(409, "protected", None);
            assert_eq!(refused.json()["state"], "RUNNING");
        }
        for path in [&path, &format!("{path}?dry_run=true")] {
            site.delete(path).await.expect_problem(409, "protected", None);
        }
        assert_eq!(site.everything().await, before);
        site.operate(&path, "REBOOT").await.expect(200);
        site.patch(&path, &json!({"protection": {"stop": false}})).await.expect(200);
        site.operate(&path, "STOP").await.expect(200);
        site.delete(&path).await.expect_problem(409, "protected", None);
        site.patch(&path, &json!({"protection": null})).await.expect(200);
        site.delete(&path).await.expect(204);
    })
    .await;
}
