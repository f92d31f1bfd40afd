//! Bodies that are bad as a whole, or in their form.

use serde_json::{Value, json};

use super::scene::{Request, Scene, fields, good_body, operations, with, with_a_body};
use crate::spec;
use crate::spec::Operation;

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
            assert!(
                ["malformed_json", "wrong_type", "unknown_field"].contains(&answer.json()["code"].as_str().unwrap()),
                "{answer}"
            );
        }
    }
}

#[actix_web::test]
async fn no_body_where_there_is_to_be_one() {
    let scene = Scene::new().await;
    for operation in with_a_body().filter(|operation| operation.json["requestBody"]["required"] == true) {
        let request = Request { body: vec![], ..scene.request(operation) };
        scene.refuses(&request, 400, "missing_body", None).await;
        scene.refuses(&Request { content_type: None, ..request }, 400, "missing_body", None).await;
    }
}

#[actix_web::test]
async fn a_body_where_there_is_to_be_none() {
    let scene = Scene::new().await;
    let writes =
        operations().filter(|operation| operation.json.get("requestBody").is_none() && operation.method != "GET");
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
        // A merge patch takes these away with null.
        let takes_away =
            |field: &str| operation.method == "PATCH" && ["tags", "protection", "size", "refills"].contains(&field);
        for (field, good) in fields(operation).into_iter().filter(|(field, _)| !takes_away(field)) {
            let pointer = format!("/{field}");
            let request = scene.request(operation).body(with(operation, &field, Value::Null));
            scene.refuses(&request, 422, "wrong_type", Some(&pointer)).await;
            if operation.method == "PATCH" {
                let merge_patch = Request { content_type: Some("application/merge-patch+json"), ..request };
                scene.refuses(&merge_patch, 422, "wrong_type", Some(&pointer)).await;
            }
            for inner in good.as_object().filter(|_| field == "protection").into_iter().flat_map(|good| good.keys()) {
                let request = scene.request(operation).body(with(operation, &field, json!({ inner: null })));
                scene.refuses(&request, 422, "wrong_type", Some(&format!("/{field}/{inner}"))).await;
            }
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
    assert_eq!(
        found, 26,
        "a kind, name and region_code, name and cluster_name; two names of worlds, a rate, ten timings, pools and a pool; on and \
         effect; kind and not_before; a seed"
    );
}

#[actix_web::test]
async fn a_body_that_is_too_large() {
    let scene = Scene::new().await;
    let bounded = |operation: &&Operation| operation.method != "GET" && !operation.takes_other_than_json();
    for operation in operations().filter(bounded) {
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
