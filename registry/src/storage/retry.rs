//! Tries again what may go through later, within bounds.
//!
//! Every call has a limit of time per attempt and of attempts, with a random pause between them. All calls of a store may be
//! repeated: keys are written once and with the same bytes, and completing twice is completing once. A repeated `begin` may leave an
//! object in parts that nobody knows, which [`Store::list_unfinished`] finds.

mod backoff;
#[cfg(test)]
mod faulty;
mod resume;
#[cfg(test)]
mod tests;

use std::{ops::Range, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Content, ObjectKey, Page, PartTag, PartsId, Reopened, StorageError, Store, Unfinished};
pub use backoff::Backoff;
use resume::Resumed;

/// How fast a store must at least take and give bytes; a call may take longer by what its bytes need at this pace.
const SLOWEST_BYTES_PER_SECOND: u64 = 512 << 10;

/// How long a store may think about each part that it joins or copies.
const PER_PART: Duration = Duration::from_millis(200);

/// A store whose calls are limited in time, and repeated where that helps.
#[derive(Debug)]
pub struct Retrying<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    backoff: Backoff,
    call_timeout: Duration,
}

impl<S: Store> Retrying<S> {
    /// Wraps a store. `call_timeout` is how long one attempt of a call without bytes may take, and how long a stream may pause.
    pub fn new(store: S, backoff: Backoff, call_timeout: Duration) -> Self {
        Self(Arc::new(Inner { store, backoff, call_timeout }))
    }

    /// The limit of an attempt that moves `bytes` and joins `parts`.
    fn limit(&self, bytes: u64, parts: usize) -> Duration {
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.0.call_timeout + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND) + PER_PART.saturating_mul(parts)
    }
}

type Attempt<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

impl<S: Store> Inner<S> {
    /// Calls until it succeeds, fails for good, or the attempts are used up; the last error is the answer.
    async fn repeat<'a, T>(
        &'a self,
        operation: &'static str,
        limit: Duration,
        mut call: impl FnMut(&'a S) -> Attempt<'a, T>,
    ) -> Result<T, StorageError> {
        let mut failures = 0;
        loop {
            let error = match in_time(operation, limit, call(&self.store)).await {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            failures += 1;
            let Some(pause) = self.backoff.pause(failures) else { return Err(error) };
            tracing::warn!(operation, failures, error = %error, "a storage call failed and is tried again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// The result, or [`StorageError::TimedOut`] after `limit`.
async fn in_time<T>(
    operation: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    tokio::time::timeout(limit, call).await.unwrap_or(Err(StorageError::TimedOut { operation, limit_ms }))
}

fn total_bytes(content: &[Bytes]) -> u64 {
    content.iter().map(|chunk| chunk.len() as u64).sum()
}

#[async_trait]
impl<S: Store> Store for Retrying<S> {
    fn part_bytes(&self) -> u64 {
        self.0.store.part_bytes()
    }

    fn chunk_min_bytes(&self) -> Option<u64> {
        self.0.store.chunk_min_bytes()
    }

    async fn put(&self, key: &ObjectKey, content: Vec<Bytes>) -> Result<(), StorageError> {
        let limit = self.limit(total_bytes(&content), 0);
        self.0.repeat("put", limit, |store| store.put(key, content.clone())).await
    }

    async fn read(&self, key: &ObjectKey, size_bytes: u64, range: Range<u64>) -> Result<Content, StorageError> {
        let limit = self.limit(0, 0);
        match self.0.repeat("read", limit, |store| store.read(key, size_bytes, range.clone())).await? {
            Content::Stream(stream) => {
                Ok(Content::Stream(Resumed::new(self.0.clone(), key.clone(), size_bytes, range, stream).into_stream().boxed()))
            }
            mapped @ Content::Mapped(_) => Ok(mapped),
        }
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        self.0.repeat("delete", self.limit(0, 0), |store| store.delete(keys)).await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<PartsId, StorageError> {
        self.0.repeat("begin", self.limit(0, 0), |store| store.begin(key)).await
    }

    async fn put_part(&self, key: &ObjectKey, id: &PartsId, number: u32, content: Vec<Bytes>) -> Result<PartTag, StorageError> {
        let limit = self.limit(total_bytes(&content), 0);
        self.0.repeat("put_part", limit, |store| store.put_part(key, id, number, content.clone())).await
    }

    async fn complete(&self, key: &ObjectKey, id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError> {
        self.0.repeat("complete", self.limit(0, parts.len()), |store| store.complete(key, id, parts)).await
    }

    async fn abort(&self, key: &ObjectKey, id: &PartsId) -> Result<(), StorageError> {
        self.0.repeat("abort", self.limit(0, 0), |store| store.abort(key, id)).await
    }

    async fn reopen(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError> {
        // Three calls and the tail, and a copy of each part.
        let limit = self.limit(tail_bytes, parts.len()) + self.0.call_timeout * 2;
        self.0.repeat("reopen", limit, |store| store.reopen(unfinished, parts, tail_bytes, new_key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        self.0.repeat("list", self.limit(0, 0), |store| store.list(prefix, after)).await
    }

    async fn list_unfinished(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError> {
        self.0.repeat("list_unfinished", self.limit(0, 0), |store| store.list_unfinished(after)).await
    }

    async fn presign(&self, key: &ObjectKey, valid_for: Duration) -> Result<Option<String>, StorageError> {
        self.0.store.presign(key, valid_for).await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        in_time("probe", self.limit(0, 0), self.0.store.probe()).await
    }
}
