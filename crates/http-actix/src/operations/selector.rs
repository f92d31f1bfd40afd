//! Selectors in bodies.

use std::fmt;

use cloudm_domain::{ClusterRef, InvalidSelector, NamePattern, Selector, SelectorField};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::body::not_null;
use crate::codes::Code;
use crate::problem::Problem;

/// Which machines, as lists select them: those that every field that is given fits. A list of one value may be written as the value.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Selector)]
pub(crate) struct SelectorBody {
    /// In any of these clusters, by name or id.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 100, example = json!(["cluster1"]))]
    cluster: Option<Values>,
    /// In any of these regions.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 100, example = json!(["A"]))]
    region: Option<Values>,
    /// In any of these states; without it, in any but TERMINATED.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<crate::openapi::MachineStateCode>, required = false, min_items = 1, max_items = 100)]
    state: Option<Values>,
    /// Of any of these machine types.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 100, example = json!(["small"]))]
    machine_type: Option<Values>,
    /// With all of these tags.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 100, example = json!(["team:a"]))]
    tag: Option<Values>,
    /// With this name, or with a name that begins so where it ends in `*`.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "web-*")]
    name: Option<String>,
}

impl SelectorBody {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let lists = [&self.cluster, &self.region, &self.state, &self.machine_type, &self.tag];
        lists.into_iter().all(Option::is_none) && self.name.is_none()
    }

    pub(crate) fn read(self) -> Result<Selector, Problem> {
        let Self { cluster, region, state, machine_type, tag, name } = self;
        let fields = [
            (SelectorField::Cluster, cluster),
            (SelectorField::Region, region),
            (SelectorField::State, state),
            (SelectorField::MachineType, machine_type),
            (SelectorField::Tag, tag),
            (SelectorField::Name, name.map(Values::One)),
        ];
        let mut selector = Selector::default();
        for (field, values) in fields {
            if let Some(values) = values {
                values.add_to(&mut selector, field)?;
            }
        }
        Ok(selector)
    }
}

impl From<&Selector> for SelectorBody {
    fn from(selector: &Selector) -> Self {
        let cluster = |cluster: &ClusterRef| match cluster {
            ClusterRef::Id(id) => id.to_string(),
            ClusterRef::Name(name) => name.to_string(),
        };
        let name = |name: &NamePattern| match name {
            NamePattern::Exact(name) => name.to_string(),
            NamePattern::Prefix(prefix) => format!("{prefix}*"),
        };
        Self {
            cluster: Values::of(&selector.clusters, cluster),
            region: Values::of(&selector.regions, ToString::to_string),
            state: Values::of(&selector.states, ToString::to_string),
            machine_type: Values::of(&selector.machine_types, ToString::to_string),
            tag: Values::of(&selector.tags, ToString::to_string),
            name: selector.name.as_ref().map(name),
        }
    }
}

/// One value, or several.
#[derive(Debug)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    fn of<T>(values: &[T], text: impl Fn(&T) -> String) -> Option<Self> {
        (!values.is_empty()).then(|| Self::Several(values.iter().map(text).collect()))
    }

    fn add_to(self, selector: &mut Selector, field: SelectorField) -> Result<(), Problem> {
        let at = format!("/selector/{}", field.name());
        let invalid =
            |pointer: String, why: &dyn fmt::Display| Problem::at(Code::InvalidValue, pointer, why.to_string());
        match self {
            Self::One(text) => selector.add(field, &text).map_err(|why| invalid(at, &why)),
            // It would leave every machine in.
            Self::Several(texts) if texts.is_empty() => Err(invalid(at, &"has no value; leave it out, or say which")),
            Self::Several(texts) if texts.len() > Selector::MAX_VALUES => {
                Err(invalid(at, &InvalidSelector::TooMany(field)))
            }
            Self::Several(texts) => texts.iter().enumerate().try_for_each(|(index, text)| {
                selector.add(field, text).map_err(|why| invalid(format!("{at}/{index}"), &why))
            }),
        }
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(text) => json.collect_seq([text]),
            Self::Several(texts) => json.collect_seq(texts),
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Values, E> {
        Ok(Values::One(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Values::Several(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<Selector, Problem> {
        crate::body::parse::<SelectorBody>(value.to_string().as_bytes())?.read()
    }

    #[test]
    fn what_is_read_is_shown_as_lists() {
        let asked = json!({"cluster": "web,0123456789abcdef01234567", "state": ["running", "STOPPED"], "tag": ["a", "b"],
            "region": "A", "machine_type": ["small"], "name": "web-*"});
        let shown = serde_json::to_value(SelectorBody::from(&read(&asked).unwrap())).unwrap();
        let lists = json!({"cluster": ["web", "0123456789abcdef01234567"], "state": ["RUNNING", "STOPPED"],
            "tag": ["a", "b"], "region": ["A"], "machine_type": ["small"], "name": "web-*"});
        assert_eq!(shown, lists);
        assert_eq!(read(&lists).unwrap(), read(&shown).unwrap());
    }

    #[test]
    fn bad_values_are_told_with_their_place() {
        let cases = [
            (json!({"state": "UP"}), Code::InvalidValue, "/selector/state"),
            (json!({"state": ["RUNNING", "UP"]}), Code::InvalidValue, "/selector/state/1"),
            (json!({"state": []}), Code::InvalidValue, "/selector/state"),
            (json!({"tag": ["a", "b c"]}), Code::InvalidValue, "/selector/tag/1"),
            (json!({"tag": []}), Code::InvalidValue, "/selector/tag"),
            (json!({"name": ""}), Code::InvalidValue, "/selector/name"),
            (json!({"region": vec!["x"; 101]}), Code::InvalidValue, "/selector/region"),
            (json!({"state": 7}), Code::WrongType, "/state"),
            (json!({"state": {"x": 1}}), Code::WrongType, "/state"),
            (json!({"state": [7]}), Code::WrongType, "/state/0"),
            (json!({"state": null}), Code::WrongType, "/state"),
            (json!({"name": ["a"]}), Code::WrongType, "/name"),
            (json!({"clutser": "a"}), Code::UnknownField, "/clutser"),
        ];
        for (value, code, pointer) in cases {
            let problem = read(&value).unwrap_err();
            assert_eq!(problem.code, code, "{value}: {problem}");
            assert!(problem.to_string().contains(pointer), "{value}: {problem}");
        }
    }
}
