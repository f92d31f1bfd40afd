//! What tests of what happens to machines begin with.

use crate::behaviour::{Behaviour, Timing};
use crate::distribution::Distribution;
use crate::id::{ClusterId, MachineId};
use crate::machine::{NewMachine, Protection};
use crate::name::Tags;
use crate::rules::Rules;
use crate::seed::Seed;
use crate::time::{Instant, Span};

pub(crate) const START: Instant = Instant::DEFAULT_START;

/// So many seconds after the start.
pub(crate) fn at(secs: u64) -> Instant {
    START.plus(Span::from_secs(secs))
}

pub(crate) fn seed() -> Seed {
    Seed::new(1).unwrap()
}

/// Rules by which every state takes ten seconds.
pub(crate) fn ten_seconds() -> Rules {
    let ten = Timing::lasting(Distribution::Fixed { value: Span::from_secs(10) });
    Rules::new(seed(), Behaviour::uniform(ten))
}

/// A machine of this number to make, which goes on to RUNNING.
pub(crate) fn new(number: u8) -> NewMachine {
    NewMachine {
        id: MachineId::from_bytes([number; 12]),
        cluster_id: ClusterId::from_bytes([9; 12]),
        name: format!("web-{number}").parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    }
}
