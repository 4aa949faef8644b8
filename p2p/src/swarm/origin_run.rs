//! One request to the origin: pieces in a row, each checked as it comes.

use std::{error::Error, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use longshore_oci::piece::{Geometry, PieceHashes, PieceIndex};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    arrival::FetchId,
    input::{Input, RunStep},
};
use crate::download::RunId;

/// Bytes of the origin.
pub type OriginStream = BoxStream<'static, Result<Bytes, OriginError>>;

/// Where bytes come from that no neighbour has: an edge, a registry.
#[async_trait]
pub trait Origin: Send + Sync + 'static {
    /// These bytes of the blob, as they come; whoever reads them checks them.
    async fn read(&self, bytes: Range<u64>) -> Result<OriginStream, OriginError>;
}

/// Why the origin brought nothing.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct OriginError {
    /// When it is worth asking again.
    pub retry_after: Duration,
    /// Whether that is of no use for this download: who asks is refused, and another may not be.
    pub is_final: bool,
    /// What went wrong.
    pub source: Box<dyn Error + Send + Sync>,
}

impl OriginError {
    /// How long the origin is let be.
    pub(super) fn rest(&self) -> Duration {
        if self.is_final { Duration::MAX } else { self.retry_after }
    }
}

/// What came from the origin is not what it should be, or too little.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the hash of piece {} is wrong", .0.0)]
    Hash(PieceIndex),
    #[error("it broke off in piece {}", .0.0)]
    Short(PieceIndex),
    #[error("it brings nothing, or too little for its time")]
    Stalled,
}

/// How long the origin is let be that sent what is wrong, or too little.
const WRONG_PAUSE: Duration = Duration::from_secs(1);

impl std::convert::From<Fault> for OriginError {
    fn from(fault: Fault) -> Self {
        Self { retry_after: WRONG_PAUSE, is_final: false, source: fault.into() }
    }
}

/// A request that runs.
pub(super) struct Run {
    pub(super) fetch: FetchId,
    pub(super) id: RunId,
    pub(super) pieces: Range<u32>,
    pub(super) geometry: Geometry,
    pub(super) hashes: PieceHashes,
    /// Memory, a part for each piece.
    pub(super) memory: Vec<OwnedSemaphorePermit>,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl Run {
    /// Asks, and tells the task of what comes to the end.
    pub(super) async fn go(mut self, origin: Arc<dyn Origin>) {
        let end = self.bring(&*origin).await;
        self.tell(RunStep::Ended(end.err())).await;
    }

    async fn bring(&mut self, origin: &dyn Origin) -> Result<(), OriginError> {
        let first = self.geometry.bytes_of(PieceIndex(self.pieces.start)).start;
        let past = self.geometry.bytes_of(PieceIndex(self.pieces.end - 1)).end;
        let mut stream = origin.read(first..past).await?;
        let mut rest = Bytes::new();
        for piece in self.pieces.clone().map(PieceIndex) {
            let length = self.geometry.bytes_of(piece);
            let length = usize::try_from(length.end - length.start).expect("a piece fits into memory");
            let mut bytes = Vec::with_capacity(length);
            while bytes.len() < length {
                if rest.is_empty() {
                    rest = stream.next().await.ok_or(Fault::Short(piece))??;
                    self.tell(RunStep::Progress(rest.len() as u64)).await;
                }
                let more = rest.split_to((length - bytes.len()).min(rest.len()));
                bytes.extend_from_slice(&more);
            }
            let Some(memory) = self.memory.pop() else { return Ok(()) };
            let hashes = self.hashes.clone();
            let checked = tokio::task::spawn_blocking(move || hashes.is_right(piece, &bytes).then_some(bytes)).await;
            let bytes = checked.ok().flatten().ok_or(Fault::Hash(piece))?;
            self.tell(RunStep::Came { piece, bytes, memory }).await;
        }
        Ok(())
    }

    async fn tell(&self, step: RunStep) {
        // Where the task is gone nobody needs it.
        let _ = self.inputs.send(Input::Run { fetch: self.fetch, run: self.id, step }).await;
    }
}
