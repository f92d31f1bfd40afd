//! Selectors: which machines, and in what order.

use std::fmt;
use std::str::FromStr;

use crate::cluster::Cluster;
use crate::id::ClusterId;
use crate::lifecycle::MachineState;
use crate::machine::MachineData;
use crate::name::{Code, InvalidText, Name, Tag};

/// A cluster by its id or its name. A name never has the form of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ClusterRef {
    /// By its id.
    Id(ClusterId),
    /// By its name.
    Name(Name),
}

impl ClusterRef {
    /// Whether it is this cluster.
    pub fn is(&self, cluster: &Cluster) -> bool {
        match self {
            Self::Id(id) => *id == cluster.id,
            Self::Name(name) => *name == cluster.name,
        }
    }
}

impl FromStr for ClusterRef {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        text.parse().map(Self::Id).or_else(|_| text.parse().map(Self::Name))
    }
}

/// A name, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NamePattern {
    /// Exactly this name.
    Exact(Name),
    /// Every name that begins so; written with a `*` at the end. The empty prefix is every name.
    Prefix(String),
}

impl NamePattern {
    /// Whether it fits this name.
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.as_str().starts_with(prefix.as_str()),
        }
    }
}

impl FromStr for NamePattern {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        match text.strip_suffix('*') {
            None => text.parse().map(Self::Exact),
            Some("") => Ok(Self::Prefix(String::new())),
            // What a name may begin with is itself a name, but for the form of an id, which a longer name may begin with.
            Some(prefix) => match prefix.parse::<Name>() {
                Ok(_) | Err(InvalidText::LooksLikeId) => Ok(Self::Prefix(prefix.into())),
                Err(why) => Err(why),
            },
        }
    }
}

/// What a selector can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectorField {
    /// `cluster`: name or id, any of.
    Cluster,
    /// `region`: code, any of.
    Region,
    /// `state`: code, any of.
    State,
    /// `machine_type`: code, any of.
    MachineType,
    /// `tag`: all of.
    Tag,
    /// `name`: exact, or a prefix ending in `*`.
    Name,
}

impl SelectorField {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Cluster, Self::Region, Self::State, Self::MachineType, Self::Tag, Self::Name];

    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Region => "region",
            Self::State => "state",
            Self::MachineType => "machine_type",
            Self::Tag => "tag",
            Self::Name => "name",
        }
    }
}

/// Why a selector is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// A value is not of the field's form.
    #[error("'{value}' {why}")]
    Value {
        /// The field.
        field: SelectorField,
        /// The value.
        value: String,
        /// What it must be.
        why: InvalidText,
    },
    /// A state that does not exist.
    #[error("'{0}' is not a machine state")]
    UnknownState(String),
    /// A field has more than [`Selector::MAX_VALUES`] values.
    #[error("{} has more than {} values", .0.name(), Selector::MAX_VALUES)]
    TooMany(SelectorField),
    /// `name` stands twice.
    #[error("name may stand only once")]
    NameTwice,
}

impl InvalidSelector {
    /// The field that is wrong.
    pub fn field(&self) -> SelectorField {
        match self {
            Self::Value { field, .. } | Self::TooMany(field) => *field,
            Self::UnknownState(_) => SelectorField::State,
            Self::NameTwice => SelectorField::Name,
        }
    }
}

/// Which machines: those that every field that is given fits. TERMINATED machines are left out unless asked for by
/// state.
///
/// ```
/// use cloudm_domain::{MachineState, Selector, SelectorField};
/// let mut selector = Selector::default();
/// selector.add(SelectorField::State, "RUNNING,STOPPED")?;
/// selector.add(SelectorField::Tag, "team:a")?;
/// selector.add(SelectorField::Tag, "env:test")?;
/// assert_eq!(selector.states, [MachineState::Running, MachineState::Stopped]); // any of
/// assert_eq!(selector.tags.len(), 2); // all of
/// # Ok::<(), cloudm_domain::InvalidSelector>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Selector {
    /// In any of these clusters.
    pub clusters: Vec<ClusterRef>,
    /// In any of these regions.
    pub regions: Vec<Code>,
    /// In any of these states.
    pub states: Vec<MachineState>,
    /// Of any of these machine types.
    pub machine_types: Vec<Code>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// With a name like this.
    pub name: Option<NamePattern>,
}

