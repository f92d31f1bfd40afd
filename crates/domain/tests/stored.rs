//! What stores keep must stay readable: the forms of the `serde` feature, there and back, and bad values refused.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fmt::Debug;

use cloudm_domain::{
    Behaviour, Bounds, Cause, Change, Clock, ClusterId, Code, Created, Distribution, EffectKind, Entered, FaultId,
    Instant, Machine, MachineData, MachineEvent, MachineId, MachineState, Name, NewMachine, Odds, Outcome, Preset,
    Protection, Rate, Reason, Rules, ScheduleId, ScheduleKind, ScheduledEvent, Seed, Span, Step, StepKind, Tag, Tags,
    Timeline, WorldRefusal,
};
use serde::{Serialize, de::DeserializeOwned};

fn in_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value, "{text}");
}

fn refused<T: DeserializeOwned>(text: &str) {
    assert!(serde_json::from_str::<T>(text).is_err(), "{text} was read");
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis).unwrap()
}

fn web() -> NewMachine {
    NewMachine {
        id: MachineId::from_bytes([7; 12]),
        cluster_id: ClusterId::from_bytes([1; 12]),
        name: "web-1".parse().unwrap(),
        machine_type: "small".parse().unwrap(),
        tags: Tags::default(),
        protection: Protection::default(),
        start: true,
    }
}

fn step() -> Option<Step> {
    Some(Step { at: at(2_000), kind: StepKind::Proceed })
}

