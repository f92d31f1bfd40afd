//! Streams of events: server-sent events (HTML Living Standard, 9.2).
//!
//! A subscriber is read for when it can take more: what waits for it is one page, and the rest stays in the history. So nothing is
//! lost on one that is slow, and one that takes too long over a page is told to come again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use cloudm_application::ports::{Position, StoreError};
use cloudm_application::{Cloud, Error, Following};
use cloudm_domain::{MachineId, Selector};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::codes::Code;
use crate::connections::Flow;
use crate::events::{self, EventBody};
use crate::problem::Problem;
use crate::stopwatch::Moment;

/// The most streams that a server has open.
const MAX_STREAMS: usize = 1_000;

/// How long nothing is sent: then a comment is, so that nobody between takes the connection for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a subscriber may take over a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// The places for streams.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

impl Streams {
    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full =
            |_| Problem::new(Code::TooManySubscribers, "there is no room for another stream").retry_after(Some(5));
        self.0.clone().try_acquire_owned().map_err(full)
    }
}

/// Whether the client asks for a stream.
pub(crate) fn is_asked_for(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// Where the client was, which it tells when it comes again.
pub(crate) fn last_event_id(request: &HttpRequest) -> Result<Option<Position>, Problem> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    let position = value.to_str().ok().filter(|text| !text.is_empty()).map(events::decode);
    let malformed = || Problem::at(Code::InvalidHeader, "last-event-id", "is not a position");
    position.and_then(Result::ok).map(Some).ok_or_else(malformed)
}

/// Streams what happens after a position, or from now on.
pub(crate) async fn answer(
    request: &HttpRequest,
    streams: &Streams,
    cloud: Arc<Cloud>,
    (followed, after): ((Option<MachineId>, Selector), Option<Position>),
) -> Result<HttpResponse, Problem> {
    let place = streams.place()?;
    let following = cloud.follow_events.begin(followed, after).await?;
    let first = VecDeque::from([Bytes::from(format!("retry: 1000\nid: {}\n\n", events::encode(following.position())))]);
    let subscriber = Subscriber {
        cloud,
        following,
        ready: first,
        asked: Moment::now(),
        ended: false,
        flow: Flow::begin(request),
        _place: place,
    };
    let body = stream::unfold(subscriber, |mut subscriber| async move {
        let chunk = subscriber.next().await?;
        Some((Ok::<_, Infallible>(chunk), subscriber))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

/// One that follows the history.
struct Subscriber {
    cloud: Arc<Cloud>,
    following: Following,
    ready: VecDeque<Bytes>,
    /// When it was last given something.
    asked: Moment,
    ended: bool,
    flow: Flow,
    _place: OwnedSemaphorePermit,
}

impl Subscriber {
    /// The next chunk, when the connection has room for it; none after the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        self.flow.goes_on();
        if Moment::now().since(self.asked) > PATIENCE {
            return Some(self.end("too_slow"));
        }
        let chunk = match self.ready.pop_front() {
            Some(chunk) => chunk,
            None => self.wait().await,
        };
        self.asked = Moment::now();
        Some(chunk)
    }

    async fn wait(&mut self) -> Bytes {
        let happened = timeout(HEARTBEAT, self.cloud.follow_events.next(&mut self.following)).await;
        match happened {
            Err(_) => Bytes::from_static(b": still here\n\n"),
            Ok(Ok(happened)) => {
                let mut text = String::new();
                for one in &happened {
                    let body = EventBody::from(one);
                    let json = serde_json::to_string(&body).unwrap_or_default();
                    text.push_str(&format!(
                        "id: {}\nevent: {}\ndata: {json}\n\n",
                        events::encode(&one.position),
                        one.event.change.kind()
                    ));
                }
                text.into()
            }
            Ok(Err(Error::Store(StoreError::WorldGone))) => self.end("no_such_world"),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a stream ends");
                self.end("store_unavailable")
            }
        }
    }

    /// Says why there is no more, and where to go on.
    fn end(&mut self, code: &str) -> Bytes {
        self.ended = true;
        format!(
            "event: end\ndata: {{\"code\":\"{code}\",\"position\":\"{}\"}}\n\n",
            events::encode(self.following.position())
        )
        .into()
    }
}
