//! The API's description, as tests look things up in it: what it promises is what they hold the answers against.

use std::sync::OnceLock;

use serde_json::Value;

/// One operation of the description.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    /// The path with its parameters in braces.
    pub(crate) path: String,
    pub(crate) json: Value,
}

/// A parameter in a query.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// Whether it may stand more than once.
    pub(crate) repeatable: bool,
}

/// The description that the application serves.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&cloudm_http_actix::openapi_json()).unwrap())
}

/// All operations.
pub(crate) fn operations() -> &'static [Operation] {
    static OPERATIONS: OnceLock<Vec<Operation>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let paths = document()["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Value)| {
            let operation = |(method, json): (&String, &Value)| Operation {
                id: json["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                json: json.clone(),
            };
            item.as_object().unwrap().iter().map(operation).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    })
}

/// The operation that answers a request, if one does.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static Operation> {
    let method = if method == "HEAD" { "GET" } else { method };
    // A path of its own stands before one with a parameter in that place, as the description is sorted.
    let pattern = &operations().iter().find(|operation| fits(&operation.path, path))?.path;
    operations().iter().find(|operation| operation.method == method && operation.path == *pattern)
}

/// The path of the same resource in the world `default`, under which it is described.
pub(crate) fn of_any_world(path: &str) -> &str {
    let rest = path.strip_prefix("/worlds/").and_then(|path| path.find("/api/v1/").map(|at| path.split_at(at)));
    rest.filter(|(world, _)| !world.is_empty() && !world.contains('/')).map_or(path, |(_, rest)| rest)
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let same = |(pattern, path): (&&str, &&str)| pattern == path || (pattern.starts_with('{') && !path.is_empty());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
}

impl Operation {
    fn parameters(&self, place: &str) -> impl Iterator<Item = &Value> {
        let parameters = self.json["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        parameters.iter().map(resolved).filter(move |parameter| parameter["in"] == place)
    }

    /// The names of the headers it knows.
    pub(crate) fn headers(&self) -> Vec<&str> {
        self.parameters("header").map(|parameter| parameter["name"].as_str().unwrap()).collect()
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers().contains(&name)
    }

    /// Its query parameters.
    pub(crate) fn query(&self) -> Vec<Parameter> {
        let parameter = |json: &Value| Parameter {
            name: json["name"].as_str().unwrap().to_owned(),
            repeatable: resolved(&json["schema"])["type"] == "array",
        };
        self.parameters("query").map(parameter).collect()
    }

    pub(crate) fn has_query(&self, name: &str) -> bool {
        self.query().iter().any(|parameter| parameter.name == name)
    }

    /// Whether it is about a resource that its path names.
    pub(crate) fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }

    /// The schema of its JSON body, if it takes one.
    pub(crate) fn body(&self) -> Option<&Value> {
        let content = self.json.get("requestBody")?["content"].as_object().unwrap();
        Some(resolved(&content.get("application/json")?["schema"]))
    }

    /// Whether it takes a body that is no JSON.
    pub(crate) fn takes_other_than_json(&self) -> bool {
        self.json.get("requestBody").is_some() && self.body().is_none()
    }

    /// Checks that it promises that a fault may refuse it, with a status like this.
    pub(crate) fn check_may_be_struck_down(&self, status: u16) {
        let statuses = format!("{}XX", status / 100);
        assert!(self.json["responses"][&statuses].is_object(), "{} does not promise {statuses}", self.id);
    }

    /// Checks that it promises an answer of this status and, of a problem, this code.
    pub(crate) fn check_promises(&self, status: u16, code: Option<&str>) {
        let promised = &self.json["responses"][status.to_string()];
        assert!(promised.is_object(), "{} does not promise {status} {code:?}", self.id);
        if let Some(code) = code {
            let examples = &resolved(promised)["content"]["application/problem+json"]["examples"];
            assert!(examples[code].is_object(), "{} does not promise {status} {code}", self.id);
        }
    }
}

/// What a reference refers to, or the value itself.
pub(crate) fn resolved(value: &Value) -> &Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    document().pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}
