//! The presets as files, for people to read, copy and change.

use std::path::Path;

use cloudm_domain::{Behaviour, Preset};

#[test]
fn the_files_are_what_the_code_says() {
    for preset in Preset::ALL {
        let path = format!("presets/{}.json", preset.name());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&path);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let read = serde_json::from_str::<Behaviour>(&text).ok();
        let says = serde_json::to_string_pretty(&preset.behaviour()).unwrap();
        assert!(read == Some(preset.behaviour()), "{path} is to be:\n{says}");
    }
}
