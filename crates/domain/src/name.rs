//! Names of clusters, machines and worlds, and tags.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a name or a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// It is empty or has more characters than the bound.
    #[error("must have 1 to {0} characters")]
    Length(usize),
    /// It holds a character that is not allowed.
    #[error("may hold only {0}")]
    Character(&'static str),
    /// It begins with a character that is allowed only further on.
    #[error("must begin with a letter or digit")]
    Start,
    /// It has the form of an id, from which a selector could not tell it.
    #[error("must not be 24 hex digits: that is the form of an id")]
    LooksLikeId,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> Result<(), InvalidText> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.as_ref().into()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text! {
    /// The name of a cluster or a machine: 1–63 letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and
    /// not 24 hex digits.
    ///
    /// ```
    /// use cloudm_domain::Name;
    /// assert!("web-1.eu".parse::<Name>().is_ok());
    /// assert!("-web".parse::<Name>().is_err());
    /// assert!("0123456789abcdef01234567".parse::<Name>().is_err());
    /// ```
    Name,
    |text| {
        check(text, Name::MAX_LEN, |c| c.is_ascii_alphanumeric() || b"._-".contains(&c), "letters, digits, '.', '_' and '-'")?;
        if !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(InvalidText::Start);
        }
        if text.len() == 24 && text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(InvalidText::LooksLikeId);
        }
        Ok(())
    }
}

impl Name {
    /// The most characters a name has.
    pub const MAX_LEN: usize = 63;
}

text! {
    /// The name of a world: 1–40 of `a-z 0-9 -`.
    WorldName,
    |text| check(text, 40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-', "a-z, 0-9 and '-'")
}

impl WorldName {
    /// The world that always exists.
    pub fn default_world() -> Self {
        Self("default".into())
    }
}

text! {
    /// A tag of a machine: 1–128 letters, digits and `._-:/=@`.
    Tag,
    |text| check(text, Tag::MAX_LEN, |c| c.is_ascii_alphanumeric() || b"._-:/=@".contains(&c), "letters, digits and ._-:/=@")
}

impl Tag {
    /// The most characters a tag has.
    pub const MAX_LEN: usize = 128;
}

text! {
    /// The code of a region or a machine type: 1–63 letters, digits, `.`, `_` and `-`.
    Code,
    |text| check(text, 63, |c| c.is_ascii_alphanumeric() || b"._-".contains(&c), "letters, digits, '.', '_' and '-'")
}

fn check(text: &str, max: usize, allowed: fn(u8) -> bool, class: &'static str) -> Result<(), InvalidText> {
    if text.is_empty() || text.len() > max && text.chars().count() > max {
        return Err(InvalidText::Length(max));
    }
    if !text.bytes().all(allowed) {
        return Err(InvalidText::Character(class));
    }
    Ok(())
}

/// The names of the machines of a batch: a name with `{n}` in it, which stands for the number of each, from 1.
///
/// ```
/// use cloudm_domain::NameTemplate;
/// let template: NameTemplate = "web-{n}.a".parse()?;
/// assert_eq!(template.name(7)?.as_str(), "web-7.a");
/// assert!("{n} {n}".parse::<NameTemplate>().is_err());
/// # Ok::<(), cloudm_domain::InvalidText>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct NameTemplate(Arc<str>);

impl NameTemplate {
    /// What stands for the number.
    pub const NUMBER: &str = "{n}";

    /// The template, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether each number makes a name of its own; else there is one name.
    pub fn has_number(&self) -> bool {
        self.0.contains(Self::NUMBER)
    }

    /// The name of the machine of this number.
    ///
    /// # Errors
    /// When that is no name: it may be too long, or look like an id.
    pub fn name(&self, number: u32) -> Result<Name, InvalidText> {
        self.0.replacen(Self::NUMBER, &number.to_string(), 1).parse()
    }
}

impl FromStr for NameTemplate {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let template = Self(text.into());
        template.name(1).map(|_| template)
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        text.parse()
    }
}

impl From<NameTemplate> for String {
    fn from(template: NameTemplate) -> String {
        template.as_str().into()
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a list of tags is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// There are more than [`Tags::MAX`].
    #[error("a machine has at most {} tags", Tags::MAX)]
    TooMany,
    /// One stands twice.
    #[error("the tag '{0}' stands twice")]
    Duplicate(Tag),
}

/// The tags of a machine: at most 50, none twice, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Vec<Tag>", into = "Vec<Tag>"))]
pub struct Tags(Option<Arc<[Tag]>>);

impl Tags {
    /// The most tags a machine has.
    pub const MAX: usize = 50;

    /// These tags, in this order.
    ///
    /// # Errors
    /// When there are more than [`Tags::MAX`], or one stands twice.
    pub fn new(tags: Vec<Tag>) -> Result<Self, InvalidTags> {
        if tags.len() > Self::MAX {
            return Err(InvalidTags::TooMany);
        }
        for (i, tag) in tags.iter().enumerate() {
            if tags[..i].contains(tag) {
                return Err(InvalidTags::Duplicate(tag.clone()));
            }
        }
        Ok(Self((!tags.is_empty()).then(|| tags.into())))
    }

    /// The tags, in the order given.
    pub fn as_slice(&self) -> &[Tag] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether `tag` is among them.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.as_slice().contains(tag)
    }
}

impl TryFrom<Vec<Tag>> for Tags {
    type Error = InvalidTags;

    fn try_from(tags: Vec<Tag>) -> Result<Self, InvalidTags> {
        Self::new(tags)
    }
}

impl From<Tags> for Vec<Tag> {
    fn from(tags: Tags) -> Self {
        tags.as_slice().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "9", "A.b_c-d", &"x".repeat(63), "0123456789abcdef0123456", "0123456789abcdef0123456g"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let bad = [
            ("", InvalidText::Length(63)),
            (&"x".repeat(64), InvalidText::Length(63)),
            (".a", InvalidText::Start),
            ("0123456789ABCDEF01234567", InvalidText::LooksLikeId),
        ];
        for (text, why) in bad {
            assert_eq!(text.parse::<Name>(), Err(why), "{text}");
        }
        for text in ["a b", "a\n", "ä", "a/b", "\u{0}"] {
            assert!(matches!(text.parse::<Name>(), Err(InvalidText::Character(_))), "{text:?}");
        }
    }

    #[test]
    fn world_names_are_lower_case() {
        assert!("a-1".parse::<WorldName>().is_ok());
        assert!("A".parse::<WorldName>().is_err());
        assert!("x".repeat(41).parse::<WorldName>().is_err());
    }

    #[test]
    fn tags_are_bounded_and_differ() {
        let tag = |i: usize| format!("team:{i}/x=@").parse::<Tag>().unwrap();
        assert!(Tags::new((0..50).map(tag).collect()).is_ok());
        assert_eq!(Tags::new((0..51).map(tag).collect()), Err(InvalidTags::TooMany));
        assert_eq!(Tags::new(vec![tag(1), tag(2), tag(1)]), Err(InvalidTags::Duplicate(tag(1))));
    }
}
