//! What is asked of a fleet: the body of POST /operations, and what it means.

use cloudm_application::{FleetRequest, NewFleet};
use cloudm_domain::{Code, Command, FleetKind, Name, NameTemplate, Request, Selector, Tags};
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::selector::SelectorBody;
use crate::body::{Object, not_null};
use crate::codes;
use crate::docs::text;
use crate::machines::{ProtectionBody, TagText};
use crate::problem::Problem;

/// An operation to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperation)]
pub(crate) struct NewOperationBody {
    /// What to do.
    #[schema(value_type = NewKindCode, example = "STOP")]
    kind: String,
    /// CREATE: how many machines to make.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 1_000_000, example = 1000)]
    count: Option<u32>,
    /// CREATE: what to make them of.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = NewTemplateBody, required = false)]
    template: Option<Object<NewTemplateBody>>,
    /// The others: which machines. It has to say something.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = SelectorBody, required = false)]
    selector: Option<Object<SelectorBody>>,
    /// The others: true for all machines, in place of a selector.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false, example = false)]
    all: Option<bool>,
    /// The operations on machines: whether to force them.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false, example = false)]
    force: Option<bool>,
    /// RESIZE: the machine type to give.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "large")]
    machine_type: Option<Code>,
    /// TAG: the tags to add.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["team:a"]))]
    add_tags: Option<Tags>,
    /// TAG: the tags to remove.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["team:b"]))]
    remove_tags: Option<Tags>,
}

/// What to make machines of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplate)]
pub(crate) struct NewTemplateBody {
    /// Their names, unique in their cluster: `{n}` stands for the number of each, from 1, and has to be there for more than one.
    #[schema(value_type = String, min_length = 1, max_length = 65, example = "web-{n}")]
    name: NameTemplate,
    /// The name of the cluster to make them in.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "cluster1")]
    cluster_name: Name,
    /// Their tags, none twice.
    #[serde(default)]
    #[schema(value_type = Vec<TagText>, required = false, max_items = 50, example = json!(["tag1"]))]
    tags: Tags,
    /// The code of their machine type; the catalogue's first where it is absent.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "small")]
    machine_type: Option<Code>,
    /// Whether they go on to RUNNING; else they end STOPPED.
    #[serde(default = "yes")]
    #[schema(required = false, default = true)]
    start: bool,
    /// What they refuse.
    #[serde(default)]
    #[schema(value_type = ProtectionBody, required = false)]
    protection: Object<ProtectionBody>,
}

fn yes() -> bool {
    true
}

/// The kinds that can be asked for.
fn kinds() -> impl Iterator<Item = &'static str> {
    let asked = FleetKind::ALL.iter().filter(|kind| **kind != FleetKind::DeleteCluster);
    asked.map(|kind| kind.code())
}

/// What an operation can be asked to do.
pub(crate) struct NewKindCode;

impl PartialSchema for NewKindCode {
    fn schema() -> RefOr<Schema> {
        let about = "What an operation is to do with its machines, in upper or lower case.";
        Schema::from(text().enum_values(Some(kinds())).description(Some(about)).build()).into()
    }
}

impl ToSchema for NewKindCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "NewOperationKind".into()
    }
}

impl NewOperationBody {
    pub(crate) fn read(mut self) -> Result<FleetRequest, Problem> {
        // To say that it is not about all is to say nothing.
        self.all = self.all.filter(|all| *all);
        let kind = self.kind()?;
        self.refuse_strangers(kind)?;
        match kind {
            FleetKind::Create => self.create(),
            FleetKind::Tag => self.tag(),
            FleetKind::Start => self.operate(Command::Start),
            FleetKind::Stop => self.operate(Command::Stop),
            FleetKind::Reboot => self.operate(Command::Reboot),
            FleetKind::Suspend => self.operate(Command::Suspend),
            FleetKind::Resume => self.operate(Command::Resume),
            FleetKind::Terminate => self.operate(Command::Terminate),
            FleetKind::Resize => {
                let machine_type = self.machine_type.take().ok_or_else(|| missing("/machine_type"))?;
                self.operate(Command::Resize(machine_type))
            }
            FleetKind::DeleteCluster => Err(unknown_kind()),
        }
    }

