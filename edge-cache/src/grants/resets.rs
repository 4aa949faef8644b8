//! When all was forgotten that an upstream had said. That holds over a restart: where its changes are followed on, they are not told again.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;

use super::Now;
use crate::store::{Store, StoreError};

/// When that was last, by upstream. There are as many as were ever configured.
pub struct Resets {
    known: RwLock<HashMap<Arc<str>, Now>>,
    /// The kind of their records.
    kind: &'static str,
    /// Where they are written down; nowhere in a test.
    store: Option<Store>,
}

impl Resets {
    /// Those that are written down.
    pub fn new(store: Option<Store>, kind: &'static str) -> Result<Self, StoreError> {
        let written = store.as_ref().map_or(Ok(Vec::new()), |store| store.records(kind))?;
        let now = Now::read();
        let known = written.into_iter().map(|(upstream, value)| {
            // Where it can't be read, nothing is believed that is from before this start.
            let time = serde_json::from_slice(&value).unwrap_or(now.time).min(now.time);
            (Arc::<str>::from(upstream), Now { time, ..now })
        });
        Ok(Self { known: RwLock::new(known.collect()), kind, store })
    }

    /// When that was of an upstream, by its address.
    pub fn last(&self, upstream: &Arc<str>) -> Option<Now> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(upstream).copied()
    }

    /// Notes that it is now.
    pub fn note(&self, upstream: &Arc<str>) {
        self.put(upstream, Now::read(), |_| true);
    }

    /// Notes that it was at a time, where it was not later.
    pub fn note_at(&self, upstream: &Arc<str>, time: Timestamp) {
        self.put(upstream, Now { time, ..Now::read() }, |last| last.time < time);
    }

    fn put(&self, upstream: &Arc<str>, now: Now, replaces: impl FnOnce(&Now) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(upstream).is_some_and(|last| !replaces(last)) {
            return;
        }
        known.insert(upstream.clone(), now);
        if let Some(store) = &self.store {
            let value = serde_json::to_vec(&now.time).expect("a time is always JSON");
            store.put_record(self.kind, upstream.to_string(), value);
        }
    }
}
