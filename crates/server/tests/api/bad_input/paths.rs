//! Paths and methods that are none.

use super::scene::{Request, Scene, operations};
use crate::answer::Answer;

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
            let path = operation.path.replace("{id}", id).replace("{world}", "spare");
            scene.refuses(&Request { path, ..request }, 400, "invalid_id", Some("id")).await;
        }
    }
}

#[actix_web::test]
async fn an_unknown_id() {
    let scene = Scene::new().await;
    let id_of = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for operation in operations().filter(|operation| operation.has_id()) {
        let (code, others) = match &operation.path {
            path if path.contains("/clusters/") => ("no_such_cluster", id_of(&scene.machine)),
            path if path.contains("/operations/") => ("no_such_operation", id_of(&scene.machine)),
            path if path.contains("/faults/") => ("no_such_fault", id_of(&scene.machine)),
            path if path.contains("/schedule/") => ("no_such_schedule_entry", id_of(&scene.machine)),
            _ => ("no_such_machine", id_of(&scene.cluster)),
        };
        for id in ["0123456789abcdef01234567", "000000000000000000000000", "ffffffffffffffffffffffff", &others] {
            let request = scene.request(operation);
            let path = operation.path.replace("{id}", id).replace("{world}", "spare");
            scene.refuses(&Request { path, ..request }, 404, code, None).await;
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
        "/worlds/",
        "/worlds/default",
        "/worlds/default/api/v1",
        "/worlds/default/api/v1/nope",
        "/worlds//api/v1/machines",
        "/worlds/default/api/v2/machines",
        "/worlds/default/sim/v1/worlds",
        "/sim/v1",
        "/sim/v1/nope",
        "/api/v1/site-constants/region",
        "/%00",
        "/api/v1/machines%2f",
    ];
    let below = ["", "/", "/nope", "/events/", "/events/1"].map(|rest| format!("/api/v1{machine}{rest}"));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in paths.iter().copied().chain(below.iter().skip(1).map(String::as_str)) {
            let before = scene.site.everything().await;
            let answer = scene.site.send(method, path, &[], &[]).await;
            if method == "HEAD" {
                assert_eq!(answer.status, 404);
            } else {
                answer.expect_problem(404, "no_such_path", None);
            }
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
            if method != "HEAD" {
                scene.refuses(&request, 405, "method_not_allowed", None).await;
            }
            let answer = scene.site.send(method, &request.path, &[], &[]).await.expect(405);
            assert_eq!(methods(&answer), allowed, "{path}");
        }
        let options = scene.site.send("OPTIONS", &scene.request(have[0]).path, &[], &[]).await.expect(204);
        allowed.push("OPTIONS");
        allowed.sort_unstable();
        assert_eq!(methods(&options), allowed, "{path}");
    }
    // A path is the same however it is encoded.
    scene.site.send("GET", "/api/v1/machine%73", &[], &[]).await.expect(200);
    let encoded = scene.site.send("PUT", "/api/v1/machine%73", &[], &[]).await;
    encoded.expect_problem(405, "method_not_allowed", None);
    assert_eq!(methods(&encoded), ["GET", "HEAD", "POST"]);
    for path in ["/", "/openapi.json", "/apidocs", "/apidocs/", "/apidocs/index.html"] {
        let answer = scene.site.send("DELETE", path, &[], &[]).await;
        answer.expect_problem(405, "method_not_allowed", None);
        assert_eq!(methods(&answer), ["GET", "HEAD"], "{path}");
    }
}

/// What Allow lists, in alphabetical order.
fn methods(answer: &Answer) -> Vec<&str> {
    let mut methods: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
    methods.sort_unstable();
    methods
}
