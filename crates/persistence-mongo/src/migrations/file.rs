//! A file of `migrations/`.

use mongodb::bson::Document;
use serde::Deserialize;

use super::MigrationError;

/// One file. A released one is never edited: its checksum is in every database it was applied to.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// What is in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// What it does, for people.
    about: String,
    /// The commands, in extended JSON, in order.
    commands: Vec<Document>,
}

impl File {
    /// The BLAKE3 hash of the text with line feeds alone, so that a checkout with other line ends has the same.
    pub(crate) fn checksum(&self) -> String {
        blake3::hash(self.text.replace("\r\n", "\n").as_bytes()).to_hex().to_string()
    }

    pub(crate) fn commands(&self) -> Result<Vec<Document>, MigrationError> {
        let bad = |why: String| MigrationError::BadFile { name: self.name.into(), why };
        let contents: Contents = serde_json::from_str(self.text).map_err(|error| bad(error.to_string()))?;
        if contents.about.is_empty() || contents.commands.iter().any(Document::is_empty) {
            return Err(bad("it says what it is about, and its commands are not empty".into()));
        }
        Ok(contents.commands)
    }
}
