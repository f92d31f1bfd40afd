//! Imports and exports that do not come to their end.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::client::Client;
use crate::support::{Place, STORES, Server};

fn lines(numbers: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for number in numbers {
        writeln!(text, "{}", json!({"name": format!("m-{number}"), "cluster_name": "web"})).unwrap();
    }
    text
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.base.strip_prefix("http://").unwrap()).unwrap()
}

fn machines(client: &Client) -> u64 {
    client.get("/stats").json()["machines"].as_u64().unwrap()
}

fn import(client: &Client, lines: &str) -> (u64, u64) {
    let ndjson = [("content-type", "application/x-ndjson")];
    let report = client.raw("POST", "/api/v1/machines/import", &ndjson, lines).unwrap().json();
    (report["created"].as_u64().unwrap(), report["refused"].as_u64().unwrap())
}

#[test]
fn what_an_import_made_stays_where_its_client_goes_away() {
    for store in STORES {
        let place = Place::new(store);
        let server = place.start();
        let client = server.client();
        client.create_cluster();
        // More of them than there are places for.
        for round in 0..17 {
            let numbers = round * 600..(round + 1) * 600;
            let mut socket = connect(&server);
            let head =
                "POST /api/v1/machines/import HTTP/1.1\r\nhost: cloudm\r\ncontent-type: application/x-ndjson\r\n";
            let text = lines(numbers.clone());
            write!(socket, "{head}content-length: 1000000000\r\n\r\n{text}").unwrap();
            // They are made in the order in which they come, so many together.
            let expected = (round as u64 + 1) * 512;
            while machines(&client) < expected {
                std::thread::yield_now();
            }
            drop(socket);
            assert_eq!(machines(&client), expected);
        }
        assert_eq!(import(&client, &lines(0..600)), (88, 512), "it can be repeated");
    }
}

#[test]
fn an_export_of_a_server_that_dies_has_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "embedded");
    let client = server.client();
    client.create_cluster();
    assert_eq!(import(&client, &lines(0..20_000)), (20_000, 0));
    let mut socket = connect(&server);
    write!(socket, "GET /api/v1/machines/export HTTP/1.1\r\nhost: cloudm\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = vec![0; 1000];
    socket.read_exact(&mut answer).unwrap();
    server.kill();
    // The connection is cut, or ends; what it does not do is to end as a whole answer does.
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    assert!(!answer.ends_with(b"0\r\n\r\n"), "{} bytes", answer.len());
}
