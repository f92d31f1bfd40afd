//! GET /events, and the form of events.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use cloudm_application::EventListQuery;
use cloudm_application::ports::{Position, PositionedEvent};
use cloudm_domain::{
    Cause, Change, ClusterId, Code, Created, EffectKind, Entered, EventKind, FaultId, Instant, MachineId, MachineState,
    Protection, Selector, Step, Tags, WorldRefusal,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::HttpApi;
use crate::codes;
use crate::docs::{AfterParam, LastEventIdParam, PageParams, SelectorParams, problems};
use crate::machines::{ProtectionBody, StateReasonBody};
use crate::openapi::{CauseCode, EffectKindCode, EventKindCode, MachineStateCode};
use crate::problem::Problem;
use crate::query::Query;
use crate::schedule::ScheduledEventBody;
use crate::shape;
use crate::stream::{self, Streams};
use crate::world::{World, next_link};

/// A page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventList)]
pub(crate) struct EventListBody<'a> {
    /// The events, newest last.
    items: Vec<EventBody<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
    /// The position after the page.
    #[schema(example = "cLFA1mYAAAAAAAAC")]
    position: String,
}

/// One fact that happened to a machine. (machine_id, version) names it. What did not change is absent.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody<'a> {
    /// Its position in the stream of events.
    #[schema(example = "cLFA1mYAAAAAAAAC")]
    id: String,
    /// The machine.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd880131237f27bdd20d5")]
    machine_id: MachineId,
    /// The machine's version with it.
    #[schema(example = 4, minimum = 1)]
    version: u64,
    /// When it happened, in virtual time.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, format = DateTime, example = "2030-01-01T00:00:00.000Z")]
    at: Instant,
    /// What kind of event it is.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = EventKindCode, example = "STATE_ENTERED")]
    kind: EventKind,
    /// The state that was entered.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MachineStateCode, required = false, example = "STOPPING")]
    state: Option<MachineState>,
    /// What brought the state about, or was asked and refused.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CauseCode, required = false, example = "STOP")]
    cause: Option<Cause>,
    /// The state in which the transition ends, where the machine is on its way.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MachineStateCode, required = false, example = "STOPPED")]
    to: Option<MachineState>,
    /// When the active state ends; absent at rest, and where it is stuck.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2030-01-01T00:00:20.000Z")]
    due_at: Option<Instant>,
    /// Why the state was entered, where nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = StateReasonBody, required = false)]
    state_reason: Option<StateReasonBody>,
    /// Why the world refused what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = RefusalBody, required = false)]
    refusal: Option<RefusalBody>,
    /// The fault that matched.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, pattern = "^[0-9a-f]{24}$", example = "70dbd8801b2c3d4e5f607182")]
    fault: Option<FaultId>,
    /// What the fault does to what comes next; absent where it let the match pass.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EffectKindCode, required = false, example = "FAIL")]
    effect: Option<EffectKind>,
    /// Which match of the fault in the whole world it is, from 1, where those are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false, minimum = 1, example = 3)]
    match_number: Option<u64>,
    /// What the machine was told is going to be done to it, or what came due of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ScheduledEventBody, required = false)]
    scheduled_event: Option<ScheduledEventBody>,
    /// The cluster of a machine that was made, or was to be.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "70dbd8809c404bf3976680b0")]
    cluster_id: Option<ClusterId>,
    /// The machine's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "machine1")]
    name: Option<&'a str>,
    /// The machine's type, or the one that a RESIZE gives it.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "small")]
    machine_type: Option<&'a Code>,
    /// The machine's tags.
    #[serde(serialize_with = "tags", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["tag1"]))]
    tags: Option<&'a Tags>,
    /// What the machine refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ProtectionBody, required = false)]
    protection: Option<ProtectionBody>,
}

/// Why the world refused what was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalBody {
    /// The reason, for programs.
    #[schema(example = "INSUFFICIENT_CAPACITY")]
    code: &'static str,
    /// The reason, for people.
    #[schema(example = "The pool of the machine's type in its region has no place left.")]
    message: &'static str,
}

impl From<WorldRefusal> for RefusalBody {
    fn from(why: WorldRefusal) -> Self {
        let message = match why {
            WorldRefusal::InsufficientCapacity => "The pool of the machine's type in its region has no place left.",
            WorldRefusal::Fault => "A fault of the world refused it.",
            WorldRefusal::RegionOutage => "The machine's region was out.",
        };
        Self { code: why.code(), message }
    }
}

fn tags<S: serde::Serializer>(tags: &Option<&Tags>, json: S) -> Result<S::Ok, S::Error> {
    match tags {
        Some(tags) => shape::tags(tags, json),
        None => json.serialize_none(),
    }
}

