//! What the application answered, and what holds of every answer.

use actix_web::http::header::HeaderMap;
use serde_json::Value;

use crate::spec;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null where there is none.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Value> {
        self.json()["items"].as_array().unwrap_or_else(|| panic!("no list: {self}")).clone()
    }

    /// A header's value, if there is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> &str {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self}"))
    }

    /// Checks the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Checks that it is this problem, and about this part of the request where one is named.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str, pointer: Option<&str>) {
        assert_eq!((self.status, self.json()["code"].as_str()), (status, Some(code)), "{self}");
        let Some(pointer) = pointer else { return };
        let mistake = &self.json()["errors"][0];
        assert_eq!((mistake["pointer"].as_str(), mistake["code"].as_str()), (Some(pointer), Some(code)), "{self}");
    }

    /// Checks what holds of every answer to a request that gave this id, or none.
    pub(crate) fn check(&self, method: &str, path: &str, given_id: Option<&str>) {
        let id = self.header("x-request-id").unwrap_or_else(|| panic!("no request id: {self}"));
        match given_id {
            Some(given) => assert_eq!(id, given),
            None => assert!(!id.is_empty()),
        }
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self}");
        let is_problem = self.status >= 400 && method != "HEAD";
        let code = is_problem.then(|| self.check_problem(id));
        let Some(operation) = spec::operation(method, path) else { return };
        if is_problem && self.json()["fault"].is_string() {
            operation.check_may_be_struck_down(self.status);
        } else {
            operation.check_promises(self.status, code.as_deref());
        }
    }

    /// Checks the form of a problem and returns its code.
    fn check_problem(&self, id: &str) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        let problem = self.json();
        let code = problem["code"].as_str().unwrap_or_else(|| panic!("no code: {self}"));
        assert_eq!(problem["type"], format!("urn:cloudm:problem:{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"], id);
        let told = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(told(&problem["title"]) && told(&problem["detail"]), "{self}");
        for mistake in problem.get("errors").map_or(&[][..], |errors| errors.as_array().unwrap()) {
            assert!(mistake["pointer"].is_string() && told(&mistake["code"]) && told(&mistake["detail"]), "{self}");
        }
        code.to_owned()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}
