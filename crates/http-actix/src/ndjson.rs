//! Bodies that are JSON objects, one a line, of any length: they have a least pace in place of a bound.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::body::MAX_BODY;
use crate::codes::Code;
use crate::problem::Problem;
use crate::stopwatch::Moment;

pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";

/// How long a client may send nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes in a second that a client takes or sends at least, after a minute; a slower one keeps others from their place.
const SLOWEST: u64 = 64 << 10;

/// Whether so many bytes took too long.
pub(crate) fn is_too_slow(bytes: u64, took: Duration) -> bool {
    took > Duration::from_secs(60 + bytes / SLOWEST)
}

pub(crate) fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if header.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "the body is to be application/x-ndjson").closing())
}

/// That a client sends too slowly.
pub(crate) fn late() -> Problem {
    Problem::new(Code::RequestTimeout, "the body did not arrive in time").closing()
}

/// The lines of a body, as they come. The client is not read from while nobody asks for more.
pub(crate) struct Lines {
    payload: Payload,
    /// What has come of the next lines.
    waiting: BytesMut,
    /// How much of it is known to have no end of a line.
    searched: usize,
    /// Whether the line that is being read is too long, and passed over.
    too_long: bool,
    /// The number of the last line.
    number: u64,
    length: u64,
    /// How long the client was waited for.
    waited: Duration,
}

/// A line that is not blank, and its number, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(u64, Bytes),
    /// It has more bytes than [`Line::MAX`].
    TooLong(u64),
}

impl Line {
    /// The most bytes of a line.
    pub(crate) const MAX: usize = MAX_BODY;
}

impl Lines {
    pub(crate) fn of(payload: Payload) -> Self {
        let (waiting, waited) = (BytesMut::new(), Duration::ZERO);
        Self { payload, waiting, searched: 0, too_long: false, number: 0, length: 0, waited }
    }

    /// The next line; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Problem> {
        loop {
            while let Some(at) = self.waiting[self.searched..].iter().position(|byte| *byte == b'\n') {
                let text = self.waiting.split_to(self.searched + at + 1);
                if let Some(line) = self.line(text.freeze()) {
                    return Ok(Some(line));
                }
            }
            if self.waiting.len() > Line::MAX {
                self.too_long = true;
                self.waiting.clear();
            }
            self.searched = self.waiting.len();
            if !self.receive().await? {
                let rest = self.waiting.split().freeze();
                return Ok(if rest.is_empty() && !self.too_long { None } else { self.line(rest) });
            }
        }
    }

    /// A line that has come whole; none where it is blank.
    fn line(&mut self, text: Bytes) -> Option<Line> {
        self.searched = 0;
        self.number += 1;
        let too_long = std::mem::take(&mut self.too_long) || text.trim_ascii_end().len() > Line::MAX;
        match text.trim_ascii().is_empty() {
            _ if too_long => Some(Line::TooLong(self.number)),
            true => None,
            false => Some(Line::Text(self.number, text)),
        }
    }

    /// Takes what has come; says whether something did.
    async fn receive(&mut self) -> Result<bool, Problem> {
        let asked = Moment::now();
        let chunk = timeout(PATIENCE, self.payload.next()).await.map_err(|_| late())?;
        self.waited += Moment::now().since(asked);
        let Some(chunk) = chunk else { return Ok(false) };
        let chunk = chunk.map_err(|error| Problem::new(Code::MalformedRequest, error.to_string()).closing())?;
        self.length = self.length.saturating_add(chunk.len() as u64);
        if is_too_slow(self.length, self.waited) {
            return Err(late());
        }
        self.waiting.extend_from_slice(&chunk);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::FromRequest;
    use actix_web::dev;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    /// The lines of a body that comes in these pieces.
    async fn lines(pieces: Vec<Vec<u8>>) -> Vec<Line> {
        let pieces = stream::iter(pieces.into_iter().map(|piece| Ok::<_, PayloadError>(Bytes::from(piece))));
        let mut payload = dev::Payload::from(pieces.boxed_local());
        let payload = Payload::from_request(&TestRequest::default().to_http_request(), &mut payload).await.unwrap();
        let (mut lines, mut read) = (Lines::of(payload), Vec::new());
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        read
    }

    fn text(number: u64, text: &str) -> Line {
        Line::Text(number, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[actix_web::test]
    async fn lines_are_the_same_however_they_come() {
        let whole = b"{}\n\n  \r\n{\"a\":1}\r\nlast".to_vec();
        let expected = [text(1, "{}\n"), text(4, "{\"a\":1}\r\n"), text(5, "last")];
        assert_eq!(lines(vec![whole.clone()]).await, expected);
        assert_eq!(lines(whole.iter().map(|byte| vec![*byte]).collect()).await, expected);
        assert_eq!(lines(vec![]).await, []);
        assert_eq!(lines(vec![b"\n\n".to_vec()]).await, []);
    }

    #[actix_web::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let (long, most) = (vec![b'x'; Line::MAX + 1], vec![b'x'; Line::MAX]);
        let body = [&long[..], b"\n{}\n", &most, b"\n", &long, &long].concat();
        let expected = [
            Line::TooLong(1),
            text(2, "{}\n"),
            Line::Text(3, Bytes::from([&most[..], b"\n"].concat())),
            Line::TooLong(4),
        ];
        assert_eq!(lines(vec![body.clone()]).await, expected);
        assert_eq!(lines(body.chunks(1000).map(<[u8]>::to_vec).collect()).await, expected);
    }

    #[test]
    fn a_client_has_a_minute_and_then_as_long_as_its_bytes_take() {
        let secs = Duration::from_secs;
        assert!(!is_too_slow(0, secs(60)) && is_too_slow(0, secs(61)));
        assert!(!is_too_slow(SLOWEST * 100, secs(160)) && is_too_slow(SLOWEST * 100, secs(161)));
    }
}
