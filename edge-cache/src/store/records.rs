use std::collections::BTreeMap;

use super::{
    Store,
    error::StoreError,
    notes::{MOST_QUEUED, MOST_RECORD_BYTES},
    shared::locked,
};

impl Store {
    /// Has a small note of others outlast a crash, with the next batch. It replaces one of the same kind and key.
    ///
    /// One that is too long (64 KiB with its key), or that comes while too many wait, is not kept, which is counted.
    pub fn put_record(&self, kind: &'static str, key: String, value: Vec<u8>) {
        self.queue_record(kind, key, Some(value));
    }

    /// Removes one, with the next batch.
    pub fn remove_record(&self, kind: &'static str, key: &str) {
        self.queue_record(kind, key.to_owned(), None);
    }

    /// All of a kind, by key, those that still wait to be written too. Reads the disk: for the start.
    pub fn records(&self, kind: &'static str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        // So that none is on its way, and in neither place.
        let _commit = locked(&self.shared.commits);
        let mut records: BTreeMap<_, _> = self.shared.index.records(kind)?.into_iter().collect();
        let state = self.shared.state();
        for ((of, key), value) in &state.notes.records {
            match value {
                Some(value) if *of == kind => records.insert(key.clone(), value.clone()),
                None if *of == kind => records.remove(key),
                _ => None,
            };
        }
        Ok(records.into_iter().collect())
    }

    fn queue_record(&self, kind: &'static str, key: String, value: Option<Vec<u8>>) {
        if self.shared.state().notes.queue_record(kind, key, value) {
            self.shared.changed.notify_one();
        } else {
            self.shared.metrics.records_lost.inc();
            tracing::warn!(
                kind,
                most_queued = MOST_QUEUED,
                most_bytes = MOST_RECORD_BYTES,
                "a record is too long, or too many wait; it is not kept"
            );
        }
    }
}
