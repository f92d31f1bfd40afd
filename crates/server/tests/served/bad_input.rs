//! Bad input: each line of the contract has its own code, and changes nothing.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::inside::Inside;

/// A world with a cluster `web` and a RUNNING machine `web-1`, and what it is.
struct Before {
    inside: Inside,
    cluster: String,
    machine: String,
    state: Value,
}

impl Before {
    fn new() -> Self {
        let inside = Inside::new(Preset::Instant);
        inside.client.create_cluster();
        let machine = inside.client.create_machine("web-1");
        let cluster = inside.client.machine(&machine)["cluster_id"].as_str().unwrap().to_owned();
        let state = everything(&inside.client);
        Self { inside, cluster, machine, state }
    }

    /// Checks that the answer is this problem, and that all is as it was.
    fn refused(&self, answer: &Answer, status: u16, code: &str) {
        let problem = answer.json();
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("urn:cloudm:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], answer.header("x-request-id"));
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        assert_eq!(everything(&self.inside.client), self.state, "{code} changed something");
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.inside.client.send(method, path, &[], body)
    }

    /// Sends a body as it is, with its media type.
    fn body(&self, method: &str, path: &str, media_type: &str, body: &str) -> Answer {
        let headers = [("content-type", media_type)];
        self.inside.client.raw(method, &format!("/api/v1{path}"), &headers, body).unwrap()
    }

    /// The routes that take a body, each with a proper one.
    fn with_bodies(&self) -> [(&'static str, String, Value); 4] {
        [
            ("POST", "/clusters".into(), json!({"name": "new", "region_code": "A"})),
            ("PATCH", format!("/clusters/{}", self.cluster), json!({"name": "new", "region_code": "A"})),
            ("POST", "/machines".into(), json!({"name": "new", "cluster_name": "web", "tags": ["a"]})),
            ("PATCH", format!("/machines/{}", self.machine), json!({"name": "new", "tags": ["a"]})),
        ]
    }
}

/// All that can be seen of a world.
fn everything(client: &Client) -> Value {
    let paths = ["/clusters", "/machines", "/machines?state=TERMINATED", "/events"];
    paths.map(|path| client.get(path).json()).to_vec().into()
}

#[test]
fn what_is_no_json() {
    let before = Before::new();
    for (method, path, proper) in before.with_bodies() {
        let proper = proper.to_string();
        for broken in ["{", &proper[..proper.len() - 1], &format!("{proper} {proper}"), "\u{1}", "nul"] {
            let answer = before.body(method, &path, "application/json", broken);
            before.refused(&answer, 400, "malformed_json");
        }
        let answer = before.body(method, &path, "application/json", "");
        before.refused(&answer, 400, "missing_body");
    }
}

#[test]
fn wrong_types_unknown_missing_and_doubled_fields() {
    let before = Before::new();
    for (method, path, proper) in before.with_bodies() {
        for wrong in [json!([]), json!(["a"]), json!("text"), json!(7), json!(null)] {
            before.refused(&before.send(method, &path, Some(&wrong)), 422, "wrong_type");
        }
        if path.starts_with("/machines") {
            for protection in [json!([]), json!([true, true]), json!({"stop": "yes"}), json!({"stop": null}), json!(1)]
            {
                let mut wrong = proper.clone();
                wrong["protection"] = protection;
                before.refused(&before.send(method, &path, Some(&wrong)), 422, "wrong_type");
            }
        }
        for value in [json!(7), json!(null), json!({}), json!([])] {
            let mut wrong = proper.clone();
            wrong["name"] = value;
            let answer = before.send(method, &path, Some(&wrong));
            before.refused(&answer, 422, "wrong_type");
            assert_eq!(answer.json()["errors"][0]["pointer"], "/name");
        }
        let mut unknown = proper.clone();
        unknown["nmae"] = json!("x");
        let answer = before.send(method, &path, Some(&unknown));
        before.refused(&answer, 422, "unknown_field");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/nmae");
        let doubled = proper.to_string().replacen('{', "{\"name\":\"x\",", 1);
        before.refused(&before.body(method, &path, "application/json", &doubled), 422, "duplicate_field");
        if method == "POST" {
            let mut missing = proper.clone();
            missing.as_object_mut().unwrap().remove("name");
            let answer = before.send(method, &path, Some(&missing));
            before.refused(&answer, 422, "missing_field");
            assert_eq!(answer.json()["errors"][0]["pointer"], "/name");
        }
    }
}

#[test]
fn bad_names_and_tags() {
    let before = Before::new();
    let long = "x".repeat(64);
    for (method, path, proper) in before.with_bodies() {
        for name in ["", &long, "a\u{0}b", "a\nb", "a b", "-a", "ä", "0123456789abcdef01234567"] {
            let mut bad = proper.clone();
            bad["name"] = name.into();
            before.refused(&before.send(method, &path, Some(&bad)), 422, "invalid_name");
        }
    }
    let many: Vec<_> = (0..51).map(|i| format!("t{i}")).collect();
    for (method, path, proper) in &before.with_bodies()[2..] {
        for tags in [json!(many), json!(["a", "a"]), json!([""]), json!(["a b"]), json!(["x".repeat(129)])] {
            let mut bad = proper.clone();
            bad["tags"] = tags;
            before.refused(&before.send(method, path, Some(&bad)), 422, "invalid_tags");
        }
    }
}

#[test]
fn what_does_not_exist_in_a_body() {
    let before = Before::new();
    let machine = |field: &str, value: &str| {
        let mut body = json!({"name": "new", "cluster_name": "web"});
        body[field] = value.into();
        before.send("POST", "/machines", Some(&body))
    };
    before.refused(&machine("cluster_name", "nowhere"), 422, "unknown_cluster");
    before.refused(&machine("machine_type", "huge"), 422, "unknown_machine_type");
    let cluster = json!({"name": "new", "region_code": "Z"});
    before.refused(&before.send("POST", "/clusters", Some(&cluster)), 422, "unknown_region");
    let patch = json!({"region_code": "Z"});
    before.refused(
        &before.send("PATCH", &format!("/clusters/{}", before.cluster), Some(&patch)),
        422,
        "unknown_region",
    );
    let resize = format!("/machines/{}?action=RESIZE&machine_type=huge", before.machine);
    before.refused(&before.send("POST", &resize, None), 422, "unknown_machine_type");
}

#[test]
fn bodies_that_are_too_large_or_of_another_kind() {
    let before = Before::new();
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    for (method, path, proper) in before.with_bodies() {
        before.refused(&before.body(method, &path, "application/json", &large), 413, "body_too_large");
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonx"] {
            let answer = before.body(method, &path, media_type, &proper.to_string());
            before.refused(&answer, 415, "unsupported_media_type");
        }
    }
    let create = &before.with_bodies()[0];
    let as_patch = before.body("POST", &create.1, "application/merge-patch+json", &create.2.to_string());
    before.refused(&as_patch, 415, "unsupported_media_type");
}

#[test]
fn a_body_where_none_belongs() {
    let before = Before::new();
    let (cluster, machine) = (format!("/clusters/{}", before.cluster), format!("/machines/{}", before.machine));
    let stop = format!("{machine}?action=STOP");
    for (method, path) in [("DELETE", &cluster), ("DELETE", &machine), ("POST", &stop)] {
        before.refused(&before.body(method, path, "application/json", "{}"), 400, "unexpected_body");
    }
}

#[test]
fn ids_malformed_and_unknown() {
    let before = Before::new();
    let unknown = "0123456789abcdef01234567";
    let body = json!({"tags": []});
    let routes = [
        ("GET", "machines", "", None),
        ("GET", "machines", "/events", None),
        ("DELETE", "machines", "", None),
        ("POST", "machines", "?action=STOP", None),
        ("PATCH", "machines", "", Some(&body)),
        ("GET", "clusters", "", None),
        ("DELETE", "clusters", "", None),
    ];
    for (method, resource, rest, body) in routes {
        for malformed in ["1", "0123456789ABCDEF01234567", "0123456789abcdef0123456g", "0123456789abcdef012345678"] {
            let answer = before.send(method, &format!("/{resource}/{malformed}{rest}"), body);
            before.refused(&answer, 400, "invalid_id");
        }
        let code = if resource == "machines" { "no_such_machine" } else { "no_such_cluster" };
        before.refused(&before.send(method, &format!("/{resource}/{unknown}{rest}"), body), 404, code);
    }
    let edit = json!({"name": "new"});
    before.refused(&before.send("PATCH", &format!("/clusters/{unknown}"), Some(&edit)), 404, "no_such_cluster");
}

#[test]
fn actions_and_constants() {
    let before = Before::new();
    let act = |query: &str| before.send("POST", &format!("/machines/{}{query}", before.machine), None);
    for action in ["?action=BOOT", "?action=", "?action=CREATE"] {
        before.refused(&act(action), 400, "unknown_action");
    }
    before.refused(&act(""), 400, "missing_parameter");
    before.refused(&act("?action=RESIZE"), 400, "missing_parameter");
    before.refused(&act("?action=STOP&machine_type=large"), 400, "invalid_parameter");
    before.refused(&act("?action=STOP&force=yes"), 400, "invalid_parameter");
    let refused = act("?action=RESUME&force=true&dry_run=false&action=STOP");
    before.refused(&refused, 400, "duplicate_parameter");
    let unknown = before.send("GET", "/site-constants?constant=colour", None);
    before.refused(&unknown, 400, "unknown_constant");
    assert_eq!(unknown.json()["constants"], json!(["region", "machine_state", "machine_operation", "machine_type"]));
}

#[test]
fn illegal_transitions_and_taken_names() {
    let before = Before::new();
    let resize = format!("/machines/{}?action=RESIZE&machine_type=large", before.machine);
    let answer = before.send("POST", &resize, None);
    before.refused(&answer, 409, "illegal_transition");
    assert_eq!(answer.json()["state"], "RUNNING");
    assert_eq!(answer.json()["allowed_operations"], json!(["STOP", "REBOOT", "SUSPEND", "TERMINATE"]));
    let machine = json!({"name": "web-1", "cluster_name": "web"});
    before.refused(&before.send("POST", "/machines", Some(&machine)), 409, "name_taken");
    let cluster = json!({"name": "web", "region_code": "B"});
    before.refused(&before.send("POST", "/clusters", Some(&cluster)), 409, "name_taken");
    before.refused(&before.send("DELETE", &format!("/clusters/{}", before.cluster), None), 409, "cluster_not_empty");
}

#[test]
fn query_parameters() {
    let before = Before::new();
    let get = |path: &str| before.send("GET", path, None);
    let machine = format!("/machines/{}", before.machine);
    let cluster = format!("/clusters/{}", before.cluster);
    let every =
        ["/machines", "/clusters", "/events", &format!("{machine}/events"), &machine, &cluster, "/site-constants"];
    for path in every {
        before.refused(&get(&format!("{path}?clutser=x")), 400, "unknown_parameter");
        before.refused(&get(&format!("{path}?a=%zz")), 400, "malformed_request");
    }
    for path in &every[..4] {
        for size in ["0", "1001", "-1", "ten", "1.5", "", "99999999999999999999"] {
            before.refused(&get(&format!("{path}?page_size={size}")), 400, "invalid_page_size");
        }
        before.refused(&get(&format!("{path}?page_size=1&page_size=1")), 400, "duplicate_parameter");
        for token in ["x", "", "AAAAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(5_000)] {
            before.refused(&get(&format!("{path}?page_token={token}")), 400, "invalid_page_token");
        }
    }
    for bad in
        ["state=UP", "state=", "tag=a%20b", "name=a*b", "order_by=id", "cluster=a%2Fb", "region=", "machine_type=%21"]
    {
        before.refused(&get(&format!("/machines?{bad}")), 400, "invalid_parameter");
    }
    for path in ["/events?after=!", "/events?after=AAAA", &format!("{machine}/events?after=AAAAAAAAAAAAAAAAAAAAAA")] {
        before.refused(&get(path), 400, "invalid_position");
    }
    let on_a_write = before.send("POST", "/clusters?region=A", Some(&json!({"name": "new", "region_code": "A"})));
    before.refused(&on_a_write, 400, "unknown_parameter");
    before.refused(&before.send("DELETE", &format!("{machine}?dryrun=true"), None), 400, "unknown_parameter");
}

#[test]
fn an_altered_token() {
    let before = Before::new();
    before.inside.client.create_machine("web-2");
    let first = before.inside.client.get("/machines?page_size=1").json();
    let token = first["next_page_token"].as_str().unwrap().to_owned();
    let state = everything(&before.inside.client);
    let before = Before { state, ..before };
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let answer = before.send("GET", &format!("/machines?page_size=1&page_token={altered}"), None);
        before.refused(&answer, 400, "invalid_page_token");
    }
    for other_list in
        ["/machines?state=RUNNING", "/machines?order_by=name", "/machines?order_by=-created_at", "/clusters?"]
    {
        let answer = before.send("GET", &format!("{other_list}&page_token={token}"), None);
        before.refused(&answer, 400, "invalid_page_token");
    }
}

