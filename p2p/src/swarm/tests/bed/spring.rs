//! An origin that is as it is told to be.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use longshore_oci::piece::PIECE_BYTES;

use crate::swarm::{Origin, OriginError, OriginStream};

/// All of a blob, at a pace.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(super) struct Spring {
    pub(super) content: Arc<[Bytes]>,
    pub(super) bytes_per_second: Option<u32>,
    pub(super) fails: bool,
    /// Whether it fails for good.
    pub(super) refuses: bool,
    pub(super) wrong: bool,
    pub(super) hangs: bool,
    /// How many requests are still to break off after their first piece.
    pub(super) breaks: Arc<AtomicU32>,
    pub(super) sent: Arc<AtomicU64>,
    pub(super) requests: Arc<AtomicU64>,
}

#[async_trait]
impl Origin for Spring {
    async fn read(&self, bytes: Range<u64>) -> Result<OriginStream, OriginError> {
        let failure = || OriginError {
            retry_after: Duration::from_millis(100),
            is_final: self.refuses,
            source: "the origin is down".into(),
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.fails {
            return Err(failure());
        }
        if self.hangs {
            return std::future::pending().await;
        }
        let first = bytes.start / PIECE_BYTES;
        let past = bytes.end.div_ceil(PIECE_BYTES);
        let breaks = self.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let (content, rate, sent, wrong) = (self.content.clone(), self.bytes_per_second, self.sent.clone(), self.wrong);
        let pieces = stream::iter(first..past).then(move |piece| {
            let mut bytes = content[usize::try_from(piece).unwrap()].clone();
            if wrong {
                bytes = vec![7; bytes.len()].into();
            }
            sent.fetch_add(1, Ordering::Relaxed);
            async move {
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs(u64::try_from(bytes.len()).unwrap()) / rate).await;
                }
                Ok(bytes)
            }
        });
        let end = stream::iter(breaks.then(|| Err(failure())));
        Ok(pieces.take(if breaks { 1 } else { usize::MAX }).chain(end).boxed())
    }
}
