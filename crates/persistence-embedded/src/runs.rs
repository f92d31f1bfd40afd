//! Runs of events: those of one machine that one write makes.
//!
//! What is asked of a machine has often several events: it is made, it starts, it runs. A run of them is one row, for each row is one more
//! in every index of the history. The row has the number of the last one of them; those before it have the numbers before.

use cloudm_domain::{Change, Instant, MachineEvent, MachineId};
use rusqlite::Row;

use crate::columns::Columns;
use crate::error::DbError;

/// Where the history of a machine is: the numbers of its first run and of its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Runs {
    /// Those of events of one machine that are written after the number `last`.
    pub(crate) fn after(last: i64, events: &[MachineEvent]) -> Self {
        let number = |events: usize| last.saturating_add(i64::try_from(events).unwrap_or(i64::MAX));
        Self { first: number(events.len().min(LONGEST)), last: number(events.len()) }
    }
}

/// The most events of a run, for whoever asks for one of them reads all.
const LONGEST: usize = 32;

/// The runs that events are written as, in their order.
pub(crate) fn of(events: &[MachineEvent]) -> impl Iterator<Item = &[MachineEvent]> {
    let follows = |before: &MachineEvent, event: &MachineEvent| {
        before.machine == event.machine && before.version.checked_add(1) == Some(event.version)
    };
    events.chunk_by(follows).flat_map(|run| run.chunks(LONGEST))
}

/// The bytes of a run, in the room of others: what the first event changes, and for each further one when it happened, in
/// milliseconds since 1970, and what it changes.
pub(crate) fn write(run: &[MachineEvent], mut room: Vec<u8>) -> Result<Vec<u8>, DbError> {
    room.clear();
    let cannot = |_| DbError::Misused("an event cannot be written");
    for (place, event) in run.iter().enumerate() {
        if place > 0 {
            room = postcard::to_extend(&event.at.millis(), room).map_err(cannot)?;
        }
        room = postcard::to_extend(&event.change, room).map_err(cannot)?;
    }
    Ok(room)
}

/// How far apart the versions are at which a history can be entered.
const MILE: u64 = 64;

/// Whether a history can be entered at a run.
pub(crate) fn is_mile(run: &[MachineEvent]) -> bool {
    run.iter().any(|event| event.version % MILE == 0)
}

/// Reads the run of a row with the columns `seq, machine_id, version, at, change`: its events with their numbers.
pub(crate) fn read(row: &Row<'_>) -> Result<impl Iterator<Item = (i64, MachineEvent)> + use<>, DbError> {
    let columns = Columns(row);
    let bytes = row.get_ref(4)?.as_blob().map_err(|why| DbError::damaged("an event", why))?;
    let first = (MachineId::from_bytes(columns.id(1)?), columns.number(2)?, columns.instant(3)?);
    let events = events(first, bytes)?;
    let last: i64 = row.get(0)?;
    let others = i64::try_from(events.len()).unwrap_or(i64::MAX).saturating_sub(1);
    Ok((last.saturating_sub(others)..).zip(events))
}

