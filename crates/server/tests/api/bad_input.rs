//! Bad input: each line of it on every operation that it applies to, with its code; and nothing changes.
//!
//! Which operations those are is asked of the API's description, so that a new one is in without a word here.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::Site;
use crate::spec::{self, Operation};

/// A machine that exists, is STOPPED, and is called `a` in the cluster `web`.
struct Scene {
    site: Site,
    cluster: String,
    machine: String,
}

/// A request that would be carried out as it is.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    content_type: Option<&'static str>,
    body: Vec<u8>,
}

impl Request {
    fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.retain(|(other, _)| other != name);
        self.query.push((name.into(), value.into()));
        self
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), content_type: Some("application/json"), ..self }
    }

    fn uri(&self) -> String {
        let pairs: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

impl Scene {
    async fn new() -> Self {
        let site = Site::memory(Preset::Instant).await;
        let cluster = site.cluster("web").await;
        site.cluster("other").await;
        let stopped = json!({"name": "a", "cluster_name": "web", "tags": ["x"], "start": false});
        let machine = site.machine_of(&stopped).await;
        site.machine("b").await;
        Self { site, cluster, machine }
    }

    /// A request of this operation that would be carried out.
    fn request(&self, operation: &'static Operation) -> Request {
        let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let id = if operation.path.contains("/clusters/") { id(&self.cluster) } else { id(&self.machine) };
        let method = operation.method.as_str();
        let mut request = Request {
            method,
            path: operation.path.replace("{id}", &id),
            query: vec![],
            content_type: None,
            body: vec![],
        };
        if operation.body().is_some() {
            request = request.body(good_body(&operation.id).to_string());
        }
        if operation.has_query("action") { request.query("action", "START") } else { request }
    }

    /// Sends a bad request: the answer is this problem, and nothing has changed.
    async fn refuses(&self, request: &Request, status: u16, code: &str, pointer: Option<&str>) {
        let before = self.site.everything().await;
        let content_type = request.content_type.map(|value| ("content-type", value));
        let headers: Vec<_> = content_type.into_iter().collect();
        let answer = self.site.send(request.method, &request.uri(), &headers, &request.body).await;
        let label = format!("{} {} {}", request.method, request.uri(), String::from_utf8_lossy(&request.body));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{label:.300}: {answer}");
        if pointer.is_some() {
            let mistake = &answer.json()["errors"][0];
            assert_eq!((mistake["pointer"].as_str(), &mistake["code"]), (pointer, &json!(code)), "{label:.300}");
        }
        assert_eq!(self.site.everything().await, before, "{label:.300}");
    }
}

/// A body with which an operation would be carried out.
fn good_body(operation: &str) -> Value {
    match operation {
        "createCluster" => json!({"name": "new", "region_code": "B"}),
        "editCluster" => json!({"name": "new", "region_code": "B"}),
        "createMachine" => json!({
            "name": "new", "cluster_name": "web", "tags": ["y"], "machine_type": "large", "start": false,
            "protection": {"stop": true, "terminate": false},
        }),
        "editMachine" => json!({"name": "new", "tags": ["y"], "protection": {"stop": true, "terminate": true}}),
        other => panic!("{other} needs a good body here"),
    }
}

/// A value with which a query parameter would be understood.
fn good_value(parameter: &str) -> &'static str {
    match parameter {
        "action" => "START",
        "after" => "AAAA",
        "constant" => "region",
        "dry_run" | "force" => "true",
        "machine_type" => "large",
        "name" => "a",
        "order_by" => "name",
        "page_size" => "5",
        "page_token" => "AAAA",
        other => panic!("{other} needs a good value here"),
    }
}

/// The fields of a body with their good values.
fn fields(operation: &Operation) -> Vec<(String, Value)> {
    good_body(&operation.id).as_object().unwrap().clone().into_iter().collect()
}

/// The operation's good body with a field in place of what it had.
fn with(operation: &Operation, field: &str, value: impl Into<Value>) -> String {
    let mut body = good_body(&operation.id);
    body[field] = value.into();
    body.to_string()
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    spec::operations().iter()
}