impl Selector {
    /// The most values of one field.
    pub const MAX_VALUES: usize = 100;

    /// The machines of this cluster.
    pub fn of_cluster(id: ClusterId) -> Self {
        Self { clusters: vec![ClusterRef::Id(id)], ..Self::default() }
    }

    /// Adds a field's text as requests write it: values separated by commas, but for `tag` and `name`, which are one.
    ///
    /// # Errors
    /// When a value has not the form of its field, or there are too many.
    pub fn add(&mut self, field: SelectorField, text: &str) -> Result<(), InvalidSelector> {
        match field {
            SelectorField::Cluster => add_each(&mut self.clusters, field, text),
            SelectorField::Region => add_each(&mut self.regions, field, text),
            SelectorField::MachineType => add_each(&mut self.machine_types, field, text),
            SelectorField::Tag => push(&mut self.tags, field, parse(field, text)?),
            SelectorField::State => {
                room_for(text, self.states.len(), field)?;
                text.split(',').try_for_each(|code| {
                    let state = code.parse().map_err(|_| InvalidSelector::UnknownState(code.into()))?;
                    push(&mut self.states, field, state)
                })
            }
            SelectorField::Name => match self.name.replace(parse(field, text)?) {
                None => Ok(()),
                Some(_) => Err(InvalidSelector::NameTwice),
            },
        }
    }

    /// Whether it leaves this machine in, whose cluster is `cluster`.
    pub fn matches(&self, machine: &MachineData, cluster: &Cluster) -> bool {
        self.matches_state(machine.state) && self.matches_cluster(cluster) && self.matches_data(machine)
    }

    /// Whether it selects an event that left its machine, whose cluster is `cluster`, like this: as [`Selector::matches`], but
    /// TERMINATED machines are among them.
    pub fn matches_event(&self, machine: &MachineData, cluster: &Cluster) -> bool {
        any(&self.states, |state| *state == machine.state)
            && self.matches_cluster(cluster)
            && self.matches_data(machine)
    }

    /// Whether it selects a machine of which nothing is known but itself: one that it selects by the region or the name of
    /// its cluster is not told.
    pub fn matches_itself(&self, machine: &MachineData) -> bool {
        let is_its = |one: &ClusterRef| matches!(one, ClusterRef::Id(id) if *id == machine.cluster_id);
        any(&self.states, |state| *state == machine.state)
            && self.regions.is_empty()
            && any(&self.clusters, is_its)
            && self.matches_data(machine)
    }

    /// Whether it leaves machines of this cluster in.
    pub fn matches_cluster(&self, cluster: &Cluster) -> bool {
        any(&self.clusters, |one| one.is(cluster)) && any(&self.regions, |code| *code == cluster.region_code)
    }

    /// Whether it asks for more than clusters and regions.
    pub fn looks_at_machines(&self) -> bool {
        let Self { states, machine_types, tags, name, .. } = self;
        !(states.is_empty() && machine_types.is_empty() && tags.is_empty() && name.is_none())
    }

    fn matches_data(&self, machine: &MachineData) -> bool {
        any(&self.machine_types, |code| *code == machine.machine_type)
            && self.tags.iter().all(|tag| machine.tags.contains(tag))
            && self.name.as_ref().is_none_or(|name| name.matches(&machine.name))
    }

    /// Whether it leaves machines in this state in.
    pub fn matches_state(&self, state: MachineState) -> bool {
        match self.states.as_slice() {
            [] => state != MachineState::Terminated,
            states => states.contains(&state),
        }
    }

    /// Whether time alone can make a machine match it, or match it no more, other than by TERMINATED: then what is due
    /// has to be settled before an index is asked.
    pub fn depends_on_time(&self) -> bool {
        !self.states.is_empty() || !self.machine_types.is_empty()
    }
}