    fn kind(&self) -> Result<FleetKind, Problem> {
        let kind = self.kind.parse().ok().filter(|kind| *kind != FleetKind::DeleteCluster);
        kind.ok_or_else(unknown_kind)
    }

    /// Refuses fields that do not go with the kind.
    fn refuse_strangers(&self, kind: FleetKind) -> Result<(), Problem> {
        let (create, tag) = (kind == FleetKind::Create, kind == FleetKind::Tag);
        let fields = [
            ("/count", self.count.is_some(), create),
            ("/template", self.template.is_some(), create),
            ("/selector", self.selector.is_some(), !create),
            ("/all", self.all.is_some(), !create),
            ("/force", self.force.is_some(), !create && !tag),
            ("/machine_type", self.machine_type.is_some(), kind == FleetKind::Resize),
            ("/add_tags", self.add_tags.is_some(), tag),
            ("/remove_tags", self.remove_tags.is_some(), tag),
        ];
        match fields.iter().find(|(_, given, goes)| *given && !goes) {
            None => Ok(()),
            Some((pointer, ..)) => {
                Err(Problem::at(codes::Code::InvalidValue, *pointer, format!("does not go with {kind}")))
            }
        }
    }

    /// Which machines it is about.
    fn selector(&mut self) -> Result<Selector, Problem> {
        let needed = |pointer: &str, why: &str| Err(Problem::at(codes::Code::SelectorNeeded, pointer, why));
        match (self.selector.take(), self.all.is_some()) {
            (None, true) => Ok(Selector::default()),
            (Some(_), true) => needed("/all", "goes without a selector only"),
            (None, false) => needed("/selector", "says which machines; for every one, say all: true"),
            (Some(Object(selector)), false) if selector.is_empty() => {
                needed("/selector", "says nothing; for every machine, say all: true")
            }
            (Some(Object(selector)), false) => selector.read(),
        }
    }

    fn operate(mut self, command: Command) -> Result<FleetRequest, Problem> {
        let force = self.force.unwrap_or_default();
        Ok(FleetRequest::Operate(self.selector()?, Request { command, force }))
    }

    fn tag(mut self) -> Result<FleetRequest, Problem> {
        let selector = self.selector()?;
        let (add, remove) = (self.add_tags.unwrap_or_default(), self.remove_tags.unwrap_or_default());
        if add.as_slice().is_empty() && remove.as_slice().is_empty() {
            let detail = "or remove_tags has a tag, at least one in all";
            return Err(Problem::at(codes::Code::MissingField, "/add_tags", detail));
        }
        if let Some(at) = remove.as_slice().iter().position(|tag| add.contains(tag)) {
            return Err(Problem::at(codes::Code::InvalidTags, format!("/remove_tags/{at}"), "is in add_tags too"));
        }
        Ok(FleetRequest::Tag { selector, add: add.into(), remove: remove.into() })
    }

    fn create(self) -> Result<FleetRequest, Problem> {
        let count = self.count.ok_or_else(|| missing("/count"))?;
        let Object(template) = self.template.ok_or_else(|| missing("/template"))?;
        if !(1..=NewFleet::MAX).contains(&count) {
            let detail = format!("is from 1 to {}", NewFleet::MAX);
            return Err(Problem::at(codes::Code::InvalidValue, "/count", detail));
        }
        let NewTemplateBody { name, cluster_name, tags, machine_type, start, protection } = template;
        check_name(&name, count, "/template/name")?;
        let protection = protection.0.into();
        Ok(FleetRequest::Create(NewFleet { count, name, cluster_name, tags, machine_type, start, protection }))
    }
}

/// Refuses a template that makes one name for more than one machine.
pub(crate) fn check_name(name: &NameTemplate, count: u32, pointer: &str) -> Result<(), Problem> {
    if count <= 1 || name.has_number() {
        return Ok(());
    }
    let detail = format!("needs {}, which stands for the number of each machine", NameTemplate::NUMBER);
    Err(Problem::at(codes::Code::InvalidName, pointer, detail))
}

fn missing(pointer: &str) -> Problem {
    Problem::at(codes::Code::MissingField, pointer, "is missing")
}

fn unknown_kind() -> Problem {
    let detail = format!("is one of {}", kinds().collect::<Vec<_>>().join(", "));
    Problem::at(codes::Code::UnknownKind, "/kind", detail)
}