fn with_a_body() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|operation| operation.body().is_some())
}

fn with_the_parameter(name: &'static str) -> impl Iterator<Item = &'static Operation> {
    operations().filter(move |operation| operation.has_query(name))
}

#[actix_web::test]
async fn the_requests_that_the_bad_ones_are_made_of_are_good() {
    let scene = Scene::new().await;
    let empty = scene.site.cluster("empty").await;
    for operation in operations() {
        let mut request = scene.request(operation);
        if operation.has_query("dry_run") {
            request = request.query("dry_run", "true");
        }
        if operation.id == "deleteCluster" {
            request.path = format!("/api/v1{empty}");
        }
        let headers: Vec<_> = request.content_type.map(|value| ("content-type", value)).into_iter().collect();
        let answer = scene.site.send(request.method, &request.uri(), &headers, &request.body).await;
        assert!((200..300).contains(&answer.status), "{}: {answer}", operation.id);
    }
}

#[actix_web::test]
async fn the_good_bodies_have_every_field() {
    for operation in with_a_body() {
        let properties = operation.body().unwrap()["properties"].as_object().unwrap();
        let named: Vec<_> = properties.keys().cloned().collect();
        let given: Vec<_> = fields(operation).into_iter().map(|(name, _)| name).collect();
        assert_eq!(sorted(given), sorted(named), "{}", operation.id);
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[actix_web::test]
async fn broken_json() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        let request = scene.request(operation);
        let good = good_body(&operation.id).to_string();
        let cut = &good[..good.len() - 1];
        for text in ["{", "nonsense", cut, &format!("{good} x"), &format!("{good}{good}"), "{'name': 'new'}", " "] {
            scene.refuses(&request.clone().body(text), 400, "malformed_json", None).await;
        }
        scene
            .refuses(&request.clone().body([&good.as_bytes()[..9], b"\xff\"}"].concat()), 400, "malformed_json", None)
            .await;
        let deep = "[".repeat(10_000);
        let in_a_field = format!("{{\"name\": {deep}");
        for text in [deep, in_a_field] {
            let answer = scene
                .site
                .send(request.method, &request.uri(), &[("content-type", "application/json")], text.as_bytes())
                .await;
            assert!(["malformed_json", "wrong_type"].contains(&answer.json()["code"].as_str().unwrap()), "{answer}");
        }
    }
}

#[actix_web::test]
async fn no_body_where_there_is_to_be_one() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        let request = Request { body: vec![], ..scene.request(operation) };
        scene.refuses(&request, 400, "missing_body", None).await;
        scene.refuses(&Request { content_type: None, ..request }, 400, "missing_body", None).await;
    }
}

#[actix_web::test]
async fn a_body_where_there_is_to_be_none() {
    let scene = Scene::new().await;
    let writes = operations().filter(|operation| operation.body().is_none() && operation.method != "GET");
    for operation in writes {
        let request = scene.request(operation);
        for text in ["{}", "x"] {
            scene.refuses(&request.clone().body(text), 400, "unexpected_body", None).await;
        }
    }
}

#[actix_web::test]
async fn wrong_type() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        let request = scene.request(operation);
        let values: Vec<_> = fields(operation).into_iter().map(|(_, value)| value).collect();
        for value in [json!(values), json!(values[..1]), json!([]), Value::Null, json!(7), json!("new"), json!(true)] {
            scene.refuses(&request.clone().body(value.to_string()), 422, "wrong_type", None).await;
        }
        for (field, good) in fields(operation) {
            let wrong =
                [json!(7), json!("x"), json!(true), json!(["x"]), json!([true, true]), json!({"x": 1}), json!(1.5)];
            for value in wrong.into_iter().filter(|value| !same_type(value, &good)) {
                // An object is read for its fields first.
                let request = request.clone().body(with(operation, &field, value));
                scene.refuses(&request, 422, "wrong_type", Some(&format!("/{field}"))).await;
            }
        }
    }
    let create = scene.request(spec::operation("POST", "/api/v1/machines").unwrap());
    let edit = scene.request(spec::operation("PATCH", &format!("/api/v1{}", scene.machine)).unwrap());
    for request in [create, edit] {
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        body["tags"] = json!(["x", 1]);
        scene.refuses(&request.clone().body(body.to_string()), 422, "wrong_type", Some("/tags/1")).await;
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        body["protection"] = json!({"stop": "yes"});
        scene.refuses(&request.body(body.to_string()), 422, "wrong_type", Some("/protection/stop")).await;
    }
}

