//! Fleet operations: one route a file.

mod cancel;
mod create;
mod follow;
mod get;
mod list;
mod request;
mod results;
mod selector;
mod wait;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use cloudm_application::ports::{FleetOperation, FleetTemplate, FleetWork};
use cloudm_domain::{
    ClusterId, Code, Command, FleetKind, FleetOutcome, FleetProgress, FleetState, Instant, NameTemplate, OperationId,
    Tag, Tags,
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use cancel::cancel_operation;
pub(crate) use create::create_operation;
pub(crate) use get::get_operation;
pub(crate) use list::list_operations;
pub(crate) use request::check_name;
pub(crate) use results::list_operation_results;
pub(crate) use selector::SelectorBody;
pub(crate) use wait::wait_for_operation;

use crate::codes;
use crate::machines::ProtectionBody;
use crate::openapi::{FleetKindCode, FleetStateCode};
use crate::shape;
use crate::world::public_root;

/// One operation over many machines, each of which is decided on its own.
#[derive(Serialize, ToSchema)]
#[schema(as = Operation)]
pub(crate) struct OperationBody<'a> {
    /// Its id.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8d2a7f44b0d9c1b6f3e")]
    id: OperationId,
    /// What it does.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = FleetKindCode, example = "STOP")]
    kind: FleetKind,
    /// Which machines it is about, where it is not about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Option<SelectorBody>,
    /// True where it is about all machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, example = true)]
    all: Option<bool>,
    /// How many machines it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1_000_000, example = 1000)]
    count: Option<u32>,
    /// What it makes them of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = TemplateBody, required = false)]
    template: Option<TemplateBody<'a>>,
    /// Whether it is forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, example = false)]
    force: Option<bool>,
    /// The machine type that a RESIZE gives.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "large")]
    machine_type: Option<&'a Code>,
    /// The tags that a TAG adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["team:a"]))]
    add_tags: Option<&'a [Tag]>,
    /// The tags that a TAG removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["team:b"]))]
    remove_tags: Option<&'a [Tag]>,
    /// The cluster that a DELETE_CLUSTER deletes.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[0-9a-f]{24}$", example = "70dbd8809c404bf3976680b0")]
    cluster_id: Option<ClusterId>,
    /// How far it is.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = FleetStateCode, example = "SUCCEEDED")]
    state: FleetState,
    /// How many machines it has decided, and how.
    progress: ProgressBody,
    /// Why it ended otherwise than its progress says: the code of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "cluster_not_empty")]
    reason: Option<&'static str>,
    /// When it was accepted, in virtual time. Machines that were made later are none of its.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:05:00.000Z")]
    created_at: Instant,
    /// When it ended, in virtual time.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2030-01-01T00:05:00.000Z")]
    finished_at: Option<Instant>,
}

/// How many machines an operation has decided: `matched` is the sum of the others.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationProgress)]
pub(crate) struct ProgressBody {
    /// All that it has decided.
    #[schema(example = 3, minimum = 0)]
    matched: u64,
    /// Those that did what was asked, or began to.
    #[schema(example = 2, minimum = 0)]
    done: u64,
    /// Those with nothing to change.
    #[schema(example = 0, minimum = 0)]
    unchanged: u64,
    /// Those that refused.
    #[schema(example = 1, minimum = 0)]
    rejected: u64,
}

/// What the machines of an operation are made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
pub(crate) struct TemplateBody<'a> {
    /// Their names: `{n}` stands for the number of each.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "web-{n}")]
    name: &'a NameTemplate,
    /// The id of the cluster that they are made in.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd8809c404bf3976680b0")]
    cluster_id: ClusterId,
    /// Their tags.
    #[serde(serialize_with = "shape::tags")]
    #[schema(value_type = Vec<String>, max_items = 50, example = json!(["tag1"]))]
    tags: &'a Tags,
    /// The code of their machine type.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, example = "small")]
    machine_type: &'a Code,
    /// Whether they go on to RUNNING; else they end STOPPED.
    #[schema(example = true)]
    start: bool,
    /// What they refuse.
    protection: ProtectionBody,
}