#[test]
fn headers() {
    let before = Before::new();
    let machine = format!("/machines/{}", before.machine);
    let body = json!({"tags": ["b"]});
    for value in ["x", "\"3", "1.2.3", "W/3"] {
        let answer = before.inside.client.send("PATCH", &machine, &[("if-match", value)], Some(&body));
        before.refused(&answer, 400, "invalid_header");
        let answer = before.inside.client.send("GET", &machine, &[("if-none-match", value)], None);
        before.refused(&answer, 400, "invalid_header");
    }
    let long = "k".repeat(256);
    for key in ["", "a b", long.as_str()] {
        let stop = format!("{machine}?action=STOP");
        let answer = before.inside.client.send("POST", &stop, &[("idempotency-key", key)], None);
        before.refused(&answer, 400, "invalid_header");
    }
}

#[test]
fn paths_and_methods_that_do_not_exist() {
    let before = Before::new();
    for path in ["/nope", "/api/v1/nope", "/api/v2/machines", "/api/v1/machines/", "/api/v1/clusters/x/y", "//"] {
        let answer = before.inside.client.raw("GET", path, &[], "").unwrap();
        before.refused(&answer, 404, "no_such_path");
    }
    let machine = format!("/api/v1/machines/{}", before.machine);
    let cases = [
        ("PUT", "/api/v1/machines", "GET, HEAD, POST"),
        ("DELETE", "/api/v1/clusters", "GET, HEAD, POST"),
        ("PUT", &machine, "GET, HEAD, POST, PATCH, DELETE"),
        ("POST", "/api/v1/events", "GET, HEAD"),
        ("TRACE", "/api/v1/machines", "GET, HEAD, POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("POST", "/apidocs/", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = before.inside.client.raw(method, path, &[], "").unwrap();
        before.refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}
