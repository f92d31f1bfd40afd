//! Machines: one route a file.

mod create;
mod delete;
mod edit;
mod events;
mod export;
mod get;
mod import;
mod line;
mod list;
mod operate;
mod text;
mod wait;

use std::net::Ipv4Addr;

use actix_web::http::StatusCode;
use cloudm_application::MachineView;
use cloudm_domain::{
    Cause, Cluster, ClusterId, InProgress, Instant, Machine, MachineId, MachineState, Operation, Reason, Tags,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use create::{TagText, create_machine};
pub(crate) use delete::delete_machine;
pub(crate) use edit::edit_machine;
pub(crate) use events::list_machine_events;
pub(crate) use export::export_machines;
pub(crate) use get::get_machine;
pub(crate) use import::import_machines;
pub(crate) use list::list_machines;
pub(crate) use operate::operate_machine;
pub(crate) use wait::wait_for_machine;

use crate::answer::Answer;
use crate::openapi::{CauseCode, MachineOperationCode, MachineStateCode};
use crate::schedule::ScheduledEventBody;
use crate::shape;

/// A simulated machine.
#[derive(Serialize, ToSchema)]
#[schema(as = Machine)]
pub(crate) struct MachineBody<'a> {
    /// Its id, for ever.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd880131237f27bdd20d5")]
    id: MachineId,
    /// Its name, unique in its cluster while it exists.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "machine1")]
    name: &'a str,
    /// The id of its cluster.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8809c404bf3976680b0")]
    cluster_id: ClusterId,
    /// The name that its cluster has now.
    #[schema(example = "cluster1")]
    cluster_name: &'a str,
    /// The code of the region that its cluster is in now.
    #[schema(example = "A")]
    region_code: &'a str,
    /// The code of its machine type.
    #[schema(example = "small")]
    machine_type: &'a str,
    /// A private address. It is a label: two machines may share one.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = Ipv4, example = "10.221.32.213")]
    ip_address: Ipv4Addr,
    /// Its tags.
    #[serde(serialize_with = "shape::tags")]
    #[schema(value_type = Vec<String>, max_items = 50, example = json!(["tag1"]))]
    tags: &'a Tags,
    /// Where it is in its life.
    #[schema(value_type = MachineStateCode, example = "RUNNING")]
    state: &'static str,
    /// When it entered that state, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    state_changed_at: Instant,
    /// The change in progress, in an active state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = TransitionBody, required = false)]
    transition: Option<TransitionBody>,
    /// Why it is in its state, where nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = StateReasonBody, required = false)]
    state_reason: Option<StateReasonBody>,
    /// What is going to be done to it, as it was told; absent where that is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<ScheduledEventBody>, required = false)]
    scheduled_events: Vec<ScheduledEventBody>,
    /// The operations that, not forced, would change it now.
    #[serde(serialize_with = "shape::operations")]
    #[schema(value_type = Vec<MachineOperationCode>, example = json!(["STOP", "REBOOT", "SUSPEND", "TERMINATE"]))]
    allowed_operations: &'a [Operation],
    /// What it refuses.
    protection: ProtectionBody,
    /// How many events it has had.
    #[schema(example = 3, minimum = 1)]
    version: u64,
    /// When it was created, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    created_at: Instant,
    /// When its last event happened, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    updated_at: Instant,
}

/// The change in progress of a machine in an active state.
#[derive(Serialize, ToSchema)]
#[schema(as = Transition)]
pub(crate) struct TransitionBody {
    /// What brought it about: an operation, CREATE, or what the world does.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = CauseCode, example = "CREATE")]
    pub(crate) operation: Cause,
    /// The state the machine left for the active one; absent for a creation.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MachineStateCode, required = false, example = "PROVISIONING")]
    pub(crate) from: Option<MachineState>,
    /// The state in which it ends.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = MachineStateCode, example = "RUNNING")]
    pub(crate) to: MachineState,
    /// When the active state was entered, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    pub(crate) started_at: Instant,
    /// When the active state ends, in virtual time; absent where it is stuck.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2030-01-01T00:00:25.000Z")]
    pub(crate) due_at: Option<Instant>,
}

impl TransitionBody {
    fn of(machine: &Machine) -> Option<Self> {
        let InProgress { cause, from, to, .. } = machine.in_progress.as_ref()?;
        let (started_at, due_at) = (machine.state_changed_at, machine.due_at());
        Some(Self { operation: *cause, from: *from, to: *to, started_at, due_at })
    }
}

/// Why a machine is in its state, where nobody asked for it.
#[derive(Serialize, ToSchema)]
#[schema(as = StateReason)]
pub(crate) struct StateReasonBody {
    /// The reason, for programs.
    #[schema(example = "CRASHED")]
    code: &'static str,
    /// The reason, for people.
    #[schema(example = "The machine failed while it was running.")]
    message: &'static str,
}

impl From<Reason> for StateReasonBody {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code(), message: reason.message() }
    }
}

/// Operations that a machine refuses, forced or not.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Protection)]
pub(crate) struct ProtectionBody {
    /// Whether it refuses STOP.
    #[schema(example = false)]
    pub(crate) stop: bool,
    /// Whether it refuses TERMINATE and deletion.
    #[schema(example = false)]
    pub(crate) terminate: bool,
}

impl From<cloudm_domain::Protection> for ProtectionBody {
    fn from(protection: cloudm_domain::Protection) -> Self {
        Self { stop: protection.stop, terminate: protection.terminate }
    }
}

impl From<ProtectionBody> for cloudm_domain::Protection {
    fn from(protection: ProtectionBody) -> Self {
        Self { stop: protection.stop, terminate: protection.terminate }
    }
}

impl<'a> MachineBody<'a> {
    fn new(machine: &'a Machine, cluster: &'a Cluster, allowed_operations: &'a [Operation]) -> Self {
        Self {
            id: machine.id,
            name: machine.name.as_str(),
            cluster_id: cluster.id,
            cluster_name: cluster.name.as_str(),
            region_code: cluster.region_code.as_str(),
            machine_type: machine.machine_type.as_str(),
            ip_address: machine.id.ip_address(),
            tags: &machine.tags,
            state: machine.state.code(),
            state_changed_at: machine.state_changed_at,
            transition: TransitionBody::of(machine),
            state_reason: machine.reason.map(StateReasonBody::from),
            scheduled_events: machine.scheduled.iter().map(ScheduledEventBody::from).collect(),
            allowed_operations,
            protection: machine.protection.into(),
            version: machine.version,
            created_at: machine.created_at,
            updated_at: machine.updated_at,
        }
    }
}

/// Serialises a view without owning its parts.
struct Shown<'a>(&'a MachineView);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let MachineView { machine, cluster, .. } = self.0;
        MachineBody::new(machine, cluster, &machine.allowed_operations()).serialize(json)
    }
}

fn show(status: StatusCode, view: &MachineView) -> Answer {
    shown(status, view, etag(view))
}

/// Shows a machine, which has this tag.
fn shown(status: StatusCode, view: &MachineView, etag: String) -> Answer {
    Answer { etag: Some(etag), ..Answer::of(status, text::machine(view)) }
}

/// The tag of what is shown: the machine's version and its cluster's, whose name it shows.
fn etag(view: &MachineView) -> String {
    let (mut machine, mut cluster) = (itoa::Buffer::new(), itoa::Buffer::new());
    ["\"", machine.format(view.machine.version), ".", cluster.format(view.cluster.version), "\""].concat()
}
