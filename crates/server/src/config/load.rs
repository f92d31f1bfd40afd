//! The layers: defaults, then a file, then the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result, ensure};
use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat};

use super::{Settings, StoreKind};

/// Read when no other file is named, if it is there.
const FILE: &str = "cloudm.toml";
const PREFIX: &str = "CLOUDM__";
/// Lists have no form as a variable of their own: these hold JSON.
const LISTS: [(&str, &str); 2] = [
    ("CLOUDM__CATALOGUE__REGIONS", "catalogue.regions"),
    ("CLOUDM__CATALOGUE__MACHINE_TYPES", "catalogue.machine_types"),
];

/// The settings of the named file, or else of `cloudm.toml` in `directory`, and of the environment.
///
/// # Errors
/// When a layer cannot be read, has a key that does not exist or a value that a key cannot take. The error names the
/// layer and the key.
pub(crate) fn load(
    named: Option<&Path>,
    directory: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings> {
    let mut layers = Config::builder();
    if let Some((name, text)) = read(named, directory)? {
        layers = layers.add_source(File::from_str(&text, FileFormat::Toml));
        // Looked at by itself first, so that an error says in which layer it is.
        settings(&layers).with_context(|| format!("in {name}"))?;
    }
    layers = add_environment(layers, environment).context("in the environment")?;
    let settings = settings(&layers).context("in the environment")?;
    ensure!(
        settings.store.kind != StoreKind::Mongodb || settings.store.uri.is_some(),
        "store.kind mongodb needs store.uri (CLOUDM__STORE__URI)"
    );
    Ok(settings)
}

fn settings(layers: &ConfigBuilder<DefaultState>) -> Result<Settings> {
    Ok(layers.build_cloned()?.try_deserialize()?)
}

/// The file's name and text. A named file has to be there, the other one may be.
fn read(named: Option<&Path>, directory: &Path) -> Result<Option<(String, String)>> {
    let path = named.map_or_else(|| directory.join(FILE), Path::to_path_buf);
    let name = path.display().to_string();
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((name, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{name} cannot be read")),
    }
}

/// Adds what begins with `CLOUDM__`. An empty variable is one that is not set: that is what a line
/// `VARIABLE: ${VALUE:-}` of a compose file makes of an absent value.
fn add_environment(
    layers: ConfigBuilder<DefaultState>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<ConfigBuilder<DefaultState>> {
    let mut variables = BTreeMap::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let value = value.into_string().map_err(|_| anyhow::anyhow!("{name} is not UTF-8"))?;
        if !value.is_empty() {
            variables.insert(name.to_owned(), value);
        }
    }
    let mut layers = layers;
    for (name, key) in LISTS {
        if let Some(text) = variables.remove(name) {
            let list: config::Value = serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
            layers = layers.set_override(key, list)?;
        }
    }
    let variables = Environment::with_prefix("CLOUDM").separator("__").source(Some(variables.into_iter().collect()));
    Ok(layers.add_source(variables))
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{Catalogue, Preset};

    use super::super::{LogFormat, LogLevel, Uri};
    use super::*;

    /// The settings of a `cloudm.toml` and an environment, or the whole error.
    fn load_from(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), file).unwrap();
        load(None, directory.path(), variables(environment)).map_err(|error| format!("{error:#}"))
    }

    fn variables(of: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        of.iter().map(|(name, value)| (name.into(), value.into()))
    }

    #[track_caller]
    fn assert_refused(file: &str, environment: &[(&str, &str)], because: &[&str]) {
        let error = load_from(file, environment).unwrap_err();
        for part in because {
            assert!(error.contains(part), "'{part}' is not in: {error}");
        }
    }

    #[test]
    fn nothing_configured_is_the_defaults() {
        let empty = tempfile::tempdir().unwrap();
        let unrelated = variables(&[("PATH", "/bin"), ("CLOUDM_OTHER", "x"), ("CLOUDM__STORE__URI", "")]);
        assert_eq!(load(None, empty.path(), unrelated).unwrap(), Settings::default());
        assert_eq!(load_from("", &[]).unwrap(), Settings::default());
    }

    #[test]
    fn every_key_can_be_set_in_the_environment() {
        let set = load_from(
            "",
            &[
                ("CLOUDM__HTTP__BIND", "[::]:0"),
                ("CLOUDM__HTTP__WORKERS", "3"),
                ("CLOUDM__STORE__KIND", "mongodb"),
                ("CLOUDM__STORE__PATH", "/data"),
                ("CLOUDM__STORE__URI", "mongodb://localhost"),
                ("CLOUDM__STORE__DATABASE", "7"),
                ("CLOUDM__LOG__FORMAT", "json"),
                ("CLOUDM__LOG__LEVEL", "trace"),
                ("CLOUDM__SIMULATION__PRESET", "flaky"),
                ("CLOUDM__SIMULATION__SEED", "42"),
                ("CLOUDM__CATALOGUE__REGIONS", r#"[{"code":"X","name":"Xanadu"}]"#),
                (
                    "CLOUDM__CATALOGUE__MACHINE_TYPES",
                    r#"[{"code":"one","vcpus":1,"memory_mib":512,"price_per_hour_micros":1}]"#,
                ),
            ],
        )
        .unwrap();
        assert_eq!(set.http.bind.to_string(), "[::]:0");
        assert_eq!(set.http.workers.get(), 3);
        assert_eq!(set.store.kind, StoreKind::Mongodb);
        assert_eq!(set.store.path, Path::new("/data"));
        assert_eq!(set.store.uri, Some(Uri("mongodb://localhost".into())));
        assert_eq!(set.store.database, "7");
        assert_eq!((set.log.format, set.log.level), (LogFormat::Json, LogLevel::Trace));
        assert_eq!(set.simulation.preset, Preset::Flaky);
        assert_eq!(set.simulation.seed.unwrap().number(), 42);
        assert_eq!(set.catalogue.region("X").unwrap().name, "Xanadu");
        assert_eq!(set.catalogue.machine_type("one").unwrap().memory_mib, 512);
        assert_eq!((set.catalogue.regions().len(), set.catalogue.machine_types().len()), (1, 1));
    }

    #[test]
    fn the_environment_overrides_the_file_key_by_key() {
        let file = "[http]\nbind = '127.0.0.1:1'\nworkers = 5\n[[catalogue.regions]]\ncode = 'X'\nname = 'Xanadu'\n[[catalogue.regions]]\ncode = 'Y'\nname = 'York'";
        let set = load_from(file, &[("CLOUDM__HTTP__BIND", "127.0.0.1:2")]).unwrap();
        assert_eq!((set.http.bind.port(), set.http.workers.get()), (2, 5));
        assert_eq!(set.catalogue.regions().len(), 2);
        let set = load_from(file, &[("CLOUDM__CATALOGUE__REGIONS", r#"[{"code":"Z","name":"Zagreb"}]"#)]).unwrap();
        assert_eq!(set.catalogue.regions().iter().map(|region| region.code.as_str()).collect::<Vec<_>>(), ["Z"]);
        assert_eq!(set.catalogue.machine_types(), Catalogue::default().machine_types());
    }

    #[test]
    fn a_named_file_has_to_be_there_and_takes_the_place_of_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let named = directory.path().join("other.toml");
        let missing = load(Some(&named), directory.path(), variables(&[])).unwrap_err();
        assert!(format!("{missing:#}").contains("other.toml cannot be read"), "{missing:#}");
        fs::write(directory.path().join(FILE), "[http]\nbind = 'unread'").unwrap();
        fs::write(&named, "[http]\nworkers = 7").unwrap();
        let set = load(Some(&named), directory.path(), variables(&[])).unwrap();
        assert_eq!(set.http.workers.get(), 7);
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand() {
        assert_refused("htpp.bind = ''", &[], &["cloudm.toml", "htpp"]);
        assert_refused("[http]\nbnid = ''", &[], &["cloudm.toml", "bnid", "bind", "http"]);
        assert_refused("[catalogue]\nzones = []", &[], &["cloudm.toml", "zones", "regions"]);
        assert_refused("[[catalogue.regions]]\ncode = 'X'\nname = 'Y'\ncity = 'Z'", &[], &["cloudm.toml", "city"]);
        assert_refused("", &[("CLOUDM__HTTP__BNID", "x")], &["the environment", "bnid"]);
        assert_refused("", &[("CLOUDM__HTPP", "x")], &["the environment", "htpp"]);
    }

    #[test]
    fn bad_values_are_refused_with_their_key_and_what_would_do() {
        assert_refused("[http", &[], &["cloudm.toml", "line 1"]);
        assert_refused("", &[("CLOUDM__HTTP__BIND", "here")], &["http.bind", "'here' is not an address", "127.0.0.1"]);
        assert_refused("", &[("CLOUDM__HTTP__WORKERS", "many")], &["http.workers"]);
        assert_refused("[http]\nworkers = 0", &[], &["http.workers"]);
        assert_refused(
            "",
            &[("CLOUDM__STORE__KIND", "x")],
            &["store.kind", "'x' is not one of embedded, memory, mongodb"],
        );
        assert_refused("", &[("CLOUDM__LOG__FORMAT", "x")], &["log.format", "auto, text, json"]);
        assert_refused("", &[("CLOUDM__LOG__LEVEL", "x")], &["log.level", "error, warn, info, debug, trace"]);
        assert_refused("[simulation]\npreset = 'x'", &[], &["simulation.preset", "instant, realistic, flaky"]);
        assert_refused(
            "",
            &[("CLOUDM__SIMULATION__SEED", "9007199254740992")],
            &["simulation.seed", "9007199254740991"],
        );
        assert_refused("", &[("CLOUDM__CATALOGUE__REGIONS", "[")], &["CLOUDM__CATALOGUE__REGIONS is not JSON"]);
        assert_refused("", &[("CLOUDM__CATALOGUE__REGIONS", "[]")], &["the environment", "catalogue"]);
        assert_refused("[catalogue]\nregions = []", &[], &["cloudm.toml", "catalogue"]);
    }

    #[test]
    fn mongodb_needs_a_uri_and_its_errors_do_not_show_it() {
        assert_refused("[store]\nkind = 'mongodb'", &[], &["CLOUDM__STORE__URI"]);
        let error = load_from("", &[("CLOUDM__STORE__URI", "http://me:secret@host")]).unwrap_err();
        assert!(error.contains("mongodb://") && !error.contains("secret"), "{error}");
    }
}
