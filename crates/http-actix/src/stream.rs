//! Streams: server-sent events (HTML Living Standard, 9.2).
//!
//! A subscriber is read for when it can take more: what waits for it is one page, and the rest stays in the history. So nothing is
//! lost on one that is slow, and one that takes too long over a page is told to come again.

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
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
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
    let first = format!("retry: 1000\nid: {}\n\n", events::encode(following.position()));
    Ok(serve(request, place, first.into(), Happening { cloud, following }))
}

/// What a stream tells, bit by bit.
pub(crate) trait Told {
    /// What is told next, once there is something. It may be given up and asked for again: then nothing is lost.
    async fn next(&mut self) -> Piece;

    /// What is told last, with a code that says why.
    fn end(&self, code: &str) -> String;
}

/// A bit of what is told.
pub(crate) enum Piece {
    More(String),
    Last(String),
}

/// Answers with a stream of what is told, after its beginning.
pub(crate) fn serve(
    request: &HttpRequest,
    place: OwnedSemaphorePermit,
    first: Bytes,
    told: impl Told + 'static,
) -> HttpResponse {
    let (asked, flow) = (Moment::now(), Flow::begin(request));
    let subscriber = Subscriber { told, first: Some(first), asked, ended: false, flow, _place: place };
    let body = stream::unfold(subscriber, |mut subscriber| async move {
        let chunk = subscriber.next().await?;
        Some((Ok::<_, Infallible>(chunk), subscriber))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(body))
}

/// One that is told something.
struct Subscriber<T> {
    told: T,
    first: Option<Bytes>,
    /// When it was last given something.
    asked: Moment,
    ended: bool,
    flow: Flow,
    _place: OwnedSemaphorePermit,
}

impl<T: Told> Subscriber<T> {
    /// The next chunk, when the connection has room for it; none after the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        self.flow.goes_on();
        if Moment::now().since(self.asked) > PATIENCE {
            self.ended = true;
            return Some(self.told.end("too_slow").into());
        }
        let chunk = match self.first.take() {
            Some(first) => first,
            None => self.wait().await,
        };
        self.asked = Moment::now();
        Some(chunk)
    }

    async fn wait(&mut self) -> Bytes {
        match timeout(HEARTBEAT, self.told.next()).await {
            Err(_) => Bytes::from_static(b": still here\n\n"),
            Ok(Piece::More(text)) => text.into(),
            Ok(Piece::Last(text)) => {
                self.ended = true;
                text.into()
            }
        }
    }
}

/// The code with which a stream ends that cannot go on.
pub(crate) fn reason(error: &Error) -> &'static str {
    match error {
        Error::Store(StoreError::WorldGone) | Error::NoSuchWorld => "no_such_world",
        Error::NoSuchOperation => "no_such_operation",
        error => {
            tracing::debug!(%error, "a stream ends");
            "store_unavailable"
        }
    }
}

/// The history, as it happens.
struct Happening {
    cloud: Arc<Cloud>,
    following: Following,
}

impl Told for Happening {
    async fn next(&mut self) -> Piece {
        let happened = match self.cloud.follow_events.next(&mut self.following).await {
            Ok(happened) => happened,
            Err(error) => return Piece::Last(self.end(reason(&error))),
        };
        let mut text = String::new();
        for one in &happened {
            let json = serde_json::to_string(&EventBody::from(one)).unwrap_or_default();
            let (id, kind) = (events::encode(&one.position), one.event.change.kind());
            text.push_str(&format!("id: {id}\nevent: {kind}\ndata: {json}\n\n"));
        }
        Piece::More(text)
    }

    /// Says where to go on, too.
    fn end(&self, code: &str) -> String {
        let position = events::encode(self.following.position());
        format!("event: end\ndata: {{\"code\":\"{code}\",\"position\":\"{position}\"}}\n\n")
    }
}
