//! Processes that are measured: started where they are to run, found by what they print, killed when they are dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores;
use crate::host::field_kib;

/// A process that listens on an address.
pub(crate) struct Process {
    child: Child,
    /// Kept open, so that it can go on printing.
    _stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it, gives it what to read, and waits until it has printed its address.
    pub(crate) fn start(mut command: Command, input: Option<&[u8]>, pinned: bool) -> Result<Self> {
        let name = command.get_program().display().to_string();
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
        let start = || command.spawn().with_context(|| format!("{name} cannot be started"));
        let mut child = cores::measured(pinned, start)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            std::io::Write::write_all(&mut stdin, input)?;
        }
        let mut stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        let address = match announced(&mut stdout) {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.context(format!("{name} did not get ready")));
            }
        };
        Ok(Self { child, _stdout: stdout, address })
    }

    /// Its memory without what the page cache of the host holds for it, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        memory(self.id())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without a word, as a power cut would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        kill_process(id, Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("a server that was asked to stop ended with {status}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The anonymous memory of a process, in bytes.
pub(crate) fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    field_kib(&status, "RssAnon:") * 1024
}

/// The first address that is printed.
fn announced(stdout: &mut impl BufRead) -> Result<SocketAddr> {
    let mut line = String::new();
    while stdout.read_line(&mut line)? > 0 {
        if let Some((_, after)) = line.split_once("http://") {
            let address = after.split(['/', '\n']).next().unwrap_or_default();
            return address.parse().with_context(|| format!("'{address}' is no address"));
        }
        line.clear();
    }
    bail!("it ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_first_one_printed() {
        let banner = "ready\n  API   http://127.0.0.1:81/api/v1\n  docs  http://127.0.0.1:82/\n";
        assert_eq!(announced(&mut banner.as_bytes()).unwrap(), "127.0.0.1:81".parse().unwrap());
        assert!(announced(&mut "sorry\n".as_bytes()).is_err());
    }
}