fn same_type(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[actix_web::test]
async fn null_where_it_says_nothing() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        // A merge patch takes tags and protection back with null.
        let patch = |field: &str| operation.id == "editMachine" && ["tags", "protection"].contains(&field);
        for (field, _) in fields(operation).into_iter().filter(|(field, _)| !patch(field)) {
            let request = scene.request(operation).body(with(operation, &field, Value::Null));
            scene.refuses(&request, 422, "wrong_type", Some(&format!("/{field}"))).await;
        }
    }
}

#[actix_web::test]
async fn unknown_field() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        for field in ["nmae", "id", "version", "", "a/b~c"] {
            let request = scene.request(operation).body(with(operation, field, "x"));
            let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
            scene.refuses(&request, 422, "unknown_field", Some(&pointer)).await;
        }
        if fields(operation).iter().any(|(field, _)| field == "protection") {
            let request = scene.request(operation).body(with(operation, "protection", json!({"strat": true})));
            scene.refuses(&request, 422, "unknown_field", Some("/protection/strat")).await;
        }
    }
}

#[actix_web::test]
async fn a_field_twice() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        for (field, good) in fields(operation) {
            let body = good_body(&operation.id).to_string();
            let twice = format!("{},\"{field}\":{good}}}", body.strip_suffix('}').unwrap());
            let request = scene.request(operation).body(twice);
            scene.refuses(&request, 422, "duplicate_field", Some(&format!("/{field}"))).await;
        }
    }
}

#[actix_web::test]
async fn missing_field() {
    let scene = Scene::new().await;
    let mut found = 0;
    for operation in with_a_body() {
        for field in operation.body().unwrap()["required"].as_array().map_or(&[][..], Vec::as_slice) {
            let field = field.as_str().unwrap();
            let mut body = good_body(&operation.id);
            body.as_object_mut().unwrap().remove(field);
            let request = scene.request(operation).body(body.to_string());
            scene.refuses(&request, 422, "missing_field", Some(&format!("/{field}"))).await;
            found += 1;
        }
    }
    assert_eq!(found, 4, "name and region_code, name and cluster_name");
}

#[actix_web::test]
async fn a_name_that_is_too_long_or_has_control_characters() {
    let scene = Scene::new().await;
    let long = "n".repeat(64);
    let bad = [
        long.as_str(),
        "a\u{0}b",
        "a\nb",
        "a\tb",
        "a\u{7f}",
        "a\u{85}b",
        "a b",
        "",
        " ",
        "-a",
        ".a",
        "_a",
        "é",
        "a/b",
        "a*",
        "0123456789abcdef01234567",
        "ABCDEFABCDEFABCDEFABCDEF",
    ];
    for operation in with_a_body() {
        for (field, _) in
            fields(operation).iter().filter(|(field, _)| ["name", "cluster_name"].contains(&field.as_str()))
        {
            for name in bad {
                let request = scene.request(operation).body(with(operation, field, name));
                scene.refuses(&request, 422, "invalid_name", Some(&format!("/{field}"))).await;
            }
        }
    }
    for operation in with_the_parameter("name") {
        for name in [long.as_str(), "a%00b", "a%0Ab", "", "a*b", "**", "%C3%A9", "%20"] {
            let request = scene.request(operation).query("name", name);
            scene.refuses(&request, 400, "invalid_parameter", Some("name")).await;
        }
    }
}

