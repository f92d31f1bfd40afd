//! A machine as one record: all that is known of it, in the bytes that its row holds beside what it is searched by.
//!
//! To read one value that is nested in another is cheaper than to ask SQLite for a column: a page of a hundred machines with
//! a column for each of 24 fields took two fifths more instructions.

use std::fmt::Display;

use cloudm_domain::{
    Cause, ClusterId, Code, InProgress, Instant, Machine, MachineData, MachineId, MachineState, Protection, Reason,
    Step, StepKind, Tag, Tags,
};
use rusqlite::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::DbError;

/// What the bytes hold, in this order. They are on people's disks: a change of it needs an upgrade of the format.
///
/// Numbers are the domain's stable ones, instants milliseconds since 1970.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    pub(crate) id: [u8; 12],
    pub(crate) cluster_id: [u8; 12],
    pub(crate) name: &'a str,
    pub(crate) machine_type: &'a str,
    #[serde(borrow)]
    pub(crate) tags: Vec<&'a str>,
    pub(crate) protect_stop: bool,
    pub(crate) protect_terminate: bool,
    pub(crate) state: u8,
    pub(crate) state_changed_at: u64,
    #[serde(borrow)]
    pub(crate) in_progress: Option<Changing<'a>>,
    pub(crate) next: Option<(u64, u8)>,
    pub(crate) reason: Option<u8>,
    pub(crate) deleted: bool,
    pub(crate) ordinal: u32,
    pub(crate) attempt: u32,
    /// JSON, as what follows; empty for none.
    pub(crate) faults: &'a str,
    pub(crate) scheduled: &'a str,
    pub(crate) version: u64,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
}

/// A change in progress.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Changing<'a> {
    pub(crate) cause: u8,
    pub(crate) from: Option<u8>,
    pub(crate) to: u8,
    pub(crate) machine_type: Option<&'a str>,
}

/// Writes a machine, in place of what `into` holds.
pub(crate) fn write(machine: &Machine, mut into: Vec<u8>) -> Result<Vec<u8>, DbError> {
    let (faults, scheduled) = (json(&machine.faults)?, json(&machine.scheduled)?);
    let record = Record {
        id: *machine.id.as_bytes(),
        cluster_id: *machine.cluster_id.as_bytes(),
        name: machine.name.as_str(),
        machine_type: machine.machine_type.as_str(),
        tags: machine.tags.as_slice().iter().map(Tag::as_str).collect(),
        protect_stop: machine.protection.stop,
        protect_terminate: machine.protection.terminate,
        state: machine.state.number(),
        state_changed_at: machine.state_changed_at.millis(),
        in_progress: machine.in_progress.as_ref().map(changing),
        next: machine.next.map(|step| (step.at.millis(), step.kind.number())),
        reason: machine.reason.map(Reason::number),
        deleted: machine.deleted,
        ordinal: machine.ordinal,
        attempt: machine.attempt,
        faults: &faults,
        scheduled: &scheduled,
        version: machine.version,
        created_at: machine.created_at.millis(),
        updated_at: machine.updated_at.millis(),
    };
    into.clear();
    postcard::to_extend(&record, into).map_err(|_| DbError::Misused("a machine cannot be written"))
}

fn changing(change: &InProgress) -> Changing<'_> {
    let InProgress { cause, from, to, machine_type } = change;
    let machine_type = machine_type.as_ref().map(Code::as_str);
    Changing { cause: cause.number(), from: from.map(MachineState::number), to: to.number(), machine_type }
}

fn json<T: Serialize>(some: &[T]) -> Result<String, DbError> {
    if some.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(some).map_err(|_| DbError::Misused("faults and events are text"))
}

/// Reads the machine from the first column.
pub(crate) fn read(row: &Row<'_>) -> Result<Machine, DbError> {
    parse(bytes(row)?)
}

/// The bytes in the first column.
pub(crate) fn bytes<'a>(row: &'a Row<'_>) -> Result<&'a [u8], DbError> {
    row.get_ref(0)?.as_blob().map_err(damaged)
}

