//! Problems: RFC 9457 `application/problem+json`.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use cloudm_domain::FaultRefusal;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::codes::{Code, type_uri};

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Mistake {
    /// Where: a JSON pointer into the body, or the name of a query parameter or header.
    #[schema(example = "/tags/0")]
    pub(crate) pointer: String,
    /// What kind of mistake.
    #[schema(example = "invalid_tags")]
    pub(crate) code: &'static str,
    /// The mistake in a sentence.
    #[schema(example = "may hold only letters, digits and ._-:/=@")]
    pub(crate) detail: String,
}

/// A problem on its way to the client. The request's id is added where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// The code and the status that stand in place of those, where a fault gives them.
    given: Option<Box<FaultRefusal>>,
    detail: String,
    mistakes: Vec<Mistake>,
    fields: Map<String, Value>,
    retry_after: Option<u32>,
    allow: Option<String>,
    closes: bool,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            given: None,
            detail: detail.into(),
            mistakes: Vec::new(),
            fields: Map::new(),
            retry_after: None,
            allow: None,
            closes: false,
        }
    }

    /// A problem with one part of the request.
    pub(crate) fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let mistake = Mistake { pointer: pointer.clone(), code: code.text(), detail: detail.clone() };
        Self { mistakes: vec![mistake], ..Self::new(code, format!("{pointer}: {detail}")) }
    }

    /// The same, where it is with one part of the request: with that part.
    pub(crate) fn with_part(self, pointer: Option<String>) -> Self {
        match pointer {
            Some(pointer) => Self::at(self.code, pointer, self.detail),
            None => self,
        }
    }

    /// The same, where all that it is with is under this pointer.
    pub(crate) fn under(mut self, pointer: &str) -> Self {
        if self.mistakes.is_empty() {
            return self.with_part(Some(pointer.into()));
        }
        for mistake in &mut self.mistakes {
            mistake.pointer.insert_str(0, pointer);
        }
        if let [only] = self.mistakes.as_slice() {
            self.detail = format!("{}: {}", only.pointer, only.detail);
        }
        self
    }

    /// All of these in one, with the code of the first; none where there are none.
    pub(crate) fn all(problems: Vec<Self>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let first = problems.next()?;
        Some(problems.fold(first, |mut all, problem| {
            all.mistakes.extend(problem.mistakes);
            all
        }))
    }

    /// Adds what is wrong with parts of the request.
    pub(crate) fn because(mut self, mistakes: Vec<Mistake>) -> Self {
        self.mistakes.extend(mistakes);
        self
    }

    /// What is wrong, and with which part where it is with one.
    pub(crate) fn told(&self) -> (&str, Option<&str>) {
        match self.mistakes.first() {
            Some(mistake) => (&mistake.detail, Some(&mistake.pointer)),
            None => (&self.detail, None),
        }
    }

    /// With the code and the status that a fault gives.
    pub(crate) fn given(mut self, refusal: FaultRefusal) -> Self {
        self.given = Some(Box::new(refusal));
        self
    }

    /// The code that the client is told.
    pub(crate) fn text(&self) -> &str {
        self.given.as_ref().map_or(self.code.text(), |given| &given.code)
    }

    fn status(&self) -> StatusCode {
        let given = self.given.as_ref().and_then(|given| StatusCode::from_u16(given.status).ok());
        given.unwrap_or_else(|| self.code.status())
    }

    /// Adds a field that the code promises.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    pub(crate) fn retry_after(mut self, secs: Option<u32>) -> Self {
        self.retry_after = secs;
        self
    }

    pub(crate) fn allow(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Ends the connection with the answer, for what is left of the request is not read.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(crate) fn response(&self, request_id: &str) -> HttpResponse<BoxBody> {
        let body = ProblemBody {
            kind: &type_uri(self.text()),
            title: self.code.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            code: self.text(),
            request_id,
            errors: &self.mistakes,
            fields: &self.fields,
        };
        let mut response = HttpResponse::build(self.status());
        response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
        if let Some(secs) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, secs));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            response.insert_header((header::ALLOW, allow));
        }
        let mut response = response.body(serde_json::to_vec(&body).unwrap_or_default());
        if self.closes {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.response("")
    }
}

/// Why a request was not carried out (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:cloudm:problem:name_taken")]
    kind: &'a str,
    /// The kind of problem in a few words.
    #[schema(example = "Name taken")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 409, minimum = 400, maximum = 599)]
    status: u16,
    /// What happened, in a sentence.
    detail: &'a str,
    /// The kind of problem, for programs. See the table of codes.
    #[schema(example = "name_taken")]
    code: &'a str,
    /// The id of the request, which the server's log has too.
    #[schema(example = "6f1c2c0f5d0e4a7f")]
    request_id: &'a str,
    /// What is wrong with which part of the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Mistake],
    /// What the code promises besides.
    #[serde(flatten)]
    #[schema(ignore)]
    fields: &'a Map<String, Value>,
}