#[actix_web::test]
async fn a_code_that_is_none_or_unknown() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        for (field, _) in fields(operation) {
            let unknown = match field.as_str() {
                "region_code" => "unknown_region",
                "machine_type" => "unknown_machine_type",
                _ => continue,
            };
            let pointer = format!("/{field}");
            for (code, expected, pointer) in [
                ("Z", unknown, None),
                ("a b", "invalid_value", Some(pointer.as_str())),
                ("", "invalid_value", Some(&pointer)),
            ] {
                let request = scene.request(operation).body(with(operation, &field, code));
                scene.refuses(&request, 422, expected, pointer).await;
            }
        }
    }
    let create = scene.request(spec::operation("POST", "/api/v1/machines").unwrap());
    let body = json!({"name": "new", "cluster_name": "nowhere"});
    scene.refuses(&create.body(body.to_string()), 422, "unknown_cluster", None).await;
}

#[actix_web::test]
async fn a_tag_list_that_is_too_long() {
    let scene = Scene::new().await;
    let many: Vec<_> = (0..51).map(|number| format!("t{number}")).collect();
    let lists = [
        (json!(many), "/tags"),
        (json!(["x", "x"]), "/tags"),
        (json!(["x".repeat(129)]), "/tags/0"),
        (json!(["x", "a b"]), "/tags/1"),
        (json!(["a\u{0}"]), "/tags/0"),
        (json!(["x", "y", ""]), "/tags/2"),
        (json!(["é"]), "/tags/0"),
    ];
    let with_tags = with_a_body().filter(|operation| fields(operation).iter().any(|(field, _)| field == "tags"));
    let mut found = 0;
    for operation in with_tags {
        for (tags, pointer) in lists.clone() {
            let request = scene.request(operation).body(with(operation, "tags", tags));
            scene.refuses(&request, 422, "invalid_tags", Some(pointer)).await;
        }
        found += 1;
    }
    assert_eq!(found, 2, "POST and PATCH");
}

#[actix_web::test]
async fn a_body_that_is_too_large() {
    let scene = Scene::new().await;
    for operation in operations().filter(|operation| operation.method != "GET") {
        let request = scene.request(operation).body(vec![b' '; 256 * 1024 + 1]);
        scene.refuses(&request, 413, "body_too_large", None).await;
    }
    // As large as it may be.
    for operation in with_a_body() {
        let mut body = good_body("createCluster").to_string().into_bytes();
        body.resize(256 * 1024, b' ');
        let request = scene.request(operation).body(body);
        let answer = scene
            .site
            .send(request.method, &request.uri(), &[("content-type", "application/json")], &request.body)
            .await;
        assert_ne!(answer.status, 413);
    }
}

#[actix_web::test]
async fn an_unknown_media_type() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        let merge_patch = Some("application/merge-patch+json").filter(|_| operation.method != "PATCH");
        let bad = [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonx"),
            Some("*/*"),
            Some(""),
        ];
        for content_type in bad.into_iter().chain(merge_patch.map(Some)) {
            let request = Request { content_type, ..scene.request(operation) };
            scene.refuses(&request, 415, "unsupported_media_type", None).await;
        }
    }
}

#[actix_web::test]
async fn a_malformed_id() {
    let scene = Scene::new().await;
    let bad = [
        "x",
        "a",
        "0123456789abcdef0123456",
        "0123456789abcdef012345678",
        "0123456789ABCDEF01234567",
        "g123456789abcdef01234567",
        "%20",
        "%C3%A9",
        "%00",
        "..%2f",
        "0123456789abcdef0123456%37x",
    ];
    for operation in operations().filter(|operation| operation.has_id()) {
        for id in bad {
            let request = scene.request(operation);
            let path = operation.path.replace("{id}", id);
            scene.refuses(&Request { path, ..request }, 400, "invalid_id", Some("id")).await;
        }
    }
}

