//! Values that are bad where they stand.

use serde_json::json;

use super::scene::{Request, Scene, fields, operations, with, with_a_body, with_the_parameter};
use crate::spec;

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
            // Names of worlds have other characters.
            let good =
                ["-a", "0123456789abcdef01234567"].map(|name| operation.path.starts_with("/sim/").then_some(name));
            for name in bad.into_iter().filter(|name| !good.contains(&Some(name))) {
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
async fn a_taken_name() {
    let scene = Scene::new().await;
    for operation in with_a_body().filter(|operation| fields(operation).iter().any(|(field, _)| field == "name")) {
        let taken = match operation.id.as_str() {
            "createCluster" => "web",
            "editCluster" => "other",
            "createMachine" => "a",
            "editMachine" => "b",
            "createWorld" => "default",
            "forkWorld" => "spare",
            other => panic!("{other} needs a taken name here"),
        };
        let request = scene.request(operation).body(with(operation, "name", taken));
        scene.refuses(&request, 409, "name_taken", None).await;
        if operation.has_query("dry_run") {
            scene.refuses(&request.query("dry_run", "true"), 409, "name_taken", None).await;
        }
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
async fn a_bad_header() {
    let scene = Scene::new().await;
    for operation in operations() {
        for name in operation.headers() {
            let name = name.to_ascii_lowercase();
            let long = "x".repeat(256);
            let bad = match name.as_str() {
                // What is not understood there is passed over.
                "prefer" => continue,
                "if-match" | "if-none-match" => ["x", "\"1", ",", "*, \"1\""],
                "last-event-id" => ["", "a b", "é", "*"],
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
