use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

use super::{Content, Inner, ObjectKey, StorageError, Store, in_time};

/// A stream of a range that is opened again at the byte it broke off.
pub(super) struct Resumed<S> {
    inner: Arc<Inner<S>>,
    key: ObjectKey,
    size_bytes: u64,
    /// What has not been handed out yet.
    left: Range<u64>,
    stream: BoxStream<'static, Result<Bytes, StorageError>>,
    /// Over the whole stream, so that one which keeps breaking comes to an end.
    failures: u32,
}

impl<S: Store> Resumed<S> {
    pub(super) fn new(
        inner: Arc<Inner<S>>,
        key: ObjectKey,
        size_bytes: u64,
        range: Range<u64>,
        stream: BoxStream<'static, Result<Bytes, StorageError>>,
    ) -> Self {
        Self { inner, key, size_bytes, left: range, stream, failures: 0 }
    }

    /// The bytes; an error is the last item.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, StorageError>> {
        stream::unfold(Some(self), |resumed| async {
            let mut resumed = resumed?;
            match resumed.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(resumed))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            let next = in_time("read", self.inner.call_timeout, async { self.stream.next().await.transpose() });
            let error = match next.await {
                Ok(Some(chunk)) => {
                    self.left.start += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(error) if self.left.is_empty() => {
                    // Every byte is there; only the end of the answer got lost.
                    tracing::debug!(key = %self.key, error = %error, "a read failed after its last byte");
                    return Ok(None);
                }
                Err(error) => error,
            };
            self.reopen(error).await?;
        }
    }

    /// Opens the rest after a failure, or gives up with it.
    async fn reopen(&mut self, mut error: StorageError) -> Result<(), StorageError> {
        loop {
            self.failures += 1;
            let pause = self.inner.backoff.pause(self.failures).filter(|_| error.is_transient());
            let Some(pause) = pause else { return Err(error) };
            tracing::warn!(key = %self.key, at = self.left.start, error = %error, "a read broke off and goes on from there");
            tokio::time::sleep(pause).await;
            let opened = self.inner.store.read(&self.key, self.size_bytes, self.left.clone());
            match in_time("read", self.inner.call_timeout, opened).await {
                Ok(Content::Stream(stream)) => {
                    self.stream = stream;
                    return Ok(());
                }
                Ok(Content::Mapped(mapping)) => {
                    let rest = mapping.slice(self.left.clone());
                    self.stream = stream::once(async { Ok(rest) }).boxed();
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }
}
