//! The requests of the hot paths.

use crate::wire::Requests;

/// The id of a machine, as hex digits.
pub(crate) type Id = [u8; 24];

/// A sequence of numbers without a pattern that a cache would like.
#[derive(Debug, Clone)]
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) fn new(from: u64) -> Self {
        Self(from)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, or 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % (count as u64).max(1)).unwrap_or(0)
    }
}

/// A request without a body.
pub(crate) fn bare(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// A request with a body.
pub(crate) fn with_body(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The same request again and again.
pub(crate) struct Same(pub(crate) Vec<u8>);

impl Requests for Same {
    fn next(&mut self, _: usize, into: &mut Vec<u8>) -> bool {
        into.extend_from_slice(&self.0);
        true
    }
}

/// Machines by their ids, in no order.
pub(crate) struct Reads<'a> {
    pub(crate) ids: &'a [Id],
    pub(crate) shuffle: Shuffle,
}

impl Requests for Reads<'_> {
    fn next(&mut self, _: usize, into: &mut Vec<u8>) -> bool {
        let place = self.shuffle.below(self.ids.len());
        into.extend_from_slice(b"GET /api/v1/machines/");
        into.extend(self.ids.get(place).into_iter().flatten());
        into.extend_from_slice(b" HTTP/1.1\r\nHost: bench\r\n\r\n");
        true
    }
}

/// What is done to a machine in turn: one thing and its opposite.
pub(crate) struct Turns<'a> {
    /// The request up to the machine's id.
    pub(crate) before: &'a [u8],
    /// The rest of it, for each turn.
    pub(crate) after: &'a [Vec<u8>; 2],
    pub(crate) ids: &'a [Id],
    /// Whether a machine's last turn was the first one.
    pub(crate) turned: &'a mut [bool],
    pub(crate) connections: usize,
    /// How many each connection has asked.
    pub(crate) asked: Vec<usize>,
    /// Where they begin, so that measurements do not all work on the same machines.
    pub(crate) from: usize,
}

impl Requests for Turns<'_> {
    /// Each connection has machines of its own, for two that ask the same one are a race and not a throughput.
    fn next(&mut self, connection: usize, into: &mut Vec<u8>) -> bool {
        let Some(asked) = self.asked.get_mut(connection) else { return false };
        let own = (self.ids.len() / self.connections).max(1);
        let place = (connection + ((self.from + *asked) % own) * self.connections) % self.ids.len().max(1);
        *asked += 1;
        let (Some(id), Some(turned)) = (self.ids.get(place), self.turned.get_mut(place)) else { return false };
        *turned = !*turned;
        let [first, second] = self.after;
        into.extend_from_slice(self.before);
        into.extend_from_slice(id);
        into.extend_from_slice(if *turned { first } else { second });
        true
    }
}

/// New machines.
pub(crate) struct Creations<'a> {
    /// The path, up to `/machines`.
    pub(crate) api: &'a str,
    /// What their names begin with.
    pub(crate) name: &'a str,
    /// The number that the last one has in its name.
    pub(crate) last: &'a mut u64,
    /// The number to end at.
    pub(crate) until: u64,
}

impl Requests for Creations<'_> {
    fn next(&mut self, _: usize, into: &mut Vec<u8>) -> bool {
        if *self.last >= self.until {
            return false;
        }
        *self.last += 1;
        let body = format!(r#"{{"name":"{}-{}","cluster_name":"c1","tags":["web"]}}"#, self.name, self.last);
        into.extend(with_body("POST", &format!("{}/machines", self.api), &body));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_no_machine_and_each_takes_turns() {
        let ids: Vec<Id> = (0..10).map(|number| [b'0' + number; 24]).collect();
        let (mut turned, after) = (vec![false; 10], [b" a".to_vec(), b" b".to_vec()]);
        let asked = vec![0; 3];
        let mut turns =
            Turns { before: b"", after: &after, ids: &ids, turned: &mut turned, connections: 3, asked, from: 1 };
        let mut ask = |connection| {
            let mut request = Vec::new();
            turns.next(connection, &mut request);
            (request[0], request[25])
        };
        let asked: Vec<_> = (0..4).map(|_| ask(0)).collect();
        assert_eq!(asked, [(b'3', b'a'), (b'6', b'a'), (b'0', b'a'), (b'3', b'b')]);
        assert_eq!([ask(1), ask(2)], [(b'4', b'a'), (b'5', b'a')]);
    }

    #[test]
    fn new_machines_have_names_of_their_own() {
        let mut last = 6;
        let mut creations = Creations { api: "/api/v1", name: "new", last: &mut last, until: 7 };
        let mut request = Vec::new();
        assert!(creations.next(0, &mut request));
        let text = String::from_utf8(request.clone()).unwrap();
        assert!(text.starts_with("POST /api/v1/machines HTTP/1.1\r\n") && text.contains(r#""name":"new-7""#), "{text}");
        assert!(!creations.next(0, &mut request), "that was the last one");
    }
}
