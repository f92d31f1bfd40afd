//! A MongoDB that cannot be used is told at once: what is wrong and what to do, and nothing of the URI.

use std::process::Command;

use cloudm_testing_mongo::{Options, PASSWORD, Program, ROOT, Running};

/// Starts a server on this MongoDB, which is to end by itself; returns what it said.
fn refusal(uri: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_cloudm-server"))
        .current_dir(directory.path())
        .env_clear()
        .envs([("CLOUDM__HTTP__BIND", "127.0.0.1:0"), ("CLOUDM__STORE__KIND", "mongodb"), ("CLOUDM__STORE__URI", uri)])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "");
    String::from_utf8(ended.stderr).unwrap()
}

#[track_caller]
fn assert_refused(uri: &str, because: &[&str], secrets: &[&str]) {
    let told = refusal(uri);
    for part in because {
        assert!(told.contains(part), "'{part}' is not in: {told}");
    }
    for secret in secrets {
        assert!(!told.contains(secret), "'{secret}' is in: {told}");
    }
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// A MongoDB of its own.
fn mongo(options: Options) -> (Running, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Program::from_env().unwrap().start(directory.path(), options).unwrap(), directory)
}

/// Not waited for as long as a server does that starts together with its database.
const SOON: &str = "serverSelectionTimeoutMS=300";

#[test]
fn an_unreachable_one() {
    let uri = format!("mongodb://me:secret@127.0.0.1:9/?{SOON}");
    assert_refused(
        &uri,
        &["no MongoDB", "store.uri", "Connection refused", "start it"],
        &["secret", "me:", "127.0.0.1:9"],
    );
}

#[test]
fn a_set_of_another_name() {
    let uri = cloudm_testing_mongo::uri().unwrap();
    assert_refused(&format!("{uri}?replicaSet=other-name&{SOON}"), &["no MongoDB", "the set's name"], &["other-name"]);
}

#[test]
fn one_without_tls() {
    let uri = cloudm_testing_mongo::uri().unwrap();
    assert_refused(&format!("{uri}?tls=true&{SOON}"), &["no MongoDB", "TLS"], &[]);
    let uri = format!("{uri}?tls=true&tlsCAFile=/no/such.pem");
    assert_refused(&uri, &["store.uri", "No such file"], &["such.pem"]);
}

#[test]
fn a_standalone_one() {
    let (running, _directory) = mongo(Options { standalone: true, ..Options::default() });
    let because = ["standalone", "--replSet", "rs.initiate()"];
    assert_refused(&running.uri(), &because, &[]);
    assert_refused(&format!("{}?replicaSet=rs0&{SOON}", running.uri()), &because, &[]);
}

#[test]
fn wrong_credentials_and_missing_rights() {
    let (running, _directory) = mongo(Options { auth: true, ..Options::default() });
    running.add_user(ROOT, ("root", "admin")).unwrap();
    running.add_user("reader", ("read", "cloudm")).unwrap();
    running.add_user("stranger", ("readWrite", "other")).unwrap();
    let credentials = ["credentials", "user, password and authSource"];
    assert_refused(&running.uri_of("reader", "wrong-password"), &credentials, &["wrong-password", "reader"]);
    assert_refused(&running.uri(), &credentials, &[]);
    for user in ["reader", "stranger"] {
        let because = ["no rights", "readWrite", "store.database"];
        assert_refused(&running.uri_of(user, PASSWORD), &because, &[PASSWORD, user]);
    }
}
