//! Faults that strike requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::rt::{self, task, time};
use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::faults::World;
use crate::site::{Site, on_every_store};

/// How long a client waits for a server at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves a site on a free port of this host.
fn serve(site: &Site) -> (ServerHandle, SocketAddr) {
    let api = site.api.clone();
    let server = HttpServer::new(move || api.app()).on_connect(site.api.on_connect()).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);
    (handle, address)
}

/// A request as it is on the wire.
fn wire(method: &str, path: &str, headers: &[&str], body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = format!("content-length: {}", body.len());
    let all = [&["host: cloudm", "content-type: application/json", &length], headers].concat();
    format!("{method} /worlds/a/api/v1{path} HTTP/1.1\r\n{}\r\n\r\n{body}", all.join("\r\n"))
}

/// Sends requests over one connection, one after the other, each once an answer to the one before has come whole; returns what
/// came after the last request, up to the end of the connection.
async fn exchange(address: SocketAddr, requests: Vec<String>) -> String {
    let talk = move || {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let (last, others) = requests.split_last().unwrap();
        for request in others {
            connection.write_all(request.as_bytes()).unwrap();
            read_answer(&mut connection);
        }
        connection.write_all(last.as_bytes()).unwrap();
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    };
    task::spawn_blocking(talk).await.unwrap()
}

/// Reads a successful answer with its body.
fn read_answer(connection: &mut TcpStream) {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    connection.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
}

fn on(method: &str, path: &str, effect: &Value) -> Value {
    json!({"on": {"request": {"method": method, "path": path}}, "effect": effect})
}

#[actix_web::test]
async fn a_lost_answer_was_to_a_request_that_was_carried_out() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let mut fault = on("POST", "/machines", &json!({"kind": "lose_reply"}));
        fault["times"] = json!(1);
        world.post(fault).await;
        let (server, address) = serve(site);
        let list = wire("GET", "/machines", &[], &Value::Null);
        let body = json!({"name": "m", "cluster_name": "web"});
        let create = wire("POST", "/machines", &["idempotency-key: k"], &body);
        // The connection is closed without one byte of the answer, and what came before it came whole.
        assert_eq!(exchange(address, vec![list, create]).await, "");
        assert_eq!(world.counts().await, [(1, 1)]);
        let create = wire("POST", "/machines", &["idempotency-key: k", "connection: close"], &body);
        let again = exchange(address, vec![create]).await;
        assert!(again.starts_with("HTTP/1.1 201 ") && again.contains("\r\nidempotency-replayed: true\r\n"), "{again}");
        let machines = world.ask("GET", "/machines", &Value::Null).await.items();
        assert_eq!(machines.len(), 1);
        assert!(again.contains(machines[0]["id"].as_str().unwrap()), "{again}");
        assert_eq!(world.counts().await, [(1, 1)]);
        server.stop(false).await;
    })
    .await;
}

#[actix_web::test]
async fn whatever_the_answer_is_it_is_lost() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    world.post(json!({"on": {"request": {"path": "/*"}}, "effect": {"kind": "lose_reply"}})).await;
    let (server, address) = serve(&site);
    let accept = ["accept: text/event-stream"];
    for request in [
        wire("GET", "/machines/export", &[], &Value::Null),
        wire("GET", "/events", &accept, &Value::Null),
        wire("HEAD", "/machines", &[], &Value::Null),
        wire("GET", "/machines?page_size=0", &[], &Value::Null),
        wire("POST", "/machines", &[], &json!({"nmae": "m"})),
    ] {
        assert_eq!(exchange(address, vec![request]).await, "");
    }
    assert_eq!(world.counts().await, [(5, 5)]);
    server.stop(false).await;
}

