//! What one layer of a configuration gives, and setting it.

use std::collections::{BTreeMap, BTreeSet};

use super::suggestion::closest;
use super::{Given, Layout, Mistake, Section, Setting, Source};

/// One value that a layer gives.
#[derive(Debug)]
pub(super) struct Entry {
    pub section: String,
    /// Which of a list of sections it is.
    pub position: Option<usize>,
    /// The key within the section; empty when the layer names only a section.
    pub key: String,
    pub source: Source,
    pub given: Given,
}

impl Entry {
    /// What a variable or a flag gives. Where its key begins with a number, as in `upstream.0.url`, that is a position in a list.
    pub fn word(section: &str, key: &str, source: Source, value: String) -> Self {
        let (first, rest) = key.split_once('.').unwrap_or((key, ""));
        let (position, key) = first.parse().map_or((None, key), |position| (Some(position), rest));
        Self { section: section.to_owned(), position, key: key.to_owned(), source, given: Given::Word(value) }
    }

    /// What mistakes and origins call it: `storage.bucket`, `upstream.0.url`.
    fn path(&self) -> String {
        let place = place(&self.section, self.position);
        if self.key.is_empty() { place } else { format!("{place}.{}", self.key) }
    }
}

/// What a section is called, or one of a list: `upstream.0`.
pub(super) fn place(section: &str, position: Option<usize>) -> String {
    position.map_or_else(|| section.to_owned(), |position| format!("{section}.{position}"))
}

/// What has been read so far: where each value in force came from, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub origins: BTreeMap<String, Source>,
    /// Keys with a mistake, about which the checks of meaning have nothing to add.
    pub faulty: BTreeSet<String>,
    /// Whether the file could not be read, or not all of it: what nobody seems to have given may stand there.
    pub is_partial: bool,
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
        let path = entry.path();
        match set(config, &entry) {
            Ok(()) => {
                self.origins.insert(path, entry.source);
            }
            Err(message) => self.mistake(entry.source, path, message),
        }
    }
}

fn set(config: &mut impl Layout, entry: &Entry) -> Result<(), String> {
    let plain: Vec<Known> = config.sections().into_iter().map(|(name, section)| (name, keys_of(section))).collect();
    let listed: Vec<&'static str> = config.lists().into_iter().map(|(name, _)| name).collect();
    let is_plain = plain.iter().any(|(name, _)| *name == entry.section);
    let is_listed = listed.contains(&entry.section.as_str());
    match entry.position {
        None if is_listed => {
            let name = &entry.section;
            return Err(format!("there may be several of these: write [[{name}]] in the file, and {name}.0 elsewhere"));
        }
        Some(_) if is_plain => return Err(format!("there is one of this alone: write [{}] and its keys", entry.section)),
        _ => {}
    }
    if let Some(position) = entry.position {
        if let Some((_, list)) = config.lists_mut().into_iter().find(|(name, _)| *name == entry.section) {
            return set_key(list.at_mut(position)?, entry, &plain);
        }
    } else if let Some((_, section)) = config.sections_mut().into_iter().find(|(name, _)| *name == entry.section) {
        return set_key(section, entry, &plain);
    }
    Err(match closest(&entry.section, plain.iter().map(|(name, _)| *name).chain(listed)) {
        Some(close) => format!("unknown section {:?}; did you mean {close:?}?", entry.section),
        None => format!("unknown section {:?}", entry.section),
    })
}

/// Sets a key of its section; `plain` are the sections where it may have been meant to be.
fn set_key(section: &mut dyn Section, entry: &Entry, plain: &[Known]) -> Result<(), String> {
    if entry.given == Given::Nothing {
        return Ok(());
    }
    if entry.key.is_empty() {
        return Err("this is a section; name a key of it".to_owned());
    }
    let own = keys_of(section);
    let mut settings = section.settings_mut();
    if let Some((_, setting)) = settings.iter_mut().find(|(key, _)| *key == entry.key) {
        return setting.set(&entry.given);
    }
    if let Some(secret) = twin(&mut settings, &entry.key).and_then(Setting::secret_mut) {
        let found = || format!("expected the path of a file, found {}", entry.given.kind());
        secret.set_file(entry.given.as_text().ok_or_else(found)?);
        return Ok(());
    }
    Err(unknown_key(entry, own, plain))
}

/// The secret whose twin `<key>_file` is named.
fn twin<'a>(settings: &'a mut [(&'static str, &mut dyn Setting)], key: &str) -> Option<&'a mut (dyn Setting + 'a)> {
    let of = key.strip_suffix("_file")?;
    let (_, setting) = settings.iter_mut().find(|(key, setting)| *key == of && setting.secret().is_some())?;
    Some(&mut **setting)
}

/// A section's name, and its keys.
type Known = (&'static str, Vec<&'static str>);

fn keys_of(section: &dyn Section) -> Vec<&'static str> {
    section.settings().into_iter().map(|(key, _)| key).collect()
}

/// The sentence for a key that its section does not have.
fn unknown_key(entry: &Entry, own: Vec<&'static str>, plain: &[Known]) -> String {
    if let Some(close) = closest(&entry.key, own) {
        return format!("unknown key; did you mean {:?}?", format!("{}.{close}", place(&entry.section, entry.position)));
    }
    match plain.iter().find(|(_, keys)| keys.contains(&entry.key.as_str())) {
        Some((other, _)) => format!("unknown key; did you mean {:?}?", format!("{other}.{}", entry.key)),
        None => "unknown key".to_owned(),
    }
}