impl<'a> From<&'a PositionedEvent> for EventBody<'a> {
    fn from(PositionedEvent { position, event }: &'a PositionedEvent) -> Self {
        let plain = Self {
            id: encode(position),
            machine_id: event.machine,
            version: event.version,
            at: event.at,
            kind: event.change.kind(),
            state: None,
            cause: None,
            to: None,
            due_at: None,
            state_reason: None,
            refusal: None,
            fault: None,
            effect: None,
            match_number: None,
            scheduled_event: None,
            cluster_id: None,
            name: None,
            machine_type: None,
            tags: None,
            protection: None,
        };
        match &event.change {
            Change::Created(created) => plain.created(created),
            Change::Entered(entered) => plain.entered(entered),
            Change::DeleteRequested => plain,
            Change::Refused { cause, why } => plain.refused(*cause, *why),
            Change::CreationRefused { created, why } => plain.refused(Cause::Create, *why).of(created),
            Change::Announced(event) | Change::CameDue { event, .. } => {
                Self { scheduled_event: Some(event.into()), ..plain }
            }
            Change::FaultMatched { fault, effect } => Self { fault: Some(*fault), effect: *effect, ..plain },
            Change::FaultMatchedInWorld { fault, effect, number } => {
                Self { fault: Some(*fault), effect: *effect, match_number: Some(*number), ..plain }
            }
            Change::Edited { name, tags, protection } => Self {
                name: name.as_ref().map(|name| name.as_str()),
                tags: tags.as_ref(),
                protection: protection.map(Protection::into),
                ..plain
            },
        }
    }
}

impl<'a> EventBody<'a> {
    fn created(self, created: &'a Created) -> Self {
        Self {
            state: Some(MachineState::Provisioning),
            cause: Some(Cause::Create),
            to: Some(created.to),
            due_at: due_at(MachineState::Provisioning, created.next),
            ..self.of(created)
        }
    }

    fn refused(self, cause: Cause, why: WorldRefusal) -> Self {
        Self { cause: Some(cause), refusal: Some(why.into()), ..self }
    }

    /// With what the machine is made of, or was to be.
    fn of(self, created: &'a Created) -> Self {
        Self {
            cluster_id: Some(created.cluster_id),
            name: Some(created.name.as_str()),
            machine_type: Some(&created.machine_type),
            tags: Some(&created.tags),
            protection: Some(created.protection.into()),
            ..self
        }
    }

    fn entered(self, entered: &'a Entered) -> Self {
        Self {
            state: Some(entered.state),
            cause: Some(entered.cause),
            to: Some(entered.to).filter(|to| *to != entered.state),
            due_at: due_at(entered.state, entered.next),
            state_reason: entered.reason.map(StateReasonBody::from),
            machine_type: entered.machine_type.as_ref(),
            ..self
        }
    }
}

/// When an active state ends. What a machine at rest will do by itself is not told: nobody could know.
fn due_at(state: MachineState, next: Option<Step>) -> Option<Instant> {
    next.filter(|_| state.is_active()).map(|step| step.at)
}

/// The form of a position in requests and answers.
pub(crate) fn encode(position: &Position) -> String {
    BASE64URL_NOPAD.encode(&position.0)
}

pub(crate) fn decode(text: &str) -> Result<Position, Problem> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
    bytes.map(Position).map_err(|_| Problem::at(codes::Code::InvalidPosition, "after", "is not a position"))
}

/// Lists what happened, or streams what happens
///
/// With `Accept: text/event-stream` it is a stream of server-sent events, which begins after `Last-Event-ID` or `after`, or now, and
/// ends with an event `end` that says why. Else it is a page: the history of all machines in the order in which it was written, newest last, with everything that was due; the
/// events of one machine in the order of their versions.
///
/// A selector selects the events whose machine matched as they left it; those of TERMINATED machines are among them. The names and
/// regions of clusters are those of now, or of their end. A page may be short or empty.
#[utoipa::path(
    tag = "events",
    operation_id = "listEvents",
    params(SelectorParams, AfterParam, LastEventIdParam, PageParams),
    responses(
        (
            status = 200,
            description = "A page of events.",
            body = EventListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!(crate::examples::event_list())
        ),
        ListEventsProblems,
    )
)]
#[get("/events")]
pub(crate) async fn list_events(
    request: HttpRequest,
    world: World,
    api: web::Data<HttpApi>,
) -> Result<HttpResponse, Problem> {
    page(&request, (&world, &api.streams), None).await
}

problems!(ListEventsProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, InvalidPageSize, InvalidPageToken, InvalidPosition,
    PositionGone, TooMuchHistory, Throttled, Settling,
    StoreUnavailable, TooManySubscribers,
);

/// A page of the events of a machine, or of all.
pub(crate) async fn page(
    request: &HttpRequest,
    (world, streams): (&World, &Streams),
    machine: Option<MachineId>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(request)?;
    let selector = if machine.is_none() { query.selector()? } else { Selector::default() };
    let after = query.one("after")?.map(|text| decode(&text)).transpose()?;
    let last = stream::last_event_id(request)?;
    if stream::is_asked_for(request) {
        query.end()?;
        let after = last.or(after);
        return stream::answer(request, streams, world.cloud.clone(), ((machine, selector), after)).await;
    }
    let asked = EventListQuery {
        machine,
        selector,
        after,
        page_size: query.page_size()?,
        page_token: query.one("page_token")?,
    };
    query.end()?;
    let list = world.cloud.list_events.run(asked).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(request, token)));
    }
    Ok(response.json(EventListBody {
        items: list.items.iter().map(EventBody::from).collect(),
        next_page_token: list.next_page_token.as_deref(),
        position: encode(&list.position),
    }))
}