#[actix_web::test]
async fn the_answers_before_a_lost_one_come_whole_also_where_nobody_waited_for_them() {
    let site = Site::memory(Preset::Instant).await;
    let world = World::new(&site, "a").await;
    world.post(on("GET", "/stats", &json!({"kind": "lose_reply"}))).await;
    let (server, address) = serve(&site);
    let (list, stats) = (wire("GET", "/clusters", &[], &Value::Null), wire("GET", "/stats", &[], &Value::Null));
    let answers = exchange(address, vec![format!("{list}{list}{stats}{list}")]).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert!(answers.ends_with("]}") && answers.matches("\"name\":\"web\"").count() == 2, "{answers}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_throttled_request_is_to_be_tried_again() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let mut throttle = on("POST", "/machines", &json!({"kind": "throttle", "retry_after": "1500ms"}));
        throttle["after"] = json!(1);
        throttle["times"] = json!(2);
        world.post(throttle).await;
        world.create("first").await.expect(201);
        for _ in 0..2 {
            let refused = world.create("m").await;
            refused.expect_problem(429, "throttled", None);
            assert_eq!((refused.header("retry-after"), refused.json().get("fault")), (Some("2"), None));
        }
        assert_eq!(world.counts().await, [(3, 2)]);
        world.create("m").await.expect(201);
        assert_eq!(world.counts().await, [(3, 2)], "it does nothing any more");
        let kinds: Vec<_> = world.ask("GET", "/events", &Value::Null).await.items();
        assert!(kinds.iter().all(|event| event["kind"] != "FAULT_MATCHED"), "it leaves no trace in the history");
    })
    .await;
}

#[actix_web::test]
async fn a_slow_answer_takes_its_time() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        world.post(on("GET", "/machines", &json!({"kind": "slow_reply", "by": "20ms"}))).await;
        let mut early = Box::pin(time::sleep(Duration::from_millis(20)));
        tokio::select! {
            biased;
            () = &mut early => {}
            answer = world.ask("GET", "/machines", &Value::Null) => panic!("too early: {answer}"),
        }
        assert_eq!(world.ask("GET", "/machines", &Value::Null).await.expect(200).items(), Vec::<Value>::new());
        assert_eq!(world.counts().await, [(2, 2)]);
    })
    .await;
}

#[actix_web::test]
async fn only_requests_like_it_are_struck() {
    on_every_store(Preset::Instant, async |site| {
        let world = World::new(site, "a").await;
        let other = World::new(site, "b").await;
        let made = world.create("m").await.expect(201).json();
        let machine = format!("/machines/{}", made["id"].as_str().unwrap());
        world.post(on("GET", "/machines/*", &json!({"kind": "throttle"}))).await;
        let get = async |path: &str| world.ask("GET", path, &Value::Null).await.status;
        let under = format!("{machine}/events");
        for path in [&machine, &under, "/machines/export", "/machine%73/x", "/machines/x?a=b"] {
            assert_eq!(get(path).await, 429, "{path}");
        }
        world.ask("HEAD", &machine, &Value::Null).await.expect(429);
        let stream = world.ask_with("GET", &under, &[("accept", "text/event-stream")], &Value::Null).await;
        stream.expect_problem(429, "throttled", None);
        assert_eq!(stream.header("retry-after"), Some("1"));
        assert_eq!(world.counts().await, [(7, 7)]);
        assert_eq!((get("/machines").await, get("/stats").await), (200, 200));
        world.ask("PATCH", &machine, &json!({"tags": ["x"]})).await.expect(200);
        other.ask("GET", &machine, &Value::Null).await.expect(404);
        site.get(&machine).await.expect(404);
        // Nothing is struck that controls the simulation.
        world.post(json!({"on": {"request": {"path": "/*"}}, "effect": {"kind": "throttle"}})).await;
        world.clock().await;
        world.simulate("DELETE", "/faults", &Value::Null).await.expect(204);
        assert_eq!(get(&machine).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn odds_of_requests_are_drawn_the_same_each_time() {
    on_every_store(Preset::Instant, async |site| {
        let mut told = Vec::new();
        for name in ["a", "b"] {
            let world = World::new(site, name).await;
            let mut throttle = on("GET", "/stats", &json!({"kind": "throttle"}));
            throttle["probability"] = json!(0.5);
            world.post(throttle).await;
            let mut statuses = Vec::new();
            for _ in 0..40 {
                statuses.push(world.ask("GET", "/stats", &Value::Null).await.status);
            }
            let struck = statuses.iter().filter(|status| **status == 429).count() as u64;
            assert!((8..32).contains(&struck), "{struck} of 40");
            assert_eq!(world.counts().await, [(struck, struck)]);
            told.push(statuses);
        }
        assert_eq!(told[0], told[1]);
    })
    .await;
}