#[actix_web::test]
async fn an_unknown_id() {
    let scene = Scene::new().await;
    let id_of = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for operation in operations().filter(|operation| operation.has_id()) {
        let (code, others) = if operation.path.contains("/clusters/") {
            ("no_such_cluster", id_of(&scene.machine))
        } else {
            ("no_such_machine", id_of(&scene.cluster))
        };
        for id in ["0123456789abcdef01234567", "000000000000000000000000", "ffffffffffffffffffffffff", &others] {
            let request = scene.request(operation);
            let path = operation.path.replace("{id}", id);
            scene.refuses(&Request { path, ..request }, 404, code, None).await;
        }
    }
}

#[actix_web::test]
async fn an_unknown_action() {
    let scene = Scene::new().await;
    let operate = || scene.request(spec::operation("POST", &format!("/api/v1{}", scene.machine)).unwrap());
    for action in ["EXPLODE", "", "STOP%20", "ST%C3%96P", "CREATE", "STOP,START", "7"] {
        scene.refuses(&operate().query("action", action), 400, "unknown_action", Some("action")).await;
    }
    let without = Request { query: vec![], ..operate() };
    scene.refuses(&without, 400, "missing_parameter", Some("action")).await;
    let resize = || operate().query("action", "RESIZE");
    scene.refuses(&resize(), 400, "missing_parameter", Some("machine_type")).await;
    scene.refuses(&resize().query("machine_type", "a%20b"), 400, "invalid_parameter", Some("machine_type")).await;
    scene.refuses(&resize().query("machine_type", "huge"), 422, "unknown_machine_type", None).await;
    scene.refuses(&operate().query("machine_type", "large"), 400, "invalid_parameter", Some("machine_type")).await;
    for flag in ["1", "yes", "TRUE", ""] {
        scene.refuses(&operate().query("force", flag), 400, "invalid_parameter", Some("force")).await;
    }
}

#[actix_web::test]
async fn an_unknown_constant() {
    let scene = Scene::new().await;
    for operation in with_the_parameter("constant") {
        let request = scene.request(operation).query("constant", "nonsense");
        scene.refuses(&request, 400, "unknown_constant", Some("constant")).await;
    }
}

#[actix_web::test]
async fn an_illegal_transition() {
    let scene = Scene::new().await;
    let operate = scene.request(spec::operation("POST", &format!("/api/v1{}", scene.machine)).unwrap());
    for action in ["REBOOT", "SUSPEND", "RESUME", "reboot"] {
        scene.refuses(&operate.clone().query("action", action), 409, "illegal_transition", None).await;
    }
    let answer = scene.site.operate(&scene.machine, "REBOOT").await.json();
    assert_eq!(
        (&answer["state"], &answer["allowed_operations"]),
        (&json!("STOPPED"), &json!(["START", "RESIZE", "TERMINATE"]))
    );
}

#[actix_web::test]
async fn a_taken_name() {
    let scene = Scene::new().await;
    for operation in with_a_body() {
        let taken = match operation.id.as_str() {
            "createCluster" => "web",
            "editCluster" => "other",
            "createMachine" => "a",
            "editMachine" => "b",
            other => panic!("{other} needs a taken name here"),
        };
        let request = scene.request(operation).body(with(operation, "name", taken));
        scene.refuses(&request, 409, "name_taken", None).await;
        scene.refuses(&request.query("dry_run", "true"), 409, "name_taken", None).await;
    }
}

#[actix_web::test]
async fn a_page_size_out_of_range() {
    let scene = Scene::new().await;
    let mut found = 0;
    for operation in with_the_parameter("page_size") {
        for size in ["0", "1001", "-1", "%2B5", "1e2", "", "00005", "ten", "99999999999999999999", "1.5"] {
            let request = scene.request(operation).query("page_size", size);
            scene.refuses(&request, 400, "invalid_page_size", Some("page_size")).await;
        }
        found += 1;
    }
    assert_eq!(found, 4, "every list");
}

