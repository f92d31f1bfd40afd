//! What surrounds every request: its id, its world, HEAD, problems in one form, headers, and one line in the log.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use actix_web::Error;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use cloudm_domain::Instant;
use futures_util::stream;
use tracing::Level;

use crate::HttpApi;
use crate::codes::Code;
use crate::connections::Connection;
use crate::problem::{MEDIA_TYPE, Problem};
use crate::request_id::{self, RequestId};
use crate::stopwatch::Moment;
use crate::strikes;
use crate::world;

pub(crate) async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // What is not logged is not measured.
    let started = tracing::enabled!(Level::INFO).then(Moment::now);
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.begin();
    }
    // Also where the request is given up half way.
    let _ending = Ending(connection);
    let id = match request.app_data::<web::Data<HttpApi>>() {
        Some(api) => request_id::assign(request.headers(), &*api.entropy),
        None => RequestId(String::new()),
    };
    world::take_off(&mut request);
    let method = request.method().clone();
    if method == Method::HEAD {
        // Routes know GET; the body is left out in the end.
        request.head_mut().method = Method::GET;
    }
    let answered = match world::open(&request).await {
        // A handler's error is an answer by now; what is an error still came from beneath the routes.
        Ok(()) => next.call(request).await.map_err(|error| problem_of(&error))?.map_into_boxed_body(),
        Err(problem) => request.error_response(problem),
    };
    let now = now(&answered).await;
    let answered = in_one_form(answered, &id);
    let response = with_headers(answered, id, now);
    let response = if method == Method::HEAD { without_body(response) } else { response };
    let response = strikes::strike_answer(response).await;
    if let Some(started) = started {
        log(&response, &method, started);
    }
    Ok(response)
}

/// Ends a request on its connection when it is dropped.
struct Ending(Option<Arc<Connection>>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.end(Moment::now());
        }
    }
}

/// Makes every failure a problem with the request's id.
fn in_one_form(response: ServiceResponse<BoxBody>, id: &RequestId) -> ServiceResponse<BoxBody> {
    if let Some(error) = response.response().error() {
        let problem = problem_of(error).response(&id.0);
        return response.into_response(problem);
    }
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let is_told =
        || response.headers().get(header::CONTENT_TYPE).is_some_and(|told| told.as_bytes() == MEDIA_TYPE.as_bytes());
    if !is_failure || is_told() {
        return response;
    }
    let problem = Problem::new(Code::of_status(status), status.canonical_reason().unwrap_or("the request failed"));
    response.into_response(problem.response(&id.0))
}

fn problem_of(error: &Error) -> Problem {
    if let Some(problem) = error.as_error::<Problem>() {
        return problem.clone();
    }
    let status = error.as_response_error().status_code();
    if status.is_server_error() {
        tracing::error!(%error, "a request failed");
        return Problem::new(Code::Internal, "the server failed to carry out the request");
    }
    Problem::new(Code::of_status(status), error.to_string())
}

/// What the clock says of the world that was asked, where one was.
async fn now<B>(response: &ServiceResponse<B>) -> Option<Instant> {
    let asked = world::tells_time_of(response.request())?;
    asked.cloud.now_since(asked.reads).await.ok()
}

const WORLD_NOW: HeaderName = HeaderName::from_static("x-world-now");

fn with_headers(
    mut response: ServiceResponse<BoxBody>,
    id: RequestId,
    now: Option<Instant>,
) -> ServiceResponse<BoxBody> {
    let headers = response.headers_mut();
    if let Some(value) = now.and_then(in_a_header) {
        headers.insert(WORLD_NOW, value);
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(id.0)) {
        headers.insert(request_id::HEADER, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

thread_local! {
    /// The instant that this thread said last: it is the same one for all answers of a millisecond.
    static SAID: RefCell<Option<(Instant, HeaderValue)>> = const { RefCell::new(None) };
}

fn in_a_header(now: Instant) -> Option<HeaderValue> {
    SAID.with_borrow_mut(|said| {
        if said.as_ref().is_none_or(|(said, _)| *said != now) {
            *said = Some((now, HeaderValue::from_str(&now.to_string()).ok()?));
        }
        said.as_ref().map(|(_, value)| value.clone())
    })
}

/// Leaves the body out and says how long it would be. The connection does that only as long as it has not read another
/// request behind the HEAD.
fn without_body(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let nothing = || BodyStream::new(stream::empty::<Result<Bytes, Infallible>>()).boxed();
    response.map_body(|head, body| match body.size() {
        BodySize::Sized(length) if length > 0 => {
            head.no_chunking(true);
            head.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            nothing()
        }
        // Nobody knows how long it would be.
        BodySize::Stream => {
            head.no_chunking(true);
            nothing()
        }
        _ => body,
    })
}

fn log(response: &ServiceResponse, method: &Method, started: Moment) {
    let request = response.request();
    let path = world::public_path(request);
    let status = response.status();
    let micros = u64::try_from(Moment::now().since(started).as_micros()).unwrap_or(u64::MAX);
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or("-");
    let request_id = response.headers().get(request_id::HEADER).and_then(|id| id.to_str().ok());
    let trace_id = request_id::trace_id(request.headers());
    // What a probe asks each second says nothing while it is answered well.
    if status == StatusCode::OK && matches!(path.as_str(), "/livez" | "/readyz" | "/healthz") {
        tracing::debug!(%method, route, path, status = status.as_u16(), micros, request_id, trace_id, "request");
    } else {
        tracing::info!(%method, route, path, status = status.as_u16(), micros, request_id, trace_id, "request");
    }
}
