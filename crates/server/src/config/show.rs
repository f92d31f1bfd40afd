//! The settings as a `cloudm.toml` that says all of them, without secrets.

use std::fmt;

use serde_json::Value;

use super::Settings;
use super::word::Word;

/// Stands for what is not shown.
pub(super) const MASK: &str = "***";

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { http, store, log, simulation, catalogue } = self;
        writeln!(f, "[http]\nbind = {}\nworkers = {}", text(&http.bind.to_string()), http.workers)?;
        writeln!(f, "\n[store]\nkind = {}\npath = {}", text(store.kind.word()), text(&store.path.to_string_lossy()))?;
        if store.uri.is_some() {
            writeln!(f, "uri = {}", text(MASK))?;
        }
        writeln!(f, "database = {}", text(&store.database))?;
        writeln!(f, "\n[log]\nformat = {}\nlevel = {}", text(log.format.word()), text(log.level.word()))?;
        writeln!(f, "\n[simulation]\npreset = {}", text(simulation.preset.word()))?;
        if let Some(seed) = simulation.seed {
            writeln!(f, "seed = {}", seed.number())?;
        }
        for region in catalogue.regions() {
            let (code, name) = (text(region.code.as_str()), text(&region.name));
            writeln!(f, "\n[[catalogue.regions]]\ncode = {code}\nname = {name}")?;
        }
        for machine_type in catalogue.machine_types() {
            writeln!(f, "\n[[catalogue.machine_types]]\ncode = {}", text(machine_type.code.as_str()))?;
            writeln!(f, "vcpus = {}\nmemory_mib = {}", machine_type.vcpus, machine_type.memory_mib)?;
            writeln!(f, "price_per_hour_micros = {}", machine_type.price_per_hour_micros)?;
        }
        Ok(())
    }
}

/// A JSON string is a basic string of TOML too.
fn text(text: &str) -> Value {
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, iter};

    use cloudm_domain::{Preset, Seed};

    use super::super::{StoreKind, Uri, load};
    use super::*;

    #[test]
    fn what_is_shown_is_a_file_that_sets_the_same() {
        let mut settings = Settings::default();
        settings.store.kind = StoreKind::Memory;
        settings.store.path = "a \"quoted\" \\ path\n".into();
        settings.simulation.preset = Preset::Realistic;
        settings.simulation.seed = Some(Seed::new(Seed::MAX).unwrap());
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cloudm.toml"), settings.to_string()).unwrap();
        assert_eq!(load(None, directory.path(), iter::empty()).unwrap(), settings);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = Settings::default();
        settings.store.uri = Some(Uri("mongodb://me:secret@host".into()));
        let shown = format!("{settings} {settings:?}");
        assert!(shown.contains("uri = \"***\"") && !shown.contains("secret") && !shown.contains("host"), "{shown}");
    }
}
