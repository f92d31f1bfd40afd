//! The API's description: what is committed is what the code says, and nobody who reads it is left alone.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

fn description() -> Value {
    serde_json::from_str(&cloudm_http_actix::openapi_json()).unwrap()
}

/// Method, path and operation of every route.
fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

/// Calls `look` with every object of the document and where it is.
fn walk(value: &Value, at: &str, look: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            look(at, object);
            object.iter().for_each(|(key, value)| walk(value, &format!("{at}/{key}"), look));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(value, &format!("{at}/{index}"), look));
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, name: &str, at: &str) -> &'a str {
    let text = value[name].as_str().unwrap_or_default();
    assert!(!text.trim().is_empty(), "{at} has no {name}");
    text
}

#[test]
fn what_is_committed_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(committed == cloudm_http_actix::openapi_json(), "`cargo xtask openapi` writes docs/openapi.json anew");
}

#[test]
fn every_route_is_documented_and_has_examples() {
    let description = description();
    let operations = operations(&description);
    assert!(operations.len() >= 17, "{}", operations.len());
    let mut ids = BTreeSet::new();
    for (at, operation) in operations {
        assert!(ids.insert(text(operation, "operationId", &at).to_owned()), "{at}: the operationId stands twice");
        text(operation, "summary", &at);
        text(operation, "description", &at);
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at} has one tag");
        if let Some(body) = operation.get("requestBody") {
            body["content"].as_object().unwrap().values().for_each(|content| has_example(content, &at));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            text(response, "description", &format!("{at} {status}"));
            assert!(response["headers"].get("X-Request-Id").is_some(), "{at} {status}");
            let contents = response["content"].as_object().into_iter().flat_map(|content| content.values());
            contents.for_each(|content| has_example(content, &format!("{at} {status}")));
        }
    }
}

fn has_example(content: &Value, at: &str) {
    let one = content.get("example").is_some_and(|example| !example.is_null());
    let many = content["examples"].as_object().is_some_and(|examples| !examples.is_empty());
    assert!(one || many, "{at} has no example");
}

#[test]
fn every_route_has_the_problems_that_its_form_brings() {
    let description = description();
    for (at, operation) in operations(&description) {
        let has = |status: &str, code: &str| {
            let examples = &operation["responses"][status]["content"]["application/problem+json"]["examples"];
            assert!(examples.get(code).is_some(), "{at} does not document {status} {code}");
        };
        has("500", "internal");
        has("400", "malformed_request");
        let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
        let named = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        if at.contains("/api/v1") {
            has("400", "unknown_parameter");
        }
        if at.contains("{id}") {
            has("400", "invalid_id");
            let kinds = [
                ("machines", "no_such_machine"),
                ("clusters", "no_such_cluster"),
                ("operations", "no_such_operation"),
                ("faults", "no_such_fault"),
            ];
            kinds.iter().filter(|(kind, _)| at.contains(kind)).for_each(|(_, code)| has("404", code));
        }
        if named("page_size") {
            has("400", "invalid_page_size");
            has("400", "invalid_page_token");
        }
        if named("If-Match") {
            has("412", "version_mismatch");
        }
        if named("Idempotency-Key") {
            has("422", "idempotency_mismatch");
            // Of those who make a world at the same time the store lets one win, and nobody waits.
            if operation["tags"] != json!(["worlds"]) {
                has("409", "idempotency_in_flight");
            }
        }
        if at.contains("{world}") || at.contains("/api/v1") {
            has("404", "no_such_world");
        }
        let json = |body: &&Value| body["content"].get("application/json").is_some();
        if let Some(body) = operation.get("requestBody").filter(json) {
            if body["required"] == true {
                has("400", "missing_body");
            }
            for (status, code) in [
                ("400", "malformed_json"),
                ("413", "body_too_large"),
                ("415", "unsupported_media_type"),
                ("422", "unknown_field"),
                ("422", "wrong_type"),
            ] {
                has(status, code);
            }
        }
    }
}

#[test]
fn every_code_of_the_table_is_documented_by_some_route_or_belongs_to_none() {
    let description = description();
    let mut documented = BTreeSet::new();
    for (_, operation) in operations(&description) {
        for response in operation["responses"].as_object().unwrap().values() {
            let examples = response["content"]["application/problem+json"]["examples"].as_object();
            documented.extend(examples.into_iter().flat_map(|examples| examples.keys().cloned()));
        }
    }
    let table = text(&description["info"], "description", "info");
    let listed = |code: &str| table.contains(&format!("| `{code}` |"));
    for code in &documented {
        assert!(listed(code), "{code} is not in the table");
    }
    // What no route has: the path or the method is not there; and in the place of one a fault gives codes of its own.
    let homeless = ["no_such_path", "method_not_allowed", "fault"];
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let undocumented: Vec<_> = rows.filter(|code| !documented.contains(*code)).collect();
    assert_eq!(undocumented, homeless);
}

#[test]
fn no_shape_that_breaks_generators_of_clients() {
    let description = description();
    walk(&description, "", &mut |at, object| {
        for combination in ["oneOf", "anyOf", "allOf", "prefixItems", "not"] {
            assert!(!object.contains_key(combination), "{at} has {combination}");
        }
        assert!(!object.get("type").is_some_and(Value::is_array), "{at} has a union of types");
        assert!(!object.contains_key("$ref") || object.len() == 1, "{at} has something beside its $ref");
        let values = object.get("enum").and_then(Value::as_array);
        assert!(values.is_none_or(|values| values.len() > 1), "{at} has an enum of one value");
    });
    for (at, operation) in operations(&description) {
        let mut names = BTreeMap::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = text(parameter, "name", &at).to_lowercase();
            assert!(names.insert(name, ()).is_none(), "{at} has two parameters of one name");
            text(parameter, "description", &at);
        }
    }
}

/// Schemas of objects have names of their own: an inline one gets a name made up by each generator.
#[test]
fn objects_are_named() {
    let description = description();
    for (at, operation) in operations(&description) {
        walk(operation, &at, &mut |at, object| {
            let inline = object.get("properties").is_some_and(Value::is_object);
            assert!(!inline, "{at} has an inline object");
        });
    }
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        text(schema, "description", name);
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema.get("properties").is_none(), "{name}.{property} is an inline object");
        }
    }
}

#[test]
fn the_lifecycle_and_the_problems_are_told() {
    let description = description();
    let told = text(&description["info"], "description", "info");
    assert!(told.contains(&cloudm_domain::lifecycle_table()));
    assert!(told.contains("| `illegal_transition` | 409 |"));
}
