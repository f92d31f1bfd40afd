//! A server that is asked to stop ends what is under way.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::Server;

/// Waits until the server takes no more work: it answers that it is not ready, or no more at all.
fn wait_until_draining(server: &Server) {
    let address = server.base.trim_start_matches("http://").to_owned();
    loop {
        let Ok(mut connection) = TcpStream::connect(&address) else { return };
        let asked = connection.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        if asked.is_err() || connection.read_to_string(&mut answer).is_err() || !answer.starts_with("HTTP/1.1 200") {
            return;
        }
    }
}

#[test]
fn a_request_under_way_is_answered_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "embedded");
    server.client().create_cluster();
    let body = r#"{"name":"last","cluster_name":"web"}"#;
    let (first, rest) = body.split_at(10);
    let mut connection = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /api/v1/machines HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    // An answer to another request shows that the server has read what came before.
    assert_eq!(server.client().get("/machines").status, 200);

    server.terminate();
    wait_until_draining(&server);
    connection.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.wait().success());

    let server = Server::start(directory.path(), "embedded");
    let found = server.client().get("/machines?name=last").json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}
