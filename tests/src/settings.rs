use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

/// A daemon's configuration: dotted keys (`uploads.idle_timeout`) and their values.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Sets one value, in place of the one before.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.into(), value.into());
    }

    /// Sets several.
    pub fn extend(&mut self, values: &[(&str, Value)]) {
        for (key, value) in values {
            self.set(key, value.clone());
        }
    }

    /// A value that has been set and is a text.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{key} is not set to a text"))
    }

    /// The configuration as TOML. Strings, numbers, booleans and arrays of them are written alike in JSON and TOML.
    pub fn to_toml(&self) -> String {
        let mut sections: BTreeMap<&str, String> = BTreeMap::new();
        for (key, value) in &self.0 {
            let (section, name) = key.split_once('.').expect("a key is section.name");
            writeln!(sections.entry(section).or_default(), "{name} = {value}").expect("a string takes all that is written");
        }
        sections.iter().map(|(section, lines)| format!("[{section}]\n{lines}")).collect()
    }
}
