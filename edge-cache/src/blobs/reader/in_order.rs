use std::{io, ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use tokio_util::task::AbortOnDropHandle;

use super::Reader;
use crate::{
    blobs::{OpenError, checks::Along, lapsing::BEHIND},
    piece::PieceIndex,
};

/// How far a reader is.
pub(super) struct InOrder {
    reader: Arc<Reader>,
    pieces: Range<u32>,
    along: Along,
    /// Gets the next piece and holds it, until it is asked for, or for a moment.
    next: Option<AbortOnDropHandle<()>>,
    /// When the client was last handed something.
    handed_at: Option<Instant>,
}

impl InOrder {
    /// One who is about to read these pieces.
    pub(super) fn new(reader: Reader, pieces: Range<u32>, along: Along) -> Self {
        Self { reader: Arc::new(reader), pieces, along, next: None, handed_at: None }
    }

    /// What they have of the range.
    pub(super) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        let bytes = stream::try_unfold(self, |mut reading| async move {
            let next = reading.next().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(next.map(|bytes| (bytes, reading)))
        });
        bytes.boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, OpenError> {
        let Some(piece) = self.pieces.next().map(PieceIndex) else { return Ok(None) };
        let is_behind = self.handed_at.is_some_and(|handed| handed.elapsed() > BEHIND);
        let ready = self.next.take();
        let held = self.reader.piece(piece).await?;
        drop(ready);
        self.reader.require_right()?;
        let bytes = self.reader.part(piece, &held);
        drop(held);
        let Reader { shared, entry, source, .. } = &*self.reader;
        self.along.take(shared, entry, source, &bytes, self.pieces.is_empty()).await?;
        let next = self.pieces.clone().next().filter(|_| !is_behind);
        self.next = next.and_then(|next| self.reader.get_ready(PieceIndex(next)));
        self.handed_at = Some(Instant::now());
        Ok(Some(bytes))
    }
}