fn events((machine, version, at): (MachineId, u64, Instant), bytes: &[u8]) -> Result<Vec<MachineEvent>, DbError> {
    let damaged = |why| DbError::damaged("an event", why);
    let (change, mut rest) = postcard::take_from_bytes(bytes).map_err(damaged)?;
    let mut events = vec![MachineEvent { machine, version, at, change }];
    for version in version.saturating_add(1).. {
        if rest.is_empty() {
            break;
        }
        let ((millis, change), beyond) = postcard::take_from_bytes::<(u64, Change)>(rest).map_err(damaged)?;
        let at = Instant::from_millis(millis).map_err(|why| DbError::damaged("an event", why))?;
        events.push(MachineEvent { machine, version, at, change });
        rest = beyond;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{
        Cause, ClusterId, Created, Entered, MachineState, Protection, Reason, Span, Step, StepKind, Tags,
    };

    use super::*;

    fn one_of_each() -> Vec<MachineEvent> {
        let next = Some(Step { at: Instant::DEFAULT_START, kind: StepKind::Repair });
        let tags = Tags::new(vec!["team:a".parse().unwrap()]).unwrap();
        let protection = Protection { stop: true, terminate: false };
        let created = Created {
            cluster_id: ClusterId::from_bytes([0xab; 12]),
            name: "web".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: tags.clone(),
            protection,
            to: MachineState::Running,
            next,
        };
        let entered = Entered {
            state: MachineState::Updating,
            cause: Cause::Resize,
            to: MachineState::Stopped,
            next,
            reason: Some(Reason::Crashed),
            machine_type: Some("large".parse().unwrap()),
        };
        let changes = [
            Change::Created(Box::new(created)),
            Change::Edited { name: Some("db".parse().unwrap()), tags: Some(tags), protection: Some(protection) },
            Change::DeleteRequested,
            Change::Entered(entered),
        ];
        let event = |(version, change)| MachineEvent {
            machine: MachineId::from_bytes([7; 12]),
            version,
            at: Instant::DEFAULT_START.plus(Span::from_millis(version)),
            change,
        };
        (1..).zip(changes).map(event).collect()
    }

    fn read_back(run: &[MachineEvent]) -> Vec<MachineEvent> {
        let first = &run[0];
        events((first.machine, first.version, first.at), &write(run, vec![1, 2]).unwrap()).unwrap()
    }

    /// What is on people's disks. A change of these bytes needs an upgrade of the format.
    #[test]
    fn events_are_stored_as_ever() {
        let stored: Vec<_> =
            one_of_each().chunks(1).map(|event| (write(event, vec![]).unwrap(), read_back(event))).collect();
        let expected: [&[u8]; 4] = [
            b"\x00\x18abababababababababababab\x03web\x05small\x01\x06team:a\x01\x00\x02\x01\x80\xe8\x96\xd6\x8d\x37\x02",
            b"\x01\x01\x02db\x01\x01\x06team:a\x01\x01\x00",
            b"\x02",
            b"\x03\x09\x05\x04\x01\x80\xe8\x96\xd6\x8d\x37\x02\x01\x01\x01\x05large",
        ];
        for ((event, stored), expected) in one_of_each().into_iter().zip(stored).zip(expected) {
            assert_eq!(stored, (expected.to_vec(), vec![event]));
        }
    }

    #[test]
    fn a_run_holds_its_events_one_after_the_other() {
        let all = one_of_each();
        assert_eq!(read_back(&all), all);
        let expected =
            b"\x02\x84\xe8\x96\xd6\x8d\x37\x03\x09\x05\x04\x01\x80\xe8\x96\xd6\x8d\x37\x02\x01\x01\x01\x05large";
        assert_eq!(write(&all[2..], vec![]).unwrap(), expected);
    }

    #[test]
    fn what_is_torn_is_damage() {
        let all = one_of_each();
        let whole = write(&all[2..], vec![]).unwrap();
        for length in [0, 3, whole.len() - 1] {
            let read = events((all[2].machine, 3, all[2].at), &whole[..length]);
            assert!(matches!(read, Err(DbError::Damaged(_))), "{length} bytes: {read:?}");
        }
    }

    #[test]
    fn the_runs_of_a_write_are_numbered_by_their_last_events() {
        let all = one_of_each();
        assert_eq!(Runs::after(10, &all), Runs { first: 14, last: 14 });
        let many: Vec<_> = all.iter().cycle().take(2 * LONGEST + 1).cloned().collect();
        assert_eq!(Runs::after(0, &many), Runs { first: LONGEST as i64, last: 2 * LONGEST as i64 + 1 });
    }

    #[test]
    fn a_run_is_of_one_machine_and_of_bounded_length() {
        let event = |machine, version| MachineEvent {
            machine: MachineId::from_bytes([machine; 12]),
            version,
            at: Instant::DEFAULT_START,
            change: Change::DeleteRequested,
        };
        let events: Vec<_> = [(1, 1), (1, 2), (2, 3), (2, 5)].map(|(machine, version)| event(machine, version)).into();
        let lengths: Vec<_> = of(&events).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 1, 1]);
        let long: Vec<_> = (1..=70).map(|version| event(1, version)).collect();
        let lengths: Vec<_> = of(&long).map(<[_]>::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 70 - 2 * LONGEST]);
    }
}
