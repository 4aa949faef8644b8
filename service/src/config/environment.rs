//! Environment variables as a layer.

use super::Source;
use super::layer::Entry;

/// The environment of this process. What is not Unicode is replaced by U+FFFD, so that it is refused where it matters.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Reads the variables that begin with `LONGSHORE_<DAEMON>__`; all others are somebody else's.
pub(super) fn read(daemon: &str, environment: impl Iterator<Item = (String, String)>) -> Vec<Entry> {
    let prefix = format!("LONGSHORE_{}__", daemon.to_ascii_uppercase().replace('-', "_"));
    let mut entries: Vec<Entry> = environment.filter_map(|(name, value)| entry(&prefix, &name, value)).collect();
    // The environment has no order of its own; sorted, the same mistakes are reported in the same order each time.
    entries.sort_by(|left, right| left.source.cmp(&right.source));
    entries
}

fn entry(prefix: &str, name: &str, value: String) -> Option<Entry> {
    let path = name.strip_prefix(prefix)?.to_ascii_lowercase();
    let (section, key) = path.split_once("__").unwrap_or((&path, ""));
    Some(Entry::word(section, &key.replace("__", "."), Source::Environment(name.to_owned()), value))
}
