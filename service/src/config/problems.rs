//! What must hold between values, traced to where they were written.

use super::layer::Reading;
use super::{Duration, Source};

/// Collects problems of meaning, and blames each on the line, variable or flag that gave the value.
pub struct Problems<'a> {
    reading: &'a mut Reading,
}

impl<'a> Problems<'a> {
    pub(super) fn new(reading: &'a mut Reading) -> Self {
        Self { reading }
    }

    /// Adds a problem between these keys, such as `["uploads.memory_budget", "storage.part_size"]`.
    ///
    /// It is blamed on the first of them that somebody gave, or on the first where all are defaults. Nothing is added
    /// when one of them could not be read, or nobody gave it and the file could not be read whole, or its line is no
    /// TOML: another value would be judged in the place of what was written.
    pub fn add(&mut self, keys: &[&str], message: impl Into<String>) {
        let faulty = |key: &&str| self.reading.faulty.contains(*key);
        let may_be_unread = |key: &&str| match self.origin(key) {
            Some(source) => self.reading.mistakes.iter().any(|mistake| mistake.key.is_empty() && mistake.source == source),
            None => self.reading.is_partial,
        };
        if keys.iter().any(faulty) || keys.iter().any(may_be_unread) {
            return;
        }
        let given = keys.iter().find_map(|key| Some((*key, self.origin(key)?)));
        let first = keys.first().copied().unwrap_or_default();
        let (key, source) = given.unwrap_or((first, Source::Default));
        self.reading.mistakes.push(super::Mistake { source, key: key.to_owned(), message: message.into() });
    }

    /// Adds a problem where a duration that must be waited for is zero.
    pub fn check_not_zero(&mut self, key: &str, duration: Duration) {
        if duration.as_milliseconds() == 0 {
            self.add(&[key], "must be longer than 0s");
        }
    }

    /// Where the key's value came from, or where its twin `<key>_file` did; `None` for a default.
    fn origin(&self, key: &str) -> Option<Source> {
        let origins = &self.reading.origins;
        origins.get(key).or_else(|| origins.get(&format!("{key}_file"))).cloned()
    }
}