/// The machine that the bytes hold.
pub(crate) fn parse(bytes: &[u8]) -> Result<Machine, DbError> {
    Shared::default().parse(bytes)
}

/// Reads machines one after the other. What many of them have alike, and the last one had too, is not parsed anew.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    machine_type: Option<Code>,
    tags: Tags,
}

impl Shared {
    /// Reads the machine from the first column.
    pub(crate) fn read(&mut self, row: &Row<'_>) -> Result<Machine, DbError> {
        self.parse(bytes(row)?)
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<Machine, DbError> {
        let record: Record<'_> = postcard::from_bytes(bytes).map_err(damaged)?;
        let (machine_type, tags) = (self.machine_type(record.machine_type)?, self.tags(&record.tags)?);
        Machine::try_from(data(&record, machine_type, tags)?).map_err(damaged)
    }

    fn machine_type(&mut self, text: &str) -> Result<Code, DbError> {
        match self.machine_type.as_ref().filter(|known| known.as_str() == text) {
            Some(known) => Ok(known.clone()),
            None => Ok(self.machine_type.insert(text.parse().map_err(damaged)?).clone()),
        }
    }

    fn tags(&mut self, texts: &[&str]) -> Result<Tags, DbError> {
        if !self.tags.as_slice().iter().map(Tag::as_str).eq(texts.iter().copied()) {
            let tags = texts.iter().map(|text| text.parse().map_err(damaged)).collect::<Result<_, _>>()?;
            self.tags = Tags::new(tags).map_err(damaged)?;
        }
        Ok(self.tags.clone())
    }
}

fn data(record: &Record<'_>, machine_type: Code, tags: Tags) -> Result<MachineData, DbError> {
    Ok(MachineData {
        id: MachineId::from_bytes(record.id),
        cluster_id: ClusterId::from_bytes(record.cluster_id),
        name: record.name.parse().map_err(damaged)?,
        machine_type,
        tags,
        protection: Protection { stop: record.protect_stop, terminate: record.protect_terminate },
        state: state(record.state)?,
        state_changed_at: instant(record.state_changed_at)?,
        in_progress: record.in_progress.as_ref().map(in_progress).transpose()?,
        next: record.next.map(step).transpose()?,
        reason: record.reason.map(|number| Reason::from_number(number).map_err(damaged)).transpose()?,
        deleted: record.deleted,
        ordinal: record.ordinal,
        attempt: record.attempt,
        faults: from_json(record.faults)?,
        scheduled: from_json(record.scheduled)?,
        version: record.version,
        created_at: instant(record.created_at)?,
        updated_at: instant(record.updated_at)?,
    })
}

fn in_progress(change: &Changing<'_>) -> Result<InProgress, DbError> {
    Ok(InProgress {
        cause: Cause::from_number(change.cause).map_err(damaged)?,
        from: change.from.map(state).transpose()?,
        to: state(change.to)?,
        machine_type: change.machine_type.map(|text| text.parse().map_err(damaged)).transpose()?,
    })
}

fn step((at, kind): (u64, u8)) -> Result<Step, DbError> {
    let kind = StepKind::from_number(kind).ok_or_else(|| damaged("unknown step"))?;
    Ok(Step { at: instant(at)?, kind })
}

fn state(number: u8) -> Result<MachineState, DbError> {
    MachineState::from_number(number).map_err(damaged)
}

fn instant(millis: u64) -> Result<Instant, DbError> {
    Instant::from_millis(millis).map_err(damaged)
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<Vec<T>, DbError> {
    if json.is_empty() { Ok(Vec::new()) } else { serde_json::from_str(json).map_err(damaged) }
}

fn damaged(why: impl Display) -> DbError {
    DbError::damaged("a machine", why)
}

#[cfg(test)]
pub(crate) mod tests {
    use cloudm_domain::{FaultCount, FaultId, ScheduleId, ScheduleKind, ScheduledEvent};
    use rusqlite::Connection;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis).unwrap()
    }

