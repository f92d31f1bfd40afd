//! Asks a running server whether it is ready, for containers whose image has no curl.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ureq::Agent;

use crate::banner::reachable;

/// How long a server that is ready may take to say so.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the address that answered as ready.
///
/// # Errors
/// When the server does not answer in five seconds, or answers that it is not ready.
pub(crate) fn ask(bind: SocketAddr) -> Result<String> {
    ensure!(bind.port() != 0, "http.bind has port 0: which one the server took cannot be known");
    let url = format!("http://{}/readyz", reachable(bind));
    // A proxy from the environment would answer for itself.
    let agent: Agent =
        Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).http_status_as_error(false).build().into();
    let answer = agent.get(&url).call().with_context(|| format!("{url} does not answer"))?;
    if !answer.status().is_success() {
        bail!("{url} answers {}: not ready", answer.status());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Asks a server that gives this answer to whatever it is asked.
    fn ask_one_that_says(answer: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let read = socket.read(&mut head).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let told = ask(address);
        assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        told
    }

    #[test]
    fn a_server_that_is_ready_is_healthy() {
        let told = ask_one_that_says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(told.unwrap().ends_with("/readyz"));
    }

    #[test]
    fn a_server_that_drains_is_not() {
        let told =
            ask_one_that_says("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(told.unwrap_err().to_string().contains("503"));
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(free).unwrap_err().to_string().contains("does not answer"));
        assert!(ask("127.0.0.1:0".parse().unwrap()).unwrap_err().to_string().contains("port 0"));
    }
}