#[actix_web::test]
async fn a_token_that_was_altered_or_belongs_elsewhere() {
    let scene = Scene::new().await;
    let mut tokens = Vec::new();
    for operation in with_the_parameter("page_token") {
        let first = scene.request(operation).query("page_size", "1");
        let page = scene.site.send("GET", &first.uri(), &[], &[]).await.expect(200).json();
        let token = page["next_page_token"].as_str().unwrap().to_owned();
        for at in 0..token.len() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            let uri = first.clone().query("page_token", altered).uri();
            scene.site.send("GET", &uri, &[], &[]).await.expect_problem(400, "invalid_page_token", None);
        }
        let shorter = &token[..token.len() - 1];
        for altered in ["", "AAAA", "%00", "%C3%A9", shorter, &format!("{token}A"), &"A".repeat(3000)] {
            scene.refuses(&first.clone().query("page_token", altered), 400, "invalid_page_token", None).await;
        }
        tokens.push((operation, token));
    }
    for (operation, token) in &tokens {
        for (other, _) in tokens.iter().filter(|(other, _)| other.id != operation.id) {
            let request = scene.request(other).query("page_token", token.as_str());
            scene.refuses(&request, 400, "invalid_page_token", None).await;
        }
        let other_order = scene.request(operation).query("page_token", token.as_str());
        let other_order = if operation.has_query("order_by") {
            other_order.query("order_by", "name")
        } else {
            let events = scene.site.get("/events?page_size=1").await.json();
            other_order.query("after", events["position"].as_str().unwrap())
        };
        scene.refuses(&other_order, 400, "invalid_page_token", None).await;
    }
}

#[actix_web::test]
async fn a_query_parameter_twice() {
    let scene = Scene::new().await;
    for operation in operations() {
        for parameter in operation.query().into_iter().filter(|parameter| !parameter.repeatable) {
            let mut request = scene.request(operation).query(&parameter.name, good_value(&parameter.name));
            request.query.push((parameter.name.clone(), good_value(&parameter.name).into()));
            scene.refuses(&request, 400, "duplicate_parameter", Some(&parameter.name)).await;
        }
    }
}

#[actix_web::test]
async fn a_query_parameter_that_the_route_does_not_know() {
    let scene = Scene::new().await;
    for operation in operations() {
        for name in ["clutser", "Page_Size", "page_size%20", "%00"] {
            let mut request = scene.request(operation);
            request.query.push((name.into(), "web".into()));
            let uri = request.uri();
            if operation.path.starts_with("/api/") {
                let pointer = name.replace("%20", " ").replace("%00", "\u{0}");
                scene.refuses(&request, 400, "unknown_parameter", Some(&pointer)).await;
            } else {
                scene.site.send(request.method, &uri, &[], &[]).await.expect(200);
            }
        }
    }
}

#[actix_web::test]
async fn a_query_that_is_not_percent_encoded_text() {
    let scene = Scene::new().await;
    for operation in operations().filter(|operation| operation.path.starts_with("/api/")) {
        for value in ["%", "%2", "%zz", "%ff", "%C3"] {
            let mut request = scene.request(operation);
            request.query.push(("x".into(), value.into()));
            scene.refuses(&request, 400, "malformed_request", None).await;
        }
    }
}

#[actix_web::test]
async fn a_bad_value_of_a_selector_or_order() {
    let scene = Scene::new().await;
    let many: Vec<_> = (0..101).map(|number| format!("r{number}")).collect();
    let values = [
        ("cluster", vec!["", "a,", "a%20b", "-a"]),
        ("region", vec!["", ",", "a%20b"]),
        ("state", vec!["", "UP", "RUNNING,", "RUNNING%20"]),
        ("machine_type", vec!["", "a%20b"]),
        ("tag", vec!["", "a,b", "a%20b"]),
        ("order_by", vec!["", "age", "--name", "NAME", "name,created_at"]),
        ("dry_run", vec!["", "1", "True"]),
    ];
    for (name, values) in values {
        for operation in
            with_the_parameter(name).filter(|operation| operation.id != "operateMachine" || name == "dry_run")
        {
            for value in &values {
                let request = scene.request(operation).query(name, *value);
                scene.refuses(&request, 400, "invalid_parameter", Some(name)).await;
            }
        }
    }
    for operation in with_the_parameter("region") {
        let request = scene.request(operation).query("region", many.join(","));
        scene.refuses(&request, 400, "invalid_parameter", Some("region")).await;
    }
    for operation in with_the_parameter("after") {
        for position in ["", "AAAA", "%00", "not-a-position", "AA=="] {
            let request = scene.request(operation).query("after", position);
            scene.refuses(&request, 400, "invalid_position", None).await;
        }
    }
}

