use std::io::Cursor;
use std::sync::Arc;

use cloudm_domain::{Effect, FaultOn, FaultRule, Instant, MachineState, Preset};

use super::import::check;
use super::write::Writer;
use crate::error::Error;
use crate::fixtures;
use crate::ports::{GoneCluster, Part, World};

/// A small world with a bit of everything.
fn parts() -> Vec<Part> {
    let view = fixtures::view(Preset::Instant, "0s");
    let made = fixtures::created(Preset::Instant, "web-1");
    let gone = cloudm_domain::Cluster { id: cloudm_domain::ClusterId::from_bytes([2; 12]), ..fixtures::cluster() };
    vec![
        Part::World(Box::new(World::clone(&view.world)), view.now),
        Part::Clusters(vec![Arc::new(fixtures::cluster())]),
        Part::GoneClusters(vec![GoneCluster { cluster: Arc::new(gone), at: Instant::DEFAULT_START }]),
        Part::Machines(vec![made.machine]),
        Part::Events(made.events),
        Part::End,
    ]
}

fn written(parts: Vec<Part>) -> String {
    let mut writer = Writer::new(Vec::new());
    let last = parts.into_iter().map(|part| writer.part(part).unwrap()).last();
    assert_eq!(last, Some(true));
    String::from_utf8(writer.into_inner()).unwrap()
}

/// The line that is refused, and why; nothing where none is.
fn refused(text: &str) -> Option<(u64, String)> {
    match check(Cursor::new(text.to_owned())) {
        Ok(_) => None,
        Err(Error::InvalidSnapshot { line, why }) => Some((line, why)),
        Err(error) => panic!("{error}"),
    }
}

/// What people keep in their repositories.
#[test]
fn the_form_is_as_ever() {
    let text = written(parts());
    assert_eq!(text, include_str!("form.ndjson"));
    assert_eq!(refused(&text), None);
}

#[test]
fn faults_go_with_it_and_have_to_make_sense() {
    let with = |rule: &FaultRule| {
        let view = fixtures::view(Preset::Instant, "0s");
        let mut world = World::clone(&view.world);
        world.rules.faults.push(rule.clone(), world.start, world.seed);
        let mut parts = parts();
        parts[0] = Part::World(Box::new(world), view.now);
        written(parts)
    };
    let stuck = FaultRule::new(FaultOn::State(MachineState::Starting), Effect::Stick(None));
    let (head, _) = check(Cursor::new(with(&stuck))).unwrap();
    assert_eq!(head.faults.iter().map(|fault| &fault.rule).collect::<Vec<_>>(), [&stuck]);
    let never = FaultRule { times: Some(0), ..stuck };
    assert_eq!(refused(&with(&never)), Some((1, "a fault makes no sense".into())));
}

#[test]
fn what_is_not_whole_is_refused() {
    let text = written(parts());
    for end in 0..text.len() {
        assert!(refused(&text[..end]).is_some(), "cut off after {end} bytes");
    }
    assert!(refused(&format!("{text}\n")).is_some());
    assert!(refused(&format!("{text}{text}")).is_some());
    let lines: Vec<_> = text.lines().collect();
    for left_out in 0..lines.len() {
        let rest: Vec<_> =
            lines.iter().enumerate().filter(|(number, _)| *number != left_out).map(|(_, l)| *l).collect();
        assert!(refused(&(rest.join("\n") + "\n")).is_some(), "without line {}", left_out + 1);
    }
}

#[test]
fn what_was_altered_is_refused() {
    let text = written(parts());
    for at in 0..text.len() {
        let other = if &text[at..=at] == "1" { "2" } else { "1" };
        let altered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert!(refused(&altered).is_some(), "byte {at}");
    }
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    let part = |index: usize| parts().swap_remove(index);
    let now = Instant::from_millis(Instant::DEFAULT_START.millis() - 1).unwrap();
    let Part::World(world, _) = part(0) else { panic!() };
    let Part::Events(mut events) = part(4) else { panic!() };
    events.pop();
    let cases: [(&str, Vec<Part>); 7] = [
        ("before its start", vec![Part::World(world, now), Part::End]),
        ("another head", vec![part(0), part(0), Part::End]),
        ("its cluster does not exist", vec![part(0), part(3), part(4), Part::End]),
        ("has to come before", vec![part(0), part(1), part(3), part(2), part(4), Part::End]),
        ("another cluster with this id", vec![part(0), part(1), part(1), Part::End]),
        ("ids of machines are not in order", vec![part(0), part(1), part(3), part(3), Part::End]),
        ("has not all of its events", vec![part(0), part(1), part(3), Part::Events(events), Part::End]),
    ];
    for (why, parts) in cases {
        let told = refused(&written(parts)).unwrap();
        assert!(told.1.contains(why), "{why}: {told:?}");
    }
    assert_eq!(refused(&written(vec![part(0), part(1), part(2), part(3), part(4), part(4), Part::End])).unwrap().0, 8);
    assert!(refused("{}\n").is_some() && refused("").is_some() && refused("[]\n").is_some());
}
