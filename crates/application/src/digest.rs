//! Digests: whether two worlds had the same history.
//!
//! A digest is the sum of the SHA-256 hashes of a world's events, each in its canonical form, as numbers modulo 2²⁵⁶. A sum needs
//! no order: how the commands to different machines came to be interleaved is not in it.

use std::sync::Arc;

use cloudm_domain::{Change, Instant, MachineEvent, MachineId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::ports::{EventQuery, EventStore, StoreError, WorldStore};
use crate::settler::Settler;

/// Events that are read at once.
const PAGE: usize = 1_000;

/// An event in its canonical form: what happened, without where it stands in a store, or who asked for it.
#[derive(Serialize)]
struct Canonical<'a> {
    machine: MachineId,
    version: u64,
    at: Instant,
    change: &'a Change,
}

/// The canonical form of an event: a line of JSON, with its fields in the order of the domain's types, ids as hex digits and
/// instants as milliseconds since 1970.
pub(crate) fn canonical(event: &MachineEvent) -> Result<Vec<u8>, Error> {
    let MachineEvent { machine, version, at, change } = event;
    let form = Canonical { machine: *machine, version: *version, at: *at, change };
    let failed = |why: serde_json::Error| StoreError::Failed(format!("an event has no canonical form: {why}"));
    Ok(serde_json::to_vec(&form).map_err(failed)?)
}

/// A sum of hashes, modulo 2²⁵⁶.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl Sum {
    /// Adds the hash of `bytes`.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let hash = Sha256::digest(bytes);
        let mut carry = 0;
        for (sum, byte) in self.0.iter_mut().zip(hash.iter()).rev() {
            let added = u16::from(*sum) + u16::from(*byte) + carry;
            *sum = (added & 0xff) as u8;
            carry = added >> 8;
        }
    }
}

impl std::fmt::Display for Sum {
    /// As 64 hex digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of a world's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestView {
    /// The sum.
    pub sum: Sum,
    /// How many events there are.
    pub events: u64,
    /// What the clock said.
    pub now: Instant,
}

/// Tells the digest of a world's history.
pub struct GetDigest {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) settler: Settler,
}

impl GetDigest {
    /// The digest now, with everything that was due. It costs a look at every event.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn run(&self) -> Result<DigestView, Error> {
        let view = self.world.read().await?;
        self.settler.settle_all(&view).await?;
        let mut digest = DigestView { sum: Sum::default(), events: 0, now: view.now };
        let mut query = EventQuery { machine: None, until: None, after: None, limit: PAGE };
        loop {
            let page = self.events.page(&query).await?;
            for one in &page.events {
                digest.sum.add(&canonical(&one.event)?);
                digest.events += 1;
            }
            match page.events.into_iter().next_back() {
                Some(last) if page.more => query.after = Some(last.position),
                _ => return Ok(digest),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use cloudm_domain::Preset;

    /// What people compare worlds by, also across versions.
    #[test]
    fn the_canonical_form_is_as_ever() {
        let event = &fixtures::created(Preset::Realistic, "web-1").events[0];
        let form = String::from_utf8(canonical(event).unwrap()).unwrap();
        assert_eq!(form, FORM);
        let mut sum = Sum::default();
        sum.add(form.as_bytes());
        assert_eq!(sum.to_string(), HASH);
    }

    const FORM: &str = r#"{"machine":"70dbd880a87a3142b7efb0c2","version":1,"at":1893456000000,"change":{"Created":{"cluster_id":"010101010101010101010101","name":"web-1","machine_type":"small","tags":[],"protection":{"stop":false,"terminate":false},"to":"RUNNING","next":{"at":1893456013176,"kind":"Proceed"}}}}"#;
    const HASH: &str = "7efaf9740a62faa24a6add8c83293ae2acb87dacba759c5b1f30642c70278cbc";

    #[test]
    fn a_sum_needs_no_order_and_wraps() {
        let sum = |texts: &[&str]| {
            let mut sum = Sum([0xff; 32]);
            texts.iter().for_each(|text| sum.add(text.as_bytes()));
            sum
        };
        assert_eq!(sum(&["a", "b", "c"]), sum(&["c", "a", "b"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a", "a"]));
        // All ones and the hash of nothing: one less than that hash.
        let one_less = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b854";
        assert_eq!(sum(&[""]).to_string(), one_less);
    }
}
