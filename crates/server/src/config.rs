//! The configuration: what can be set, and what holds when it is not.
//!
//! Keys are a contract: `http.bind` here is `bind` under `[http]` in `cloudm.toml` and `CLOUDM__HTTP__BIND` in the
//! environment. To add a key, add a field with its default and what it means, print it in `show`, and list it in the
//! README; the test of the defaults asks for the rest.

mod load;
mod show;
mod word;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::{fmt, thread};

use cloudm_domain::{Catalogue, InvalidCatalogue, MachineType, Preset, Region, Seed};
use serde::{Deserialize, Deserializer, de::Error};

pub(crate) use load::load;

/// Everything that can be set, each with a default, so that a server starts with nothing configured.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) http: Http,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) simulation: Simulation,
    #[serde(deserialize_with = "catalogue")]
    pub(crate) catalogue: Catalogue,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// The address to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "address")]
    pub(crate) bind: SocketAddr,
    /// Threads that answer requests.
    pub(crate) workers: NonZeroUsize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 8080).into(),
            workers: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    #[serde(deserialize_with = "word::one_of")]
    pub(crate) kind: StoreKind,
    /// The embedded store's directory, made when it is missing.
    pub(crate) path: PathBuf,
    /// Where MongoDB is.
    pub(crate) uri: Option<Uri>,
    /// The database in it.
    pub(crate) database: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { kind: StoreKind::Embedded, path: "./cloudm-data".into(), uri: None, database: "cloudm".into() }
    }
}

/// Where worlds are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// In files of this server, durable.
    Embedded,
    /// Nowhere: all is gone when the server stops.
    Memory,
    /// In a database that servers share.
    Mongodb,
}

/// A database's URI. It may hold a password, so it is never shown.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Uri(String);

impl TryFrom<String> for Uri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = ["mongodb://", "mongodb+srv://"].iter().any(|scheme| text.starts_with(scheme));
        if known { Ok(Self(text)) } else { Err("a URI begins with mongodb:// or mongodb+srv://") }
    }
}

impl Uri {
    /// The URI, for who connects.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(show::MASK)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    #[serde(deserialize_with = "word::one_of")]
    pub(crate) format: LogFormat,
    #[serde(deserialize_with = "word::one_of")]
    pub(crate) level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: LogLevel::Info }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The world `default`, when it is first made; a world that exists keeps what it was made with.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Simulation {
    #[serde(deserialize_with = "word::one_of")]
    pub(crate) preset: Preset,
    /// Random when absent.
    pub(crate) seed: Option<Seed>,
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom(format!("'{text}' is not an address and port such as 127.0.0.1:8080")))
}

/// What a list in the catalogue replaces is the whole built-in list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueLists {
    regions: Option<Vec<Region>>,
    machine_types: Option<Vec<MachineType>>,
}

fn catalogue<'de, D: Deserializer<'de>>(from: D) -> Result<Catalogue, D::Error> {
    let lists = CatalogueLists::deserialize(from)?;
    let built_in = Catalogue::default();
    let regions = lists.regions.unwrap_or_else(|| built_in.regions().to_vec());
    let machine_types = lists.machine_types.unwrap_or_else(|| built_in.machine_types().to_vec());
    Catalogue::new(regions, machine_types).map_err(|error: InvalidCatalogue| D::Error::custom(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_documentation_says() {
        let Settings { http, store, log, simulation, catalogue } = Settings::default();
        assert_eq!(http.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(http.workers, thread::available_parallelism().unwrap());
        assert_eq!(store.kind, StoreKind::Embedded);
        assert_eq!(store.path, PathBuf::from("./cloudm-data"));
        assert_eq!(store.uri, None);
        assert_eq!(store.database, "cloudm");
        assert_eq!((log.format, log.level), (LogFormat::Auto, LogLevel::Info));
        assert_eq!(simulation, Simulation { preset: Preset::Instant, seed: None });
        assert_eq!(catalogue, Catalogue::default());
    }
}
