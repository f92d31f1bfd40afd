//! What surrounds every request: its id, HEAD, the health of the server, its documentation.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::Site;
use crate::spec;

#[actix_web::test]
async fn a_safe_request_id_is_taken_and_another_is_not() {
    let site = Site::memory(Preset::Instant).await;
    site.cluster("web").await;
    let machine = format!("/api/v1{}", site.machine("a").await);
    let unknown = format!("{machine}x");
    let asked = [
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/"),
        ("GET", "/openapi.json"),
        ("GET", "/apidocs/"),
        ("GET", "/apidocs/nope.js"),
        ("GET", "/api/v1/machines"),
        ("HEAD", "/api/v1/machines"),
        ("GET", &machine),
        ("POST", "/api/v1/machines"),
        ("GET", "/nope"),
        ("PUT", "/api/v1/machines"),
        ("OPTIONS", "/api/v1/machines"),
        ("GET", &unknown),
        ("GET", "/api/v1/machines?clutser=x"),
        ("DELETE", &machine),
    ];
    let mut made = Vec::new();
    for (method, uri) in asked {
        // That the answer, problem or not, has the given id is checked where it is received.
        let given = format!("a.B_c-{}", made.len());
        site.send(method, uri, &[("x-request-id", &given)], &[]).await;
        for unsafe_id in ["", "a b", "a\u{e9}", "<script>", "a\"b", "a;b", &"x".repeat(129)] {
            let answer = site.send(method, uri, &[("x-request-id", unsafe_id)], &[]).await;
            made.push(answer.header("x-request-id").unwrap().to_owned());
        }
    }
    assert!(made.iter().all(|id| id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit())), "{made:?}");
    let all = made.len();
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), all, "each is another");
}

#[actix_web::test]
async fn head_is_get_without_the_body() {
    let site = Site::memory(Preset::Instant).await;
    let cluster = site.cluster("web").await;
    let machine = site.machine("a").await;
    site.machine("b").await;
    let fleet = site.start(&json!({"kind": "STOP", "all": true})).await.expect(200).json();
    let fleet = format!("/operations/{}", fleet["id"].as_str().unwrap());
    let unknown = "0123456789abcdef01234567";
    let mut asked: Vec<_> =
        ["/", "/openapi.json", "/apidocs/", "/nope", "/api/v1/machines?page_size=1"].map(str::to_owned).into();
    for operation in spec::operations().iter().filter(|operation| operation.method == "GET") {
        let known = match &operation.path {
            path if path.contains("/clusters/") => &cluster,
            path if path.contains("/operations/") => &fleet,
            _ => &machine,
        };
        for id in [known.rsplit('/').next().unwrap(), unknown, "x"] {
            asked.push(operation.path.replace("{id}", id));
        }
    }
    for uri in asked {
        let get = site.send("GET", &uri, &[("x-request-id", "one")], &[]).await;
        let head = site.send("HEAD", &uri, &[("x-request-id", "one")], &[]).await;
        let headers = |answer: &crate::answer::Answer| {
            let others = answer.headers.iter().filter(|(name, _)| *name != "content-length");
            let mut all: Vec<_> = others.map(|(name, value)| format!("{name}: {value:?}")).collect();
            all.sort_unstable();
            all
        };
        assert_eq!((head.status, headers(&head)), (get.status, headers(&get)), "{uri}");
        assert!(head.body.is_empty(), "{uri}");
        // Nobody knows how long a stream is.
        let streams = get.header("content-type") == Some("application/x-ndjson") && uri.ends_with("/export");
        let length = Some(get.body.len()).filter(|length| *length > 0 && !streams).map(|length| length.to_string());
        assert_eq!(head.header("content-length"), length.as_deref(), "{uri}");
    }
}

#[actix_web::test]
pub(crate) async fn a_server_that_drains_lives_but_is_not_ready() {
    let site = Site::memory(Preset::Instant).await;
    let ok = json!({"status": "ok"});
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(site.send("GET", path, &[], &[]).await.expect(200).json(), ok);
    }
    site.api.drain();
    assert_eq!(site.send("GET", "/livez", &[], &[]).await.expect(200).json(), ok);
    for path in ["/readyz", "/healthz"] {
        let answer = site.send("GET", path, &[], &[]).await;
        answer.expect_problem(503, "not_ready", None);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // What comes all the same is answered.
    site.cluster("web").await;
}