    /// A machine of which nothing is known that need not be, and one of which all is known that can be.
    pub(crate) fn plain_and_rich() -> [Machine; 2] {
        let plain = MachineData {
            id: MachineId::from_bytes([1; 12]),
            cluster_id: ClusterId::from_bytes([9; 12]),
            name: "web-1".parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            state: MachineState::Running,
            state_changed_at: at(200),
            in_progress: None,
            next: None,
            reason: None,
            deleted: false,
            ordinal: 1,
            attempt: 0,
            faults: Vec::new(),
            scheduled: Vec::new(),
            version: 1,
            created_at: at(100),
            updated_at: at(300),
        };
        let told = ScheduledEvent {
            entry: ScheduleId::from_bytes([3; 12]),
            kind: ScheduleKind::SpotTermination,
            not_before: at(400),
            deadline: at(600),
            at: at(500),
        };
        let rich = MachineData {
            id: MachineId::from_bytes([2; 12]),
            name: "web-2".parse().unwrap(),
            tags: Tags::new(vec!["team:a".parse().unwrap(), "web".parse().unwrap()]).unwrap(),
            protection: Protection { stop: true, terminate: false },
            state: MachineState::Updating,
            in_progress: Some(InProgress {
                cause: Cause::Resize,
                from: Some(MachineState::Stopped),
                to: MachineState::Stopped,
                machine_type: Some("large".parse().unwrap()),
            }),
            next: Some(Step { at: at(800), kind: StepKind::Proceed }),
            reason: Some(Reason::Migrated),
            deleted: true,
            ordinal: 3,
            attempt: 4,
            faults: vec![FaultCount { fault: FaultId::from_bytes([4; 12]), matches: 2 }],
            scheduled: vec![told],
            version: 300,
            ..plain.clone()
        };
        [plain, rich].map(|data| Machine::try_from(data).unwrap())
    }

    fn read_back(bytes: &[u8]) -> Result<Machine, DbError> {
        let db = Connection::open_in_memory().unwrap();
        let mut statement = db.prepare("SELECT ?").unwrap();
        let mut rows = statement.query([bytes]).unwrap();
        read(rows.next().unwrap().unwrap())
    }

    /// What is on people's disks.
    #[test]
    fn a_machine_is_stored_as_ever() {
        let bytes = plain_and_rich().map(|machine| write(&machine, b"of another".to_vec()).unwrap());
        let ids = [[1; 12], [2; 12]].map(|id: [u8; 12]| [id, [9; 12]].concat());
        let plain = b"\x05web-1\x05small\x00\x00\x00\x03\xc8\x01\x00\x00\x00\x00\x01\x00\x00\x00\x01\x64\xac\x02";
        let rich = [
            b"\x05web-2\x05small\x02\x06team:a\x03web\x01\x00\x0a\xc8\x01".as_slice(),
            b"\x01\x06\x01\x05\x05\x01\x05large\x01\xa0\x06\x01\x01\x05\x01\x03\x04",
            b"\x32[{\"fault\":\"040404040404040404040404\",\"matches\":2}]",
            b"\x69[{\"entry\":\"030303030303030303030303\",\"kind\":\"SPOT_TERMINATION\"",
            b",\"not_before\":400,\"deadline\":600,\"at\":500}]",
            b"\xac\x02\x64\xac\x02",
        ];
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(text(&bytes[0]), text(&[&ids[0], plain.as_slice()].concat()));
        assert_eq!(text(&bytes[1]), text(&[&ids[1], rich.concat().as_slice()].concat()));
        assert_eq!(bytes.map(|bytes| read_back(&bytes).unwrap()), plain_and_rich());
    }

    #[test]
    fn what_no_machine_is_stored_as_is_damage() {
        let [plain, _] = plain_and_rich();
        let bytes = write(&plain, Vec::new()).unwrap();
        let version = bytes.len() - 4;
        let mut none = bytes.clone();
        none[version] = 0;
        for bytes in [&bytes[..version], b"", &none] {
            assert!(matches!(read_back(bytes), Err(DbError::Damaged(_))), "{bytes:?}");
        }
    }
}
