//! Answers in the form in which they are kept under idempotency keys, and what a client says about a write.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use cloudm_application::{Idempotency, Reply, RequestKey, Writing};
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::conditions::if_match;
use crate::problem::Problem;
use crate::query::Query;

/// The most characters of an idempotency key.
const MAX_KEY: usize = 255;

/// A successful answer with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// Shows `resource`, which has this tag.
    pub(crate) fn new(status: StatusCode, etag: String, resource: &impl Serialize) -> Self {
        Self { etag: Some(etag), ..Self::untagged(status, resource) }
    }

    /// Shows `resource`, which has no version.
    pub(crate) fn untagged(status: StatusCode, resource: &impl Serialize) -> Self {
        // Only a map with keys that are no text cannot be written, and there is none.
        Self::of(status, serde_json::to_string(resource).unwrap_or_default())
    }

    /// Has this body, which has no version.
    pub(crate) fn of(status: StatusCode, body: String) -> Self {
        Self { status: status.as_u16(), etag: None, location: None, body }
    }

    pub(crate) fn located(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    pub(crate) fn response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        response.content_type("application/json");
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        response.body(self.body)
    }
}

/// Gives the answer of a use case: the one that was kept, or the one that `show` makes.
pub(crate) fn respond<T>(reply: Reply<T>, show: impl Fn(&T) -> Answer) -> Result<HttpResponse, Problem> {
    match reply {
        Reply::Fresh(value) => Ok(show(&value).response()),
        Reply::Kept(bytes) => {
            let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| {
                tracing::error!(%error, "a kept answer cannot be read");
                Problem::new(Code::Internal, "the server failed to carry out the request")
            })?;
            Ok(replayed(answer.response(), true))
        }
    }
}

/// Says of an answer to a repeated request that it is one.
pub(crate) fn replayed(mut response: HttpResponse, again: bool) -> HttpResponse {
    if again {
        response.headers_mut().insert(REPLAYED, header::HeaderValue::from_static("true"));
    }
    response
}

/// The key under which the request may be repeated, where it has one.
pub(crate) fn request_key(request: &HttpRequest, body: &[u8]) -> Result<Option<RequestKey>, Problem> {
    Ok(key(request)?.map(|key| RequestKey { key, fingerprint: fingerprint(request, body) }))
}

const REPLAYED: header::HeaderName = header::HeaderName::from_static("idempotency-replayed");

/// What the client says about a write, but for an idempotency key.
pub(crate) fn writing<T>(request: &HttpRequest, query: &mut Query) -> Result<Writing<T>, Problem> {
    Ok(Writing { if_match: if_match(request)?, dry_run: query.flag("dry_run")?, key: None })
}

/// What the client says about a POST, whose answer `show` makes.
pub(crate) fn repeatable<T>(
    request: &HttpRequest,
    query: &mut Query,
    body: &[u8],
    show: impl Fn(&T) -> Answer + Send + Sync + 'static,
) -> Result<Writing<T>, Problem> {
    let encode = move |value: &T| serde_json::to_vec(&show(value)).unwrap_or_default();
    let key =
        key(request)?.map(|key| Idempotency { key, fingerprint: fingerprint(request, body), encode: Arc::new(encode) });
    Ok(Writing { key, ..writing(request, query)? })
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all("idempotency-key");
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    let valid = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    if !valid || values.next().is_some() {
        let detail = format!("is one text of 1 to {MAX_KEY} visible ASCII characters");
        return Err(Problem::at(Code::InvalidHeader, "idempotency-key", detail));
    }
    Ok(Some(text.to_owned()))
}

/// A hash of what the request is: method, path, query and body.
fn fingerprint(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [request.method().as_str(), request.path(), request.query_string()] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_request_is_its_method_path_query_and_body() {
        let print = |uri: &str, body: &[u8]| fingerprint(&TestRequest::post().uri(uri).to_http_request(), body);
        let one = print("/a?b=c", b"d");
        assert_eq!(one, print("/a?b=c", b"d"));
        for other in [print("/a?b=x", b"d"), print("/x?b=c", b"d"), print("/a?b=c", b"x"), print("/a?b=", b"cd")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn keys_are_one_visible_text() {
        let asked = |value: &str| {
            let request = TestRequest::default().insert_header(("idempotency-key", value)).to_http_request();
            key(&request).map_err(|problem| problem.code)
        };
        assert_eq!(asked("a-1").unwrap(), Some("a-1".into()));
        for bad in ["", "a b", &"x".repeat(256)] {
            assert_eq!(asked(bad), Err(Code::InvalidHeader), "{bad}");
        }
    }

    #[test]
    fn a_kept_answer_is_the_same_answer() {
        let answer = Answer::new(StatusCode::CREATED, "\"1\"".into(), &"x").located("/here".into());
        let kept: Answer = serde_json::from_slice(&serde_json::to_vec(&answer).unwrap()).unwrap();
        assert_eq!(kept, answer);
    }
}
