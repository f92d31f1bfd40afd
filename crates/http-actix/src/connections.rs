//! Connections that stand still.
//!
//! actix-web bounds the time of a connection's first request head and of the pause between two requests, but a head that
//! began and does not end, on a connection that was used before, holds it for ever. So every connection is known here,
//! and one that has had no request under way for long is shut down.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as Stream;
use parking_lot::Mutex;

use crate::stopwatch::Moment;

/// How long a connection may stand without a request under way. A client that reads its answer slowly has that long, too.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer that is given bit by bit may wait for its client to take more.
const FLOW_PATIENCE: Duration = Duration::from_secs(90);

/// How often connections are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The connections of a server.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Vec<Weak<Connection>>>);

/// One connection, as long as it lives.
pub(crate) struct Connection {
    /// The same socket once more, to shut it down by; it ends with the connection.
    socket: TcpStream,
    work: Mutex<Work>,
}

struct Work {
    under_way: usize,
    since: Moment,
    /// When an answer that is given bit by bit was last asked for more.
    flowed: Option<Moment>,
}

/// An answer that is given bit by bit: its request is under way until this is dropped, and its connection is shut where the client
/// takes nothing for long.
pub(crate) struct Flow(Option<Arc<Connection>>);

impl Flow {
    pub(crate) fn begin(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.begin();
        }
        let flow = Self(connection);
        flow.goes_on();
        flow
    }

    /// The client takes more.
    pub(crate) fn goes_on(&self) {
        if let Some(connection) = &self.0 {
            connection.work.lock().flowed = Some(Moment::now());
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.work.lock().flowed = None;
            connection.end(Moment::now());
        }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self { under_way: 0, since: Moment::now(), flowed: None }
    }
}

impl Connections {
    /// Gets to know a new connection.
    pub(crate) fn opened(&self, io: &dyn Any, data: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<Stream>() else { return };
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
        let work = Mutex::new(Work::default());
        let connection = Arc::new(Connection { socket: socket.into(), work });
        self.0.lock().push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Shuts down what stands still, from time to time, for ever.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.shut_still_ones(Moment::now());
        }
    }

    fn shut_still_ones(&self, now: Moment) {
        self.0.lock().retain(|known| {
            let Some(connection) = known.upgrade() else { return false };
            if connection.stands_still(now) {
                // It may be shut already; then there is nothing to do.
                let _ = connection.socket.shutdown(Shutdown::Both);
            }
            true
        });
    }
}

impl Connection {
    fn stands_still(&self, now: Moment) -> bool {
        let work = self.work.lock();
        let stopped = work.flowed.is_some_and(|flowed| now.since(flowed) > FLOW_PATIENCE);
        stopped || work.under_way == 0 && now.since(work.since) > PATIENCE
    }

    pub(crate) fn begin(&self) {
        self.work.lock().under_way += 1;
    }

    pub(crate) fn end(&self, now: Moment) {
        let mut work = self.work.lock();
        work.under_way = work.under_way.saturating_sub(1);
        work.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;

    /// A known connection and the client's end of it.
    fn connected(connections: &Connections) -> (Arc<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let work = Mutex::new(Work::default());
        let connection = Arc::new(Connection { socket: listener.accept().unwrap().0, work });
        connections.0.lock().push(Arc::downgrade(&connection));
        client.set_nonblocking(true).unwrap();
        (connection, client)
    }

    fn is_open(client: &mut TcpStream) -> bool {
        matches!(client.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn a_client_that_takes_nothing_for_long_is_left() {
        let connections = Connections::default();
        let (connection, mut client) = connected(&connections);
        connection.begin();
        let flow = Flow(Some(connection));
        flow.goes_on();
        let later = |secs| Moment::now().plus(Duration::from_secs(secs));
        connections.shut_still_ones(later(80));
        assert!(is_open(&mut client));
        connections.shut_still_ones(later(100));
        assert!(!is_open(&mut client));
        let (connection, mut client) = connected(&connections);
        connection.begin();
        drop(Flow(Some(connection.clone())));
        connections.shut_still_ones(later(20));
        assert!(is_open(&mut client), "the answer is over, and the connection was used not long ago");
        assert_eq!(Arc::strong_count(&connection), 1);
    }

    #[test]
    fn only_what_stands_still_for_long_is_shut() {
        let connections = Connections::default();
        let (still, mut still_client) = connected(&connections);
        let (busy, mut busy_client) = connected(&connections);
        busy.begin();
        let later = |secs| Moment::now().plus(Duration::from_secs(secs));
        connections.shut_still_ones(later(20));
        assert!(is_open(&mut still_client) && is_open(&mut busy_client));
        connections.shut_still_ones(later(40));
        assert!(!is_open(&mut still_client), "no request was under way");
        assert!(is_open(&mut busy_client), "a request was under way");
        busy.end(later(40));
        connections.shut_still_ones(later(60));
        assert!(is_open(&mut busy_client), "it was used not long ago");
        drop(still);
        connections.shut_still_ones(later(61));
        assert_eq!(connections.0.lock().len(), 1, "what is closed is forgotten");
    }
}