#[actix_web::test]
async fn a_bad_header() {
    let scene = Scene::new().await;
    for operation in operations() {
        for name in operation.headers() {
            let name = name.to_ascii_lowercase();
            let long = "x".repeat(256);
            let bad = match name.as_str() {
                "if-match" | "if-none-match" => ["1", "\"1", ",", "*, \"1\""],
                "idempotency-key" => ["", "a b", "é", &long],
                other => panic!("{other} needs bad values here"),
            };
            for value in bad {
                let before = scene.site.everything().await;
                let request = scene.request(operation);
                let content_type = request.content_type.map(|value| ("content-type", value));
                let headers: Vec<_> = content_type.into_iter().chain([(name.as_str(), value)]).collect();
                let answer = scene.site.send(request.method, &request.uri(), &headers, &request.body).await;
                answer.expect_problem(400, "invalid_header", Some(&name));
                assert_eq!(scene.site.everything().await, before);
            }
        }
    }
}

#[actix_web::test]
async fn a_path_that_does_not_exist() {
    let scene = Scene::new().await;
    let machine = &scene.machine;
    let paths = [
        "/nope",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nope",
        "/api/v2/machines",
        "/api/v1/machines/",
        "/api/v1/Machines",
        "/api/v1//machines",
        "//",
        "/livez/",
        "/openapi.json/",
        "/worlds",
        "/sim/v1/worlds",
        "/api/v1/site-constants/region",
        "/%00",
        "/api/v1/machines%2f",
    ];
    let below = ["", "/", "/nope", "/events/", "/events/1"].map(|rest| format!("/api/v1{machine}{rest}"));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in paths.iter().copied().chain(below.iter().skip(1).map(String::as_str)) {
            let before = scene.site.everything().await;
            let answer = scene.site.send(method, path, &[], &[]).await;
            answer.expect_problem(404, "no_such_path", None);
            assert_eq!(answer.header("allow"), None);
            assert_eq!(scene.site.everything().await, before);
        }
    }
}

#[actix_web::test]
async fn a_method_that_the_path_does_not_have() {
    let scene = Scene::new().await;
    let mut paths: Vec<_> = operations().map(|operation| operation.path.as_str()).collect();
    paths.dedup();
    for path in paths {
        let have: Vec<_> = operations().filter(|operation| operation.path == path).collect();
        let mut allowed: Vec<_> = have.iter().map(|operation| operation.method.as_str()).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let request = Request { method, ..scene.request(have[0]) };
            scene.refuses(&request, 405, "method_not_allowed", None).await;
            let answer = scene.site.send(method, &request.path, &[], &[]).await;
            assert_eq!(methods(&answer), allowed, "{path}");
        }
        let options = scene.site.send("OPTIONS", &scene.request(have[0]).path, &[], &[]).await.expect(204);
        allowed.push("OPTIONS");
        allowed.sort_unstable();
        assert_eq!(methods(&options), allowed, "{path}");
    }
    for path in ["/", "/openapi.json", "/apidocs", "/apidocs/", "/apidocs/index.html"] {
        let answer = scene.site.send("DELETE", path, &[], &[]).await;
        answer.expect_problem(405, "method_not_allowed", None);
        assert_eq!(methods(&answer), ["GET", "HEAD"], "{path}");
    }
}

/// What Allow lists, in alphabetical order.
fn methods(answer: &crate::answer::Answer) -> Vec<&str> {
    let mut methods: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
    methods.sort_unstable();
    methods
}
