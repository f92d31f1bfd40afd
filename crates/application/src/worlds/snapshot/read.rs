//! Reading a snapshot, line by line.

use std::io::{self, BufRead, Read};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{End, Head, Line, VERSION};
use crate::error::Error;

/// The most bytes of a line. Only the first can be long: its rules may have changed a thousand times.
const MAX_LINE: u64 = 8 << 20;

/// Reads the lines of a snapshot between the first and the last.
pub(super) struct Reader<R> {
    from: R,
    lines: u64,
    hash: Sha256,
    text: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    pub(super) fn begin(from: R) -> Result<(Head, Self), Error> {
        let mut reader = Self { from, lines: 0, hash: Sha256::new(), text: Vec::new() };
        match reader.line()? {
            Some(Line::Snapshot(head)) if head.version == VERSION => Ok((*head, reader)),
            Some(Line::Snapshot(head)) => {
                let why = format!("it has version {}, and this server reads {VERSION}", head.version);
                Err(reader.refused(why))
            }
            _ => Err(reader.refused("a snapshot begins with its head")),
        }
    }

    /// The next line; nothing after the last one, which is checked.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Error> {
        let before = (self.lines, self.hash.clone());
        match self.line()? {
            None => Err(self.refused("it stops before its end")),
            Some(Line::Snapshot(_)) => Err(self.refused("there is another head")),
            Some(Line::End(end)) => self.end(&end, before).map(|()| None),
            line => Ok(line),
        }
    }

    /// What is wrong, and in which line.
    pub(super) fn refused(&self, why: impl Into<String>) -> Error {
        Error::InvalidSnapshot { line: self.lines, why: why.into() }
    }

    fn end(&mut self, end: &End, (lines, hash): (u64, Sha256)) -> Result<(), Error> {
        if *end != (End { lines, sha256: HEXLOWER.encode(&hash.finalize()) }) {
            return Err(self.refused("its lines are not those that it was written with"));
        }
        match self.fill()? {
            0 => Ok(()),
            _ => Err(self.refused("there is more after its end")),
        }
    }

    fn line(&mut self) -> Result<Option<Line>, Error> {
        if self.fill()? == 0 {
            return Ok(None);
        }
        self.lines += 1;
        if self.text.last() != Some(&b'\n') {
            return Err(self.refused("the line stops before its end, or is too long"));
        }
        self.hash.update(&self.text);
        serde_json::from_slice(&self.text).map(Some).map_err(|why| self.refused(why.to_string()))
    }

    /// Reads the bytes of the next line.
    fn fill(&mut self) -> Result<usize, Error> {
        self.text.clear();
        let mut line = (&mut self.from).take(MAX_LINE);
        line.read_until(b'\n', &mut self.text).map_err(|why| io_error(&why))
    }
}

/// A snapshot that cannot be read or written.
pub(super) fn io_error(why: &io::Error) -> Error {
    crate::ports::StoreError::Unavailable(format!("a snapshot on its way: {why}")).into()
}
