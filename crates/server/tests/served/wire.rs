//! What can be seen on the connection only: where one answer ends and the next begins.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::Server;

/// Sends all of this over one connection, which the server closes in the end, and returns all that came back.
fn exchange(server: &Server, requests: &str) -> String {
    let mut connection = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    connection.write_all(requests.as_bytes()).unwrap();
    let mut answers = Vec::new();
    connection.read_to_end(&mut answers).unwrap();
    String::from_utf8(answers).unwrap()
}

/// The lines of the first head, in alphabetical order but without the ids and the date; and what comes after it.
fn first_head(answers: &str) -> (Vec<&str>, &str) {
    let (head, rest) = answers.split_once("\r\n\r\n").unwrap();
    let changing = |line: &&str| {
        !["date:", "x-request-id:", "x-world-now:", "connection:"].iter().any(|name| line.starts_with(name))
    };
    let mut lines: Vec<_> = head.lines().filter(changing).collect();
    lines.sort_unstable();
    (lines, rest)
}

#[test]
fn the_answer_to_head_is_the_head_alone() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "memory");
    server.client().create_cluster();
    let machine = format!("/api/v1/machines/{}", server.client().create_machine("web-1"));
    for path in
        ["/api/v1/machines", &machine, "/livez", "/openapi.json", "/apidocs/", "/", "/nope", "/api/v1/machines/x"]
    {
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: cloudm\r\nconnection: close\r\n\r\n");
        let alone = exchange(&server, &head);
        let head = head.replace("connection: close\r\n", "");
        let get = format!("GET {path} HTTP/1.1\r\nhost: cloudm\r\nconnection: close\r\n\r\n");
        let answers = exchange(&server, &(head + &get));
        let (of_head, rest) = first_head(&answers);
        assert!(
            rest.starts_with("HTTP/1.1 "),
            "{path}: nothing stands between the head and the next answer: {rest:.200}"
        );
        let (of_get, body) = first_head(rest);
        assert_eq!(of_head, of_get, "{path}");
        assert_eq!(first_head(&alone), (of_head, ""), "{path}");
        let length = format!("content-length: {}", body.len());
        assert!(of_get.contains(&&*length), "{path}: {of_get:?} {length}");
    }
}

#[test]
fn an_answer_without_a_body_is_followed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "memory");
    server.client().create_cluster();
    let machine = format!("/api/v1/machines/{}", server.client().create_machine("web-1"));
    for (first, status) in [
        (format!("GET {machine} HTTP/1.1\r\nif-none-match: *"), "304"),
        (format!("HEAD {machine} HTTP/1.1\r\nif-none-match: *"), "304"),
        ("OPTIONS /api/v1/machines HTTP/1.1".into(), "204"),
        ("HEAD /api/v1/machines/export HTTP/1.1".into(), "200"),
        ("HEAD /api/v1/events HTTP/1.1\r\naccept: text/event-stream".into(), "200"),
        (format!("DELETE {machine} HTTP/1.1"), "204"),
    ] {
        let next = "GET /livez HTTP/1.1\r\nhost: cloudm\r\nconnection: close\r\n\r\n";
        let answers = exchange(&server, &format!("{first}\r\nhost: cloudm\r\n\r\n{next}"));
        let (_, rest) = first_head(&answers);
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")) && rest.starts_with("HTTP/1.1 200 "), "{answers}");
    }
}

#[test]
fn a_body_that_is_too_large_ends_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "memory");
    let body = " ".repeat(256 * 1024 + 1);
    let head = "POST /api/v1/clusters HTTP/1.1\r\nhost: cloudm\r\ncontent-type: application/json\r\ncontent-length: ";
    let answers = exchange(&server, &format!("{head}{}\r\n\r\n{body}", body.len()));
    assert!(answers.starts_with("HTTP/1.1 413 ") && answers.contains("\r\nconnection: close\r\n"), "{answers}");
    assert!(answers.contains("\"body_too_large\""), "{answers}");
}
