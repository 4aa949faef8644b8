//! What one layer of a configuration gives, and setting it.

use std::collections::{BTreeMap, BTreeSet};

use super::suggestion::closest;
use super::{Given, Layout, Mistake, Section, Setting, Source};

/// One value that a layer gives.
#[derive(Debug)]
pub(super) struct Entry {
    pub section: String,
    /// The key within the section; empty when the layer names only a section.
    pub key: String,
    pub source: Source,
    pub given: Given,
}

/// What has been read so far: where each value in force came from, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub origins: BTreeMap<String, Source>,
    /// Keys with a mistake, about which the checks of meaning have nothing to add.
    pub faulty: BTreeSet<String>,
    pub mistakes: Vec<Mistake>,
}

impl Reading {
    /// Records that the key at `path` is wrong.
    pub fn mistake(&mut self, source: Source, path: String, message: String) {
        self.faulty.insert(path.clone());
        self.mistakes.push(Mistake { source, key: path, message });
    }

    /// Sets the value of one entry, or records why it cannot be set.
    pub fn apply(&mut self, config: &mut impl Layout, entry: Entry) {
        let path = format!("{}.{}", entry.section, entry.key);
        let path = path.trim_end_matches('.').to_owned();
        match set(config, &entry) {
            Ok(()) => {
                self.origins.insert(path, entry.source);
            }
            Err(message) => self.mistake(entry.source, path, message),
        }
    }
}

fn set(config: &mut impl Layout, entry: &Entry) -> Result<(), String> {
    let unknown = unknown_key(config, entry);
    let mut sections = config.sections_mut();
    let Some((_, section)) = sections.iter_mut().find(|(name, _)| *name == entry.section) else {
        let close = closest(&entry.section, sections.iter().map(|(name, _)| *name));
        return Err(match close {
            Some(close) => format!("unknown section {:?}; did you mean {close:?}?", entry.section),
            None => format!("unknown section {:?}", entry.section),
        });
    };
    if entry.given == Given::Nothing {
        return Ok(());
    }
    if entry.key.is_empty() {
        return Err("this is a section; name a key of it".to_owned());
    }
    let mut settings = section.settings_mut();
    if let Some((_, setting)) = settings.iter_mut().find(|(key, _)| *key == entry.key) {
        return setting.set(&entry.given);
    }
    if let Some(secret) = twin(&mut settings, &entry.key).and_then(Setting::secret_mut) {
        let found = || format!("expected the path of a file, found {}", entry.given.kind());
        secret.set_file(entry.given.as_text().ok_or_else(found)?);
        return Ok(());
    }
    Err(unknown)
}

/// The secret whose twin `<key>_file` is named.
fn twin<'a>(settings: &'a mut [(&'static str, &mut dyn Setting)], key: &str) -> Option<&'a mut (dyn Setting + 'a)> {
    let of = key.strip_suffix("_file")?;
    let (_, setting) = settings.iter_mut().find(|(key, setting)| *key == of && setting.secret().is_some())?;
    Some(&mut **setting)
}

/// The sentence for a key that its section does not have.
fn unknown_key(config: &impl Layout, entry: &Entry) -> String {
    let sections = config.sections();
    let has = |section: &dyn Section, key: &str| section.settings().iter().any(|(name, _)| *name == key);
    let own = sections.iter().find(|(name, _)| *name == entry.section);
    let keys = own.map(|(_, section)| section.settings()).unwrap_or_default();
    if let Some(close) = closest(&entry.key, keys.iter().map(|(key, _)| *key)) {
        return format!("unknown key; did you mean {:?}?", format!("{}.{close}", entry.section));
    }
    match sections.iter().find(|(_, section)| has(*section, &entry.key)) {
        Some((other, _)) => format!("unknown key; did you mean {:?}?", format!("{other}.{}", entry.key)),
        None => "unknown key".to_owned(),
    }
}
