//! A way to the database on which accidents happen: it forwards the wire protocol, and at one command of the client's does
//! something else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens at a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accident {
    /// The connection is closed before the database gets it.
    ClosedBefore,
    /// The database carries it out, and the connection is closed before the answer.
    ClosedAfter,
    /// The database gets it late.
    Stalled(Duration),
}

/// What the way knows.
#[derive(Default)]
struct State {
    /// The commands that passed since they were last asked for.
    passed: Vec<String>,
    /// How many of them said how long they may take.
    timed: usize,
    /// What happens at which of them that come.
    next: Option<(usize, Accident)>,
}

/// A way to the database.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// The field that says how long a command may take.
const MAX_TIME: &[u8] = b"maxTimeMS\0";

/// What drivers ask by themselves.
const BY_THEMSELVES: [&str; 5] = ["hello", "ismaster", "isMaster", "ping", "endSessions"];

impl Proxy {
    /// A way to the database at this port.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = proxy.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                tokio::spawn(carry(client, server, state.clone()));
            }
        });
        proxy
    }

    /// Where it is taken.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// The commands that passed since this was last asked, or the accident was set up.
    pub(crate) fn passed(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().passed)
    }

    /// How many commands passed that said how long they may take, since the accident was set up or this was last asked.
    pub(crate) fn timed(&self) -> usize {
        std::mem::take(&mut self.state.lock().timed)
    }

    /// Lets an accident happen at the command of this number from now on, once.
    pub(crate) fn set_up(&self, command: usize, accident: Accident) {
        *self.state.lock() = State { next: Some((command, accident)), ..State::default() };
    }

    /// Whether it has not happened yet.
    pub(crate) fn is_set_up(&self) -> bool {
        self.state.lock().next.is_some()
    }
}

async fn carry(client: TcpStream, server: TcpStream, state: Arc<Mutex<State>>) {
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (swallow, swallowing) = watch::channel(false);
    // Whichever ends first closes both connections.
    tokio::select! {
        _ = requests(from_client, to_server, &state, &swallow) => {}
        _ = answers(from_server, to_client, swallowing) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &Mutex<State>,
    swallow: &watch::Sender<bool>,
) -> io::Result<()> {
    loop {
        let message = message(&mut from).await?;
        match accident(&message, state) {
            None => to.write_all(&message).await?,
            Some(Accident::ClosedBefore) => return Ok(()),
            Some(Accident::ClosedAfter) => {
                swallow.send_replace(true);
                to.write_all(&message).await?;
            }
            Some(Accident::Stalled(time)) => {
                tokio::time::sleep(time).await;
                to.write_all(&message).await?;
            }
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallowing: watch::Receiver<bool>) -> io::Result<()> {
    loop {
        let message = message(&mut from).await?;
        if *swallowing.borrow() {
            return Ok(());
        }
        to.write_all(&message).await?;
    }
}

/// A whole message: its length comes first.
async fn message(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32_le().await?;
    let mut message = length.to_le_bytes().to_vec();
    message.resize(usize::try_from(length).unwrap_or(usize::MAX).max(4), 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}

fn accident(message: &[u8], state: &Mutex<State>) -> Option<Accident> {
    let command = command(message)?;
    if BY_THEMSELVES.contains(&command) {
        return None;
    }
    let mut state = state.lock();
    state.passed.push(command.to_owned());
    state.timed += usize::from(message.windows(MAX_TIME.len()).any(|some| some == MAX_TIME));
    let number = state.passed.len() - 1;
    state.next.take_if(|(at, _)| *at == number).map(|(_, accident)| accident)
}

/// The name of the command in an OP_MSG: that of the first field of its document, which follows a header of 16 bytes, 4 of
/// flags, 1 that says what follows, 4 of its length and 1 of the field's type.
fn command(message: &[u8]) -> Option<&str> {
    const OP_MSG: [u8; 4] = 2013_u32.to_le_bytes();
    if message.get(12..16)? != OP_MSG {
        return None;
    }
    let name = message.get(26..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&name[..end]).ok()
}
