//! Bad queries.

use super::scene::{Scene, operations, with_the_parameter};

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
    assert_eq!(found, 7, "every list");
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
        if ["listWorlds", "listOperations", "listOperationResults"].contains(&operation.id.as_str()) {
            continue;
        }
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

/// A value with which a query parameter would be understood.
fn good_value(parameter: &str) -> &'static str {
    match parameter {
        "action" => "START",
        "after" => "AAAA",
        "at" | "from" | "to" => "2030-01-01T00:00:00Z",
        "constant" => "region",
        "cascade" | "dry_run" | "force" => "true",
        "machine_type" => "large",
        "name" => "a",
        "order_by" => "name",
        "fewer_than" | "page_size" => "5",
        "page_token" => "AAAA",
        "timeout" => "1s",
        other => panic!("{other} needs a good value here"),
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
            if operation.path.contains("/v1/") {
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
    for operation in operations().filter(|operation| operation.path.contains("/v1/")) {
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
        ("cascade", vec!["", "1", "True"]),
        ("timeout", vec!["", "30", "soon", "-1s", "11m"]),
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