/// One of each change, and the bytes in which the embedded store keeps it. These bytes are in users' files: they never
/// change, and a new kind of change comes after the last.
fn changes() -> [(Change, &'static [u8]); 10] {
    let created = Created {
        cluster_id: ClusterId::from_bytes([1; 12]),
        name: "a".parse().unwrap(),
        machine_type: "s".parse().unwrap(),
        tags: Tags::new(vec!["t".parse().unwrap()]).unwrap(),
        protection: Protection { stop: true, terminate: false },
        to: MachineState::Running,
        next: step(),
    };
    let entered = Entered {
        state: MachineState::Updating,
        cause: Cause::Resize,
        to: MachineState::Stopped,
        next: None,
        reason: Some(Reason::Crashed),
        machine_type: Some("l".parse().unwrap()),
    };
    let why = WorldRefusal::InsufficientCapacity;
    let edited =
        Change::Edited { name: Some("b".parse().unwrap()), tags: None, protection: Some(Protection::default()) };
    let fault = FaultId::from_bytes([2; 12]);
    let entry = ScheduleId::from_bytes([3; 12]);
    let kind = ScheduleKind::MaintenanceStop;
    let told = ScheduledEvent { entry, kind, not_before: at(1), deadline: at(3), at: at(2) };
    let next = Some(Step { at: at(9), kind: StepKind::Repair });
    [
        (
            Change::Announced(told),
            &[
                7, 24, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51,
                2, 1, 3, 2,
            ],
        ),
        (
            Change::CameDue { event: told, next },
            &[
                8, 24, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51, 48, 51,
                2, 1, 3, 2, 1, 9, 2,
            ],
        ),
        (
            Change::FaultMatched { fault, effect: Some(EffectKind::Delay) },
            &[
                6, 24, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50,
                1, 3,
            ],
        ),
        (
            Change::FaultMatchedInWorld { fault, effect: None, number: 300 },
            &[
                9, 24, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50, 48, 50,
                0, 172, 2,
            ],
        ),
        (
            Change::Created(Box::new(created.clone())),
            &[
                0, 24, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49,
                1, 97, 1, 115, 1, 1, 116, 1, 0, 2, 1, 208, 15, 0,
            ],
        ),
        (edited, &[1, 1, 1, 98, 0, 1, 0, 0]),
        (Change::DeleteRequested, &[2]),
        (Change::Entered(entered), &[3, 9, 5, 4, 0, 1, 1, 1, 1, 108]),
        (Change::Refused { cause: Cause::Start, why }, &[4, 0, 0]),
        (
            Change::CreationRefused { created: Box::new(Created { next: None, ..created }), why },
            &[
                5, 24, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49, 48, 49,
                1, 97, 1, 115, 1, 1, 116, 1, 0, 2, 0, 0,
            ],
        ),
    ]
}

#[test]
fn stored_events_stay_readable() {
    for (change, bytes) in changes() {
        assert_eq!(postcard::to_allocvec(&change).unwrap(), bytes, "{change:?}");
        assert_eq!(postcard::from_bytes::<Change>(bytes).unwrap(), change);
        in_json(&MachineEvent { machine: MachineId::from_bytes([7; 12]), version: 3, at: at(1_000), change });
    }
}

/// Every event of a long life goes there and back, also as the whole event.
#[test]
fn a_history_is_read_as_it_was_written() {
    let rules = Rules::new(Seed::new(5).unwrap(), Preset::Flaky.behaviour());
    let Outcome { machine, mut events, .. } = Machine::create(web(), Instant::DEFAULT_START, &rules);
    let week = Instant::DEFAULT_START.plus(Span::from_secs(7 * 24 * 3600));
    let settled = machine.settle(week, &rules);
    events.extend(settled.events);
    let deleted = settled.machine.delete(week, &rules).unwrap();
    events.extend(deleted.events);
    assert!(events.len() > 40);
    for event in &events {
        in_json(event);
        let bytes = postcard::to_allocvec(event).unwrap();
        assert!(bytes.len() < 150, "events are kept for ever, this one is large: {event:?}");
        assert_eq!(postcard::from_bytes::<MachineEvent>(&bytes).unwrap(), *event);
    }
}

/// The bytes of an event hold a code as its place in the list of all, which is its number less one.
#[test]
fn stored_codes_keep_their_places() {
    for state in MachineState::ALL {
        assert_eq!(postcard::to_allocvec(state).unwrap(), [state.number() - 1]);
    }
    for cause in Cause::ALL {
        assert_eq!(postcard::to_allocvec(cause).unwrap(), [cause.number() - 1]);
    }
    for why in WorldRefusal::ALL {
        assert_eq!(postcard::to_allocvec(why).unwrap(), [why.number() - 1]);
    }
    for effect in EffectKind::ALL {
        assert_eq!(postcard::to_allocvec(effect).unwrap(), [effect.number() - 1]);
    }
    for reason in Reason::ALL {
        assert_eq!(postcard::to_allocvec(reason).unwrap(), [reason.number() - 1]);
    }
}

#[test]
fn a_machine_is_read_as_it_was_written() {
    let rules = Rules::new(Seed::new(1).unwrap(), Preset::Flaky.behaviour());
    let created = Machine::create(web(), Instant::DEFAULT_START, &rules).machine;
    let running = created.clone().settle(Instant::DEFAULT_START.plus(Span::from_secs(600)), &rules).machine;
    let at = running.updated_at;
    let refused = running.clone().refuse((Cause::Stop, WorldRefusal::InsufficientCapacity), None, at, &rules).machine;
    assert_eq!(refused.attempt, 1);
    for machine in [created, running, refused] {
        let data = MachineData::from(machine.clone());
        in_json(&data);
        assert_eq!(Machine::try_from(data), Ok(machine));
    }
}

#[test]
fn rules_are_read_as_they_were_written() {
    for preset in Preset::ALL {
        in_json(&preset);
        in_json(&preset.behaviour());
        let mut timeline = Timeline::new(preset.behaviour());
        timeline.push(Instant::DEFAULT_START, Preset::Instant.behaviour()).unwrap();
        in_json(&timeline);
    }
    let bounds = Bounds::secs(1, 90);
    in_json(&Distribution::Fixed { value: Span::from_millis(1) });
    in_json(&Distribution::Uniform { bounds });
    in_json(&Distribution::Normal { mean: Span::from_secs(5), std_dev: Span::from_secs(1), bounds });
    in_json(&Distribution::Lognormal { median: Span::from_secs(5), sigma: 0.1, bounds });
    in_json(&Distribution::Exponential { mean: Span::from_secs(5), bounds });
    in_json(&Clock::new(Instant::DEFAULT_START, 7, Rate::REAL));
    in_json(&Seed::new(Seed::MAX).unwrap());
    in_json(&Odds::millionths(123_456));
    in_json(&Span::from_millis(5_400_250));
}

#[test]
fn bad_values_are_refused() {
    refused::<Name>(r#""a b""#);
    refused::<Tag>(r#""""#);
    refused::<Tags>(r#"["a","a"]"#);
    refused::<Code>(r#""a/b""#);
    refused::<MachineId>(r#""ABCDEF""#);
    refused::<Seed>("9007199254740992");
    refused::<Odds>("1.5");
    refused::<Rate>("-1");
    refused::<Instant>("4294967296000");
    refused::<Span>(r#""-1s""#);
    refused::<MachineState>(r#""UP""#);
    refused::<Timeline<u8>>(r#"{"first":1,"later":[[5,1],[3,2]]}"#);
    refused::<Distribution>(r#"{"distribution":"fixed","value":"1s","vlaue":"2s"}"#);
    refused::<Distribution>(r#"{"distribution":"uniform","min":"1s","max":"2s","mean":"2s"}"#);
    refused::<Distribution>(r#"{"distribution":"bimodal","min":"1s","max":"2s"}"#);
    refused::<Behaviour>(r#"{"provisioning": {"duration": {"distribution": "fixed"}}}"#);
}

#[test]
fn a_behaviour_is_written_for_people() {
    let text = serde_json::to_string(&Preset::Realistic.behaviour().starting).unwrap();
    let expected = r#"{"duration":{"distribution":"lognormal","median":"25s","sigma":0.4,"min":"8s","max":"5m"},"fail":0.001,"stick":0.0}"#;
    assert_eq!(text, expected);
}
