//! Reading all layers into one configuration.

use std::collections::BTreeMap;
use std::path::Path;

use super::layer::{Entry, Reading};
use super::{Layout, Mistake, Mistakes, Problems, Setting, Source, document, environment};

/// A configuration in which nothing is wrong, and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The values in force.
    pub config: T,
    /// The source of each value that is not a default, by its path.
    pub origins: BTreeMap<String, Source>,
}

/// Reads `daemon`'s configuration: defaults, then `file`, then the environment, then flags, each over the one before.
///
/// `flags` are pairs of path and value, as [`split_flags`](super::split_flags) gives them. Secrets' files are read, and
/// files named by the configuration are checked, so this blocks. All mistakes are returned together.
pub fn load<T: Layout>(
    daemon: &str,
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: Vec<(String, String)>,
) -> Result<Loaded<T>, Mistakes> {
    let mut reading = Reading::default();
    let mut entries = Vec::new();
    if let Some(file) = file {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => entries.extend(document::read(&name, &text, &mut reading)),
            Err(error) => {
                reading.is_partial = true;
                reading.mistakes.push(Mistake {
                    source: Source::File { name, line: 0 },
                    key: String::new(),
                    message: format!("cannot be read: {error}"),
                });
            }
        }
    }
    entries.extend(environment::read(daemon, env));
    entries.extend(flags.into_iter().map(flag_entry));
    settle(entries, reading, FileAccess::Allowed)
}

/// Reads a configuration from TOML text alone, as a file called `name`.
///
/// Nothing outside the text is looked at: secrets given by a file stay unread, and files are not checked.
pub fn load_text<T: Layout>(name: &str, text: &str) -> Result<Loaded<T>, Mistakes> {
    let mut reading = Reading::default();
    let entries = document::read(name, text, &mut reading);
    settle(entries, reading, FileAccess::Denied)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileAccess {
    Allowed,
    Denied,
}

fn settle<T: Layout>(entries: Vec<Entry>, mut reading: Reading, access: FileAccess) -> Result<Loaded<T>, Mistakes> {
    let mut config = T::default();
    for entry in entries {
        reading.apply(&mut config, entry);
    }
    for (section, settings) in config.sections_mut() {
        for (key, setting) in settings.settings_mut() {
            settle_secret(&format!("{section}.{key}"), setting, &mut reading, access);
        }
    }
    for (section, list) in config.lists_mut() {
        for position in 0..list.listed().len() {
            let Ok(listed) = list.at_mut(position) else { continue };
            for (key, setting) in listed.settings_mut() {
                settle_secret(&format!("{section}.{position}.{key}"), setting, &mut reading, access);
            }
        }
    }
    config.check(&mut Problems::new(&mut reading));
    if access == FileAccess::Allowed {
        config.check_files(&mut Problems::new(&mut reading));
    }
    if reading.mistakes.is_empty() {
        for path in config.derive() {
            // It is not what was set there.
            reading.origins.remove(&path);
        }
        Ok(Loaded { config, origins: reading.origins })
    } else {
        Err(Mistakes::new(reading.mistakes))
    }
}

/// Refuses a secret given twice, and reads the one given by a file.
fn settle_secret(path: &str, setting: &mut dyn Setting, reading: &mut Reading, access: FileAccess) {
    let Some(secret) = setting.secret_mut() else {
        return;
    };
    let twin = format!("{path}_file");
    let source = reading.origins.get(&twin).cloned().unwrap_or(Source::Default);
    if secret.is_given_twice() {
        let other = reading.origins.get(path).cloned().unwrap_or(Source::Default);
        reading.mistake(source, twin, format!("{path} is also set ({other}); give one of the two"));
    } else if access == FileAccess::Allowed
        && let Err(error) = secret.read_file()
    {
        reading.mistake(source, twin, error.to_string());
    }
}

fn flag_entry((path, value): (String, String)) -> Entry {
    let (section, key) = path.split_once('.').unwrap_or((&path, ""));
    Entry::word(section, key, Source::Flag(path.clone()), value)
}