fn any<T>(values: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

fn add_each<T: FromStr<Err = InvalidText> + PartialEq>(
    values: &mut Vec<T>,
    field: SelectorField,
    text: &str,
) -> Result<(), InvalidSelector> {
    room_for(text, values.len(), field)?;
    text.split(',').try_for_each(|value| push(values, field, parse(field, value)?))
}

/// Refuses a list that is too long before it is read, also where it says the same again and again.
fn room_for(text: &str, there: usize, field: SelectorField) -> Result<(), InvalidSelector> {
    let more = text.split(',').count();
    if there + more > Selector::MAX_VALUES { Err(InvalidSelector::TooMany(field)) } else { Ok(()) }
}

fn parse<T: FromStr<Err = InvalidText>>(field: SelectorField, value: &str) -> Result<T, InvalidSelector> {
    value.parse().map_err(|why| InvalidSelector::Value { field, value: value.into(), why })
}

fn push<T: PartialEq>(values: &mut Vec<T>, field: SelectorField, value: T) -> Result<(), InvalidSelector> {
    if !values.contains(&value) {
        values.push(value);
    }
    if values.len() > Selector::MAX_VALUES { Err(InvalidSelector::TooMany(field)) } else { Ok(()) }
}

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OrderKey {
    /// The instant of creation, then the id.
    #[default]
    CreatedAt,
    /// The name, by its bytes, then the id.
    Name,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Order {
    /// What it is ordered by.
    pub key: OrderKey,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// A text that is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order is created_at, name, -created_at or -name")]
pub struct InvalidOrder;

impl FromStr for Order {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        let (descending, key) = text.strip_prefix('-').map_or((false, text), |key| (true, key));
        let key = match key {
            "created_at" => OrderKey::CreatedAt,
            "name" => OrderKey::Name,
            _ => return Err(InvalidOrder),
        };
        Ok(Self { key, descending })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.key {
            OrderKey::CreatedAt => "created_at",
            OrderKey::Name => "name",
        };
        write!(f, "{}{key}", if self.descending { "-" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(fields: &[(SelectorField, &str)]) -> Result<Selector, InvalidSelector> {
        let mut selector = Selector::default();
        fields.iter().try_for_each(|(field, text)| selector.add(*field, text)).map(|()| selector)
    }

    #[test]
    fn values_are_any_of_and_repetition_adds() {
        use SelectorField::{Cluster, State};
        let selector =
            selector(&[(State, "running,STOPPED"), (State, "RUNNING"), (Cluster, "web,0123456789abcdef01234567")])
                .unwrap();
        assert_eq!(selector.states, [MachineState::Running, MachineState::Stopped]);
        assert!(matches!(selector.clusters[..], [ClusterRef::Name(_), ClusterRef::Id(_)]));
    }

    #[test]
    fn bad_values_are_refused() {
        use SelectorField::{Name, Region, State, Tag};
        for (field, text) in
            [(State, ""), (State, "RUNNING,"), (State, "UP"), (Region, ""), (Tag, "a,b"), (Name, "a*b"), (Name, "**")]
        {
            assert_eq!(selector(&[(field, text)]).unwrap_err().field(), field, "{text}");
        }
        assert_eq!(selector(&[(Name, "a"), (Name, "b")]), Err(InvalidSelector::NameTwice));
        let many = (0..101).map(|i| format!("r{i}")).collect::<Vec<_>>().join(",");
        for list in [&many, &["x"; 101].join(",")] {
            assert_eq!(selector(&[(Region, list)]), Err(InvalidSelector::TooMany(Region)));
        }
    }

    #[test]
    fn names_match_whole_or_by_prefix() {
        let fits = |pattern: &str, name: &str| pattern.parse::<NamePattern>().unwrap().matches(&name.parse().unwrap());
        assert!(
            fits("web", "web")
                && !fits("web", "web-1")
                && fits("web*", "web-1")
                && !fits("web*", "we")
                && fits("*", "x")
        );
        assert!(fits("0123456789abcdef01234567*", "0123456789abcdef01234567x"));
    }

    #[test]
    fn orders_are_read_as_they_are_written() {
        for text in ["created_at", "-created_at", "name", "-name"] {
            assert_eq!(text.parse::<Order>().unwrap().to_string(), text);
        }
        assert_eq!("id".parse::<Order>(), Err(InvalidOrder));
    }
}
