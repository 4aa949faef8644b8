use std::collections::{BTreeMap, btree_map::Entry};

use longshore_oci::Digest;

use super::pin::Pin;

/// How many changes of records wait at most to be written.
pub(super) const MOST_QUEUED: usize = 65_536;
/// How long those changes may be together, in bytes.
const MOST_QUEUED_BYTES: usize = 64 << 20;
/// How long a record may be, its key counted in, in bytes.
pub(super) const MOST_RECORD_BYTES: usize = 64 << 10;

/// Small changes that wait to be written: the newest of each, `None` where it is to be removed.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By owner and blob.
    pub(super) pins: BTreeMap<(String, Digest), Option<Pin>>,
    /// By kind and key.
    pub(super) records: BTreeMap<(&'static str, String), Option<Vec<u8>>>,
    /// How long they are together.
    record_bytes: usize,
}

impl Notes {
    pub(super) fn is_empty(&self) -> bool {
        self.pins.is_empty() && self.records.is_empty()
    }

    /// Takes back what could not be written, where nothing newer came meanwhile.
    pub(super) fn put_back(&mut self, older: Self) {
        for (key, pin) in older.pins {
            self.pins.entry(key).or_insert(pin);
        }
        for (key, value) in older.records {
            if let Entry::Vacant(place) = self.records.entry(key) {
                self.record_bytes += length(place.key(), value.as_deref());
                place.insert(value);
            }
        }
    }

    /// Queues a record's change; whether there was room for it.
    pub(super) fn queue_record(&mut self, kind: &'static str, key: String, value: Option<Vec<u8>>) -> bool {
        let key = (kind, key);
        let (added, replaced) = (length(&key, value.as_deref()), self.length_of(&key));
        let record_bytes = self.record_bytes - replaced.unwrap_or(0) + added;
        let fits = added <= MOST_RECORD_BYTES
            && record_bytes <= MOST_QUEUED_BYTES
            && (self.records.len() < MOST_QUEUED || replaced.is_some());
        if fits {
            self.records.insert(key, value);
            self.record_bytes = record_bytes;
        }
        fits
    }

    fn length_of(&self, key: &(&'static str, String)) -> Option<usize> {
        self.records.get(key).map(|value| length(key, value.as_deref()))
    }
}

fn length((kind, key): &(&'static str, String), value: Option<&[u8]>) -> usize {
    kind.len() + key.len() + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_a_newer_change_goes_first() {
        let mut notes = Notes::default();
        let value = || Some(vec![0; MOST_RECORD_BYTES - 100]);
        let queued = (0..MOST_QUEUED_BYTES).take_while(|number| notes.queue_record("tag", format!("{number}"), value())).count();
        assert_eq!(queued, MOST_QUEUED_BYTES / (MOST_RECORD_BYTES - 90));
        assert!(notes.queue_record("tag", "0".to_owned(), None), "a shorter one takes its place");
        assert!(!notes.queue_record("tag", "long".to_owned(), Some(vec![0; MOST_RECORD_BYTES])));
        let older = std::mem::take(&mut notes);
        let older_bytes = older.record_bytes;
        assert!(notes.queue_record("tag", "1".to_owned(), Some(vec![1])));
        notes.put_back(older);
        assert_eq!(notes.records[&("tag", "1".to_owned())], Some(vec![1]));
        assert_eq!(notes.record_bytes, older_bytes - MOST_RECORD_BYTES + 101);
        assert_eq!(notes.record_bytes, notes.records.iter().map(|(key, value)| length(key, value.as_deref())).sum::<usize>());
    }
}
