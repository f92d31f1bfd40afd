//! Starting: on nothing, twice, and on what cannot be used.

use std::process::{Command, Stdio};

use crate::support::Server;

fn refused(directory: &std::path::Path) -> String {
    let ended = Command::new(env!("CARGO_BIN_EXE_cloudm-server"))
        .current_dir(directory)
        .env_clear()
        .envs([("CLOUDM__HTTP__BIND", "127.0.0.1:0")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "embedded");
    let told = refused(directory.path());
    assert!(told.contains("cloudm-data") && told.contains("another"), "{told}");
    assert_eq!(server.client().get("/clusters").status, 200);
}

#[test]
fn data_that_is_not_cloudms_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("cloudm-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("catalogue.db"), "something else").unwrap();
    let told = refused(directory.path());
    assert!(told.contains("catalogue.db"), "{told}");
    assert_eq!(std::fs::read_to_string(data.join("catalogue.db")).unwrap(), "something else");
}

#[test]
fn a_healthcheck_finds_a_ready_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "memory");
    let asked = Command::new(env!("CARGO_BIN_EXE_cloudm-server"))
        .arg("healthcheck")
        .current_dir(directory.path())
        .env_clear()
        .env("CLOUDM__HTTP__BIND", server.base.trim_start_matches("http://"))
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
}
