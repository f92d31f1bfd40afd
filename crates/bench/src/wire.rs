//! A client that costs little: HTTP/1.1 over connections that stay open, one request at a time on each, in one thread.
//!
//! It writes bytes that are ready and looks in an answer for its status and its length alone, so that with a core of its own it
//! is seldom what a measurement waits for.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::clock::Moment;
use crate::histogram::Histogram;

/// What is asked.
pub(crate) trait Requests {
    /// Writes the next request of a connection to the end of `into`; says whether there is one.
    fn next(&mut self, connection: usize, into: &mut Vec<u8>) -> bool;
}

/// What a measurement came to.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) latencies: Histogram,
    /// Requests that the server had no time for (503). They are not in the figures above.
    pub(crate) refused: u64,
}

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks on so many connections for a while, each again as soon as it is answered, and waits for the last answers. Every answer has to be a success, or a 503.
pub(crate) fn load(
    address: SocketAddr,
    connections: u32,
    span: Duration,
    requests: &mut impl Requests,
) -> Result<Load> {
    let mut poll = Poll::new()?;
    let mut crowd =
        (0..connections as usize).map(|number| Connection::open(address, number, &poll)).collect::<Result<Vec<_>>>()?;
    let mut events = Events::with_capacity(connections.max(16) as usize);
    let (begun, mut load) = (Moment::now(), Load::default());
    let (mut waiting, mut last) = (0, begun);
    for (number, connection) in crowd.iter_mut().enumerate() {
        waiting += usize::from(connection.ask(number, begun, requests)?);
    }
    while waiting > 0 {
        ensure!(begun.elapsed() < span + PATIENCE, "{waiting} requests were not answered");
        match poll.poll(&mut events, Some(Duration::from_secs(1))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let number = event.token().0;
            let Some(connection) = crowd.get_mut(number) else { continue };
            if !connection.go_on()? {
                continue;
            }
            let now = Moment::now();
            if connection.answer.is_refusal() {
                load.refused += 1;
            } else {
                load.latencies.add(connection.begun.until(now));
            }
            last = now;
            if begun.until(now) >= span || !connection.ask(number, now, requests)? {
                waiting -= 1;
            }
        }
    }
    // All that was asked is counted, with the time that it took: to leave out what was under way at the end would be to
    // leave out more where more is under way.
    load.per_second = load.latencies.total() as f64 / begun.until(last).as_secs_f64().max(f64::EPSILON);
    Ok(load)
}

struct Connection {
    stream: mio::net::TcpStream,
    request: Vec<u8>,
    written: usize,
    answer: Answer,
    begun: Moment,
    busy: bool,
}

impl Connection {
    fn open(address: SocketAddr, number: usize, poll: &Poll) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let (request, answer) = (Vec::new(), Answer::default());
        Ok(Self { stream, request, written: 0, answer, begun: Moment::now(), busy: false })
    }

    /// Sends the next request, where there is one.
    fn ask(&mut self, number: usize, now: Moment, requests: &mut impl Requests) -> Result<bool> {
        self.request.clear();
        self.busy = requests.next(number, &mut self.request);
        if self.busy {
            self.answer.clear();
            (self.written, self.begun) = (0, now);
            self.write()?;
        }
        Ok(self.busy)
    }

    fn write(&mut self) -> Result<()> {
        while let Some(rest) = self.request.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Goes on where the connection was; says whether its request is answered now.
    fn go_on(&mut self) -> Result<bool> {
        if !self.busy {
            return Ok(false);
        }
        self.write()?;
        while !self.answer.is_whole()? {
            match self.stream.read(self.answer.space()) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => self.answer.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.busy = false;
        Ok(true)
    }
}

/// An answer as far as it has come.
#[derive(Default)]
struct Answer {
    bytes: Vec<u8>,
    filled: usize,
    /// How long it is, once its head is there.
    length: Option<usize>,
}

impl Answer {
    const SPACE: usize = 16 << 10;

    fn clear(&mut self) {
        (self.filled, self.length) = (0, None);
    }

    fn space(&mut self) -> &mut [u8] {
        if self.bytes.len() < self.filled + Self::SPACE {
            self.bytes.resize((self.filled + Self::SPACE).next_power_of_two(), 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    fn is_refusal(&self) -> bool {
        self.bytes.get(9..12) == Some(b"503")
    }

    fn is_whole(&mut self) -> Result<bool> {
        let came = self.bytes.get(..self.filled).unwrap_or_default();
        if self.length.is_none() {
            self.length = length(came)?;
        }
        Ok(self.length.is_some_and(|length| self.filled >= length))
    }
}

/// The length of an answer with its head, once that is there.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = answer.get(..end).unwrap_or_default();
    let expected = head.get(9) == Some(&b'2') || head.get(9..12) == Some(b"503");
    ensure!(expected, "an answer is no success: {}", String::from_utf8_lossy(answer.get(..800).unwrap_or(answer)));
    let body = head.split(|byte| *byte == b'\n').find_map(content_length);
    Ok(Some(end + 4 + body.unwrap_or(0)))
}

fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = line.split_at_checked(15)?;
    let value = name.eq_ignore_ascii_case(b"content-length:").then_some(value)?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// So many requests.
    struct Count(usize);

    impl Requests for Count {
        fn next(&mut self, _: usize, into: &mut Vec<u8>) -> bool {
            into.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            self.0 = self.0.saturating_sub(1);
            self.0 > 0
        }
    }

    #[test]
    fn the_length_of_an_answer_is_in_its_head() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").unwrap(), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap(), Some(41));
        assert_eq!(length(b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n").unwrap(), Some(33));
        assert!(length(b"HTTP/1.1 409 Conflict\r\n\r\n").unwrap_err().to_string().contains("409"));
    }

    /// A server that answers in two pieces.
    fn halting() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut request = [0; 64];
                    while stream.read(&mut request).is_ok_and(|read| read > 0) {
                        let answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc");
                        if answered.and_then(|()| stream.write_all(b"def")).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn answers_are_counted_also_where_they_come_in_pieces() {
        let server = halting();
        let timed = load(server, 3, Duration::from_millis(50), &mut Count(usize::MAX)).unwrap();
        assert!(timed.per_second > 0.0 && timed.latencies.latency().is_some());
        let counted = load(server, 3, PATIENCE, &mut Count(8)).unwrap();
        assert_eq!(counted.latencies.total(), 7);
    }
}
