//! The server as a process: what it prints, when it refuses to start, how it stops.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail loudly; clippy.toml excuses only the test functions themselves"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The server in this directory, with nothing configured but what is said here.
fn server(directory: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudm-server"));
    command.current_dir(directory).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Starts a server on a free port, reads its banner, sends it the signal and returns what it left behind.
fn start_and_stop(signal: &str) -> (String, Output) {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("CLOUDM__HTTP__BIND", "127.0.0.1:0"), ("CLOUDM__STORE__KIND", "memory")];
    let mut server =
        server(directory.path(), &variables).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let banner: Vec<_> = lines.by_ref().take(4).collect::<Result<_, _>>().unwrap();
    let sent = Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap();
    assert!(sent.success());
    (banner.join("\n"), server.wait_with_output().unwrap())
}

#[test]
fn a_signal_ends_it_cleanly_after_a_banner_with_the_real_port() {
    for signal in ["-TERM", "-INT"] {
        let (banner, ended) = start_and_stop(signal);
        assert!(ended.status.success(), "{signal}: {ended:?}");
        assert!(banner.contains("http://127.0.0.1:") && !banner.contains(":0/"), "{banner}");
        let log = text(&ended.stderr);
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["message"], "stopped", "{log}");
    }
}

#[test]
fn a_bad_configuration_is_one_line_and_status_2() {
    let directory = tempfile::tempdir().unwrap();
    for command in [&["serve"][..], &["config", "check"], &["config", "show"], &["healthcheck"], &[]] {
        let refused = server(directory.path(), &[("CLOUDM__HTTP__BIND", "here")]).args(command).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        assert_eq!(text(&refused.stdout), "");
        assert_eq!(text(&refused.stderr).lines().count(), 1);
        assert!(text(&refused.stderr).contains("http.bind"), "{refused:?}");
    }
}

#[test]
fn the_configuration_can_be_checked_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("CLOUDM__STORE__URI", "mongodb://me:secret@host"), ("CLOUDM__SIMULATION__SEED", "7")];
    let checked = server(directory.path(), &variables).args(["config", "check"]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let shown = server(directory.path(), &variables).args(["config", "show"]).output().unwrap();
    let shown = text(&shown.stdout);
    assert!(shown.contains("seed = 7\n") && shown.contains("uri = \"***\"\n") && !shown.contains("secret"), "{shown}");
}

#[test]
fn nobody_there_is_told_by_the_health_check() {
    let directory = tempfile::tempdir().unwrap();
    let unhealthy = server(directory.path(), &[("CLOUDM__HTTP__BIND", "127.0.0.1:9")]).arg("healthcheck").output();
    let unhealthy = unhealthy.unwrap();
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(text(&unhealthy.stderr).contains("http://127.0.0.1:9/readyz does not answer"), "{unhealthy:?}");
}
