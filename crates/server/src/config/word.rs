//! Settings that are one of a few words, refused with the list of them.

use cloudm_domain::Preset;
use serde::{Deserialize, Deserializer, de::Error};

use super::{LogFormat, LogLevel, StoreKind};

/// A setting that is one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Each word with what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Word for StoreKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("embedded", Self::Embedded), ("memory", Self::Memory), ("mongodb", Self::Mongodb)];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

impl Word for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Word for Preset {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Instant.name(), Self::Instant),
        (Self::Realistic.name(), Self::Realistic),
        (Self::Flaky.name(), Self::Flaky),
    ];
}

/// Reads a word; for `#[serde(deserialize_with = "word::one_of")]`.
pub(super) fn one_of<'de, D: Deserializer<'de>, T: Word>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    let found = T::WORDS.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        D::Error::custom(format!("'{text}' is not one of {}", words.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_its_word() {
        assert!(Preset::ALL.into_iter().eq(Preset::WORDS.iter().map(|(_, preset)| *preset)));
    }
}
