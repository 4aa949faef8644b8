//! Counts the calls to a store, and how long they take.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::{Content, ObjectKey, Page, PartTag, PartsId, Reopened, StorageError, Store, Unfinished};

/// The upper ends of the durations counted, in seconds.
const BUCKETS_SECONDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// A store whose calls are counted as `longshore_storage_calls_total{operation,outcome}`, and timed as
/// `longshore_storage_call_duration_seconds{operation}`.
///
/// A read is timed to its opening. One that breaks off afterwards counts once more, as operation `stream`.
#[derive(Debug)]
pub struct Metered<S> {
    store: S,
    calls: IntCounterVec,
    durations: HistogramVec,
}

impl<S: Store> Metered<S> {
    /// Wraps a store and registers its metrics. Fails when the registry has them already.
    pub fn new(store: S, registry: &Registry) -> prometheus::Result<Self> {
        let calls = Opts::new("longshore_storage_calls_total", "Calls to the store, by operation and outcome.");
        let calls = IntCounterVec::new(calls, &["operation", "outcome"])?;
        let durations =
            HistogramOpts::new("longshore_storage_call_duration_seconds", "How long calls to the store took, by operation.");
        let durations = HistogramVec::new(durations.buckets(BUCKETS_SECONDS.to_vec()), &["operation"])?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        Ok(Self { store, calls, durations })
    }

    async fn count<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let _timer = self.durations.with_label_values(&[operation]).start_timer();
        let mut counted = Counted { calls: &self.calls, operation, outcome: "cancelled" };
        let result = call.await;
        counted.outcome = outcome(&result);
        result
    }
}

/// Counts when dropped, so that a call which its caller gave up on counts too.
struct Counted<'a> {
    calls: &'a IntCounterVec,
    operation: &'static str,
    outcome: &'static str,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.calls.with_label_values(&[self.operation, self.outcome]).inc();
    }
}

fn outcome<T>(result: &Result<T, StorageError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(StorageError::NotFound { .. }) => "not_found",
        Err(StorageError::Length { .. }) => "wrong_length",
        Err(StorageError::TimedOut { .. }) => "timed_out",
        Err(error) if error.is_transient() => "transient",
        Err(_) => "refused",
    }
}

#[async_trait]
impl<S: Store> Store for Metered<S> {
    fn part_bytes(&self) -> u64 {
        self.store.part_bytes()
    }

    fn chunk_min_bytes(&self) -> Option<u64> {
        self.store.chunk_min_bytes()
    }

    async fn put(&self, key: &ObjectKey, content: Vec<Bytes>) -> Result<(), StorageError> {
        self.count("put", self.store.put(key, content)).await
    }

    async fn read(&self, key: &ObjectKey, size_bytes: u64, range: Range<u64>) -> Result<Content, StorageError> {
        match self.count("read", self.store.read(key, size_bytes, range)).await? {
            Content::Stream(stream) => {
                let calls = self.calls.clone();
                let counted = stream.inspect(move |chunk| {
                    if chunk.is_err() {
                        calls.with_label_values(&["stream", outcome(chunk)]).inc();
                    }
                });
                Ok(Content::Stream(counted.boxed()))
            }
            mapped @ Content::Mapped(_) => Ok(mapped),
        }
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        self.count("delete", self.store.delete(keys)).await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<PartsId, StorageError> {
        self.count("begin", self.store.begin(key)).await
    }

    async fn put_part(&self, key: &ObjectKey, id: &PartsId, number: u32, content: Vec<Bytes>) -> Result<PartTag, StorageError> {
        self.count("put_part", self.store.put_part(key, id, number, content)).await
    }

    async fn complete(&self, key: &ObjectKey, id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError> {
        self.count("complete", self.store.complete(key, id, parts)).await
    }

    async fn abort(&self, key: &ObjectKey, id: &PartsId) -> Result<(), StorageError> {
        self.count("abort", self.store.abort(key, id)).await
    }

    async fn reopen(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError> {
        self.count("reopen", self.store.reopen(unfinished, parts, tail_bytes, new_key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        self.count("list", self.store.list(prefix, after)).await
    }

    async fn list_unfinished(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError> {
        self.count("list_unfinished", self.store.list_unfinished(after)).await
    }

    async fn presign(&self, key: &ObjectKey, valid_for: Duration) -> Result<Option<String>, StorageError> {
        self.store.presign(key, valid_for).await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.count("probe", self.store.probe()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::FolderStore;

    #[tokio::test]
    async fn counts_calls_by_operation_and_outcome() {
        let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
        let store = Metered::new(FolderStore::open(folder.path(), 1 << 20).unwrap(), &registry).unwrap();
        let key = ObjectKey::Record("a".parse().unwrap(), 1);
        store.put(&key, vec![Bytes::from_static(b"record")]).await.unwrap();
        for size_bytes in [6, 7, 6] {
            let _ = store.read(&key, size_bytes, 0..size_bytes).await;
        }
        store.delete(std::slice::from_ref(&key)).await.unwrap();
        assert!(store.read(&key, 6, 0..6).await.is_err());
        drop(store.probe());
        let calls = |operation, outcome| store.calls.with_label_values(&[operation, outcome]).get();
        assert_eq!([calls("put", "ok"), calls("read", "ok"), calls("delete", "ok")], [1, 2, 1]);
        assert_eq!([calls("read", "wrong_length"), calls("read", "not_found"), calls("probe", "ok")], [1, 1, 0]);
        assert_eq!(store.durations.with_label_values(&["read"]).get_sample_count(), 4);
        assert_eq!(registry.gather().len(), 2);
    }
}
