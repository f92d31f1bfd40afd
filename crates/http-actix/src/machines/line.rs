//! A line of an import.

use cloudm_application::NewMachineRequest;
use cloudm_domain::{Code, MachineState, Name, Tags};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ProtectionBody;
use crate::body::{Object, not_null, parsed};

/// A machine to make, as POST /machines takes it, or as an export tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportLine {
    name: Name,
    cluster_name: Name,
    #[serde(default)]
    tags: Tags,
    #[serde(default, deserialize_with = "not_null")]
    machine_type: Option<Code>,
    #[serde(default, deserialize_with = "not_null")]
    start: Option<bool>,
    #[serde(default)]
    protection: Object<ProtectionBody>,
    /// What it was.
    #[serde(default, deserialize_with = "parsed")]
    state: Option<MachineState>,
    // What a machine says of itself besides, and an import makes anew.
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "cluster_id")]
    _cluster_id: IgnoredAny,
    #[serde(default, rename = "region_code")]
    _region_code: IgnoredAny,
    #[serde(default, rename = "ip_address")]
    _ip_address: IgnoredAny,
    #[serde(default, rename = "state_changed_at")]
    _state_changed_at: IgnoredAny,
    #[serde(default, rename = "transition")]
    _transition: IgnoredAny,
    #[serde(default, rename = "state_reason")]
    _state_reason: IgnoredAny,
    #[serde(default, rename = "allowed_operations")]
    _allowed_operations: IgnoredAny,
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
    #[serde(default, rename = "created_at")]
    _created_at: IgnoredAny,
    #[serde(default, rename = "updated_at")]
    _updated_at: IgnoredAny,
}

impl From<ImportLine> for NewMachineRequest {
    fn from(line: ImportLine) -> Self {
        let ImportLine { name, cluster_name, tags, machine_type, start, protection, state, .. } = line;
        let start = start.unwrap_or(state != Some(MachineState::Stopped));
        Self { name, cluster_name, tags, machine_type, start, protection: protection.0.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;
    use crate::codes;
    use serde_json::{Value, json};

    fn read(line: &Value) -> Result<NewMachineRequest, codes::Code> {
        parse::<ImportLine>(line.to_string().as_bytes()).map(ImportLine::into).map_err(|problem| problem.code)
    }

    #[test]
    fn what_an_export_tells_is_read() {
        let mut machine = crate::examples::stopping_machine();
        machine["state_reason"] = json!({"code": "CRASHED", "message": "It failed."});
        let request = read(&machine).unwrap();
        assert_eq!((request.name.as_str(), request.start), ("machine1", true));
        machine["state"] = json!("STOPPED");
        assert!(!read(&machine).unwrap().start);
        machine["start"] = json!(true);
        assert!(read(&machine).unwrap().start);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let line = |field: &str, value: Value| {
            let mut line = json!({"name": "a", "cluster_name": "web"});
            line[field] = value;
            read(&line).err()
        };
        assert_eq!(line("tags", json!(["x"])), None);
        assert_eq!(line("tgas", json!(["x"])), Some(codes::Code::UnknownField));
        assert_eq!(line("state", json!("UP")), Some(codes::Code::InvalidValue));
        assert_eq!(line("state", json!(null)), Some(codes::Code::WrongType));
        assert_eq!(line("name", json!("a b")), Some(codes::Code::InvalidName));
        assert_eq!(read(&json!({"name": "a"})).err(), Some(codes::Code::MissingField));
    }
}