#[actix_web::test]
async fn a_store_that_does_not_answer_is_told_on_every_route_that_needs_it() {
    let site = Site::memory(Preset::Instant).await;
    let cluster = site.cluster("web").await;
    let machine = site.machine("a").await;
    let fleet = site.start(&json!({"kind": "STOP", "all": true})).await.expect(200).json();
    let fleet = format!("/operations/{}", fleet["id"].as_str().unwrap());
    site.store.close().await;
    site.send("GET", "/livez", &[], &[]).await.expect(200);
    for path in ["/readyz", "/healthz"] {
        site.send("GET", path, &[], &[]).await.expect_problem(503, "not_ready", None);
    }
    let new_machine = json!({"name": "b", "cluster_name": "web"});
    for (method, path, body) in [
        ("GET", "/site-constants", Value::Null),
        ("GET", "/clusters", Value::Null),
        ("POST", "/clusters", json!({"name": "b", "region_code": "A"})),
        ("GET", &cluster, Value::Null),
        ("PATCH", &cluster, json!({"name": "b"})),
        ("DELETE", &cluster, Value::Null),
        ("GET", "/machines", Value::Null),
        ("GET", "/machines?state=RUNNING", Value::Null),
        ("POST", "/machines", new_machine.clone()),
        ("GET", &machine, Value::Null),
        ("PATCH", &machine, json!({"name": "b"})),
        ("POST", &format!("{machine}?action=STOP"), Value::Null),
        ("DELETE", &machine, Value::Null),
        ("GET", &format!("{machine}/events"), Value::Null),
        ("GET", "/events", Value::Null),
        ("GET", "/stats", Value::Null),
        ("GET", "/machines/export", Value::Null),
        ("GET", "/operations", Value::Null),
        ("GET", &fleet, Value::Null),
        ("DELETE", &fleet, Value::Null),
        ("GET", &format!("{fleet}/wait"), Value::Null),
        ("GET", &format!("{fleet}/results"), Value::Null),
        ("POST", "/operations", json!({"kind": "STOP", "all": true})),
    ] {
        let answer = site.ask(method, path, &[], &body).await;
        answer.expect_problem(503, "store_unavailable", None);
        assert!(answer.header("retry-after").is_some(), "{method} {path}");
    }
    let keyed = site.ask("POST", "/machines", &[("idempotency-key", "k")], &new_machine).await;
    keyed.expect_problem(503, "store_unavailable", None);
    let ndjson = [("content-type", "application/x-ndjson")];
    let lines = new_machine.to_string();
    let import = site.send("POST", "/api/v1/machines/import", &ndjson, lines.as_bytes()).await;
    import.expect_problem(503, "store_unavailable", None);
}

#[actix_web::test]
async fn the_front_door_leads_to_the_documentation() {
    let site = Site::memory(Preset::Instant).await;
    for path in ["/", "/apidocs"] {
        let answer = site.send("GET", path, &[], &[]).await.expect(307);
        assert_eq!(answer.header("location"), Some("/apidocs/"));
    }
}

/// The values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.split(&format!("{name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[actix_web::test]
async fn the_documentation_is_served_whole_and_needs_no_other_host() {
    let site = Site::memory(Preset::Instant).await;
    let page = site.send("GET", "/apidocs/", &[], &[]).await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
    let page = page.text();
    let assets = [attributes(&page, "src"), attributes(&page, "href")].concat();
    assert!(assets.iter().any(|asset| asset.ends_with(".js")) && assets.iter().any(|asset| asset.ends_with(".css")));
    let mut initialises = false;
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} is elsewhere");
        let path = format!("/apidocs/{}", asset.trim_start_matches("./").trim_start_matches("/apidocs/"));
        let answer = site.send("GET", &path, &[], &[]).await.expect(200);
        let kind = answer.header("content-type").unwrap();
        let expected = [(".js", "javascript"), (".css", "text/css"), (".png", "image/png")];
        let (_, expected) = expected.into_iter().find(|(ending, _)| path.ends_with(ending)).unwrap();
        assert!(kind.contains(expected), "{path} is {kind}");
        initialises |= answer.text().contains("\"/openapi.json\"");
    }
    assert!(initialises, "it shows the API's own description");
    site.send("GET", "/apidocs/nope.js", &[], &[]).await.expect(404);
}

#[actix_web::test]
async fn the_description_is_the_one_in_the_code() {
    let site = Site::memory(Preset::Instant).await;
    let answer = site.send("GET", "/openapi.json", &[], &[]).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), cloudm_http_actix::openapi_json());
    assert_eq!(answer.json()["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
}