impl From<FleetProgress> for ProgressBody {
    fn from(progress: FleetProgress) -> Self {
        let FleetProgress { done, unchanged, rejected } = progress;
        Self { matched: progress.matched(), done, unchanged, rejected }
    }
}

impl<'a> From<&'a FleetTemplate> for TemplateBody<'a> {
    fn from(template: &'a FleetTemplate) -> Self {
        Self {
            name: &template.name,
            cluster_id: template.cluster,
            tags: &template.tags,
            machine_type: &template.machine_type,
            start: template.start,
            protection: template.protection.into(),
        }
    }
}

impl<'a> From<&'a FleetOperation> for OperationBody<'a> {
    fn from(operation: &'a FleetOperation) -> Self {
        let plain = Self {
            id: operation.id,
            kind: operation.work.kind(),
            selector: None,
            all: None,
            count: None,
            template: None,
            force: None,
            machine_type: None,
            add_tags: None,
            remove_tags: None,
            cluster_id: None,
            state: operation.state,
            progress: operation.progress.into(),
            reason: operation.reason.and_then(refusal),
            created_at: operation.accepted.at,
            finished_at: operation.finished_at,
        };
        match &operation.work {
            FleetWork::Create(template) => {
                Self { count: Some(template.count), template: Some(template.into()), ..plain }
            }
            FleetWork::Operate(selector, request) => {
                let machine_type = match &request.command {
                    Command::Resize(code) => Some(code),
                    _ => None,
                };
                Self { force: Some(request.force), machine_type, ..plain.over(selector) }
            }
            FleetWork::Tag { selector, add, remove } => {
                Self { add_tags: Some(add), remove_tags: Some(remove), ..plain.over(selector) }
            }
            FleetWork::DeleteCluster(cluster) => Self { cluster_id: Some(*cluster), ..plain },
        }
    }
}

impl OperationBody<'_> {
    /// With what says which machines it is about.
    fn over(self, selector: &cloudm_domain::Selector) -> Self {
        let shown = SelectorBody::from(selector);
        let all = shown.is_empty();
        Self { selector: (!all).then_some(shown), all: all.then_some(true), ..self }
    }
}

/// The code of the problem that a machine would have refused with, had it been asked alone.
fn refusal(outcome: FleetOutcome) -> Option<&'static str> {
    let code = match outcome {
        FleetOutcome::Done | FleetOutcome::Unchanged => return None,
        FleetOutcome::IllegalTransition => codes::Code::IllegalTransition,
        FleetOutcome::OperationInProgress => codes::Code::OperationInProgress,
        FleetOutcome::Protected => codes::Code::Protected,
        FleetOutcome::MachineTerminated => codes::Code::MachineTerminated,
        FleetOutcome::NameTaken => codes::Code::NameTaken,
        FleetOutcome::UnknownCluster => codes::Code::UnknownCluster,
        FleetOutcome::InvalidTags => codes::Code::InvalidTags,
        FleetOutcome::SettleLimit => codes::Code::SettleLimit,
        FleetOutcome::Contention => codes::Code::Contention,
        FleetOutcome::ClusterNotEmpty => codes::Code::ClusterNotEmpty,
        FleetOutcome::InsufficientCapacity => codes::Code::InsufficientCapacity,
        FleetOutcome::StruckDown => codes::Code::Fault,
        FleetOutcome::RegionOutage => codes::Code::RegionOutage,
    };
    Some(code.text())
}

/// Shows an operation that was started: 202 and where it is, as long as it has not ended.
pub(crate) fn started(request: &HttpRequest, operation: &FleetOperation) -> HttpResponse {
    if operation.state.is_ended() {
        return HttpResponse::Ok().json(OperationBody::from(operation));
    }
    let location = format!("{}/operations/{}", public_root(request), operation.id);
    HttpResponse::Accepted().insert_header((header::LOCATION, location)).json(OperationBody::from(operation))
}
