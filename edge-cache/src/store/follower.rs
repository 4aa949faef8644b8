use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use longshore_oci::Digest;
use tokio::sync::watch;

use super::{
    entry::Entry,
    error::ReadError,
    flow::{End, Flow, Look},
    shared::off_runtime,
};
use crate::piece::{Geometry, PieceIndex};

/// A reader behind the writer of a blob, at its own pace. It holds nothing in memory.
#[derive(Clone, Debug)]
pub struct Follower {
    digest: Digest,
    file: Arc<File>,
    flow: watch::Receiver<Flow>,
    geometry: Geometry,
}

/// What there is at a place of a blob on its way.
#[derive(Debug)]
pub enum There {
    /// These bytes, from the writer's hands; none at the blob's end.
    Bytes(Bytes),
    /// A piece that is written.
    Written(Written),
}

/// A piece of a blob on its way, where it is written.
#[derive(Debug)]
pub struct Written {
    digest: Digest,
    file: Arc<File>,
    piece: PieceIndex,
    range: Range<u64>,
    hash: [u8; 32],
    /// The blob, once it is in its place.
    entry: Option<Arc<Entry>>,
}

impl Follower {
    pub(super) fn new(digest: Digest, file: Arc<File>, flow: watch::Receiver<Flow>) -> Self {
        let geometry = flow.borrow().geometry;
        Self { digest, file, flow, geometry }
    }

    /// The blob's length.
    pub fn size_bytes(&self) -> u64 {
        self.geometry.size_bytes()
    }

    /// Whether the writer failed or gave up: nothing can be read any more.
    pub fn is_aborted(&self) -> bool {
        matches!(self.flow.borrow().end, End::Aborted(_))
    }

    /// What there is from `at` on, at least a byte, as soon as there is; at the blob's end nothing, once it was found right.
    ///
    /// The last piece is given only after the whole was found right. Fails with [`ReadError::Aborted`] when it was not, or when the
    /// writer gave up.
    pub async fn find(&mut self, at: u64) -> Result<There, ReadError> {
        let mut found = Look::Wait;
        // Where the writer went away, nothing more is to be waited for.
        let waited = self.flow.wait_for(|flow| {
            found = flow.look(at);
            !matches!(found, Look::Wait)
        });
        let _ = waited.await;
        match found {
            Look::Bytes(bytes) => Ok(There::Bytes(bytes)),
            Look::InFile(piece, hash, entry) => {
                let (digest, file, range) = (self.digest.clone(), self.file.clone(), self.geometry.bytes_of(piece));
                Ok(There::Written(Written { digest, file, piece, range, hash, entry }))
            }
            Look::Failed(error) => Err(error),
            Look::Wait => Err(ReadError::Aborted("its writer went away".to_owned())),
        }
    }

    /// What has come so far: where each piece ends, and its BLAKE3; and the same of what has come of the next.
    pub async fn came(&self) -> Vec<(u64, [u8; 32])> {
        let (mut came, at, chunks) = {
            let flow = self.flow.borrow();
            (flow.written(), flow.received_bytes(), flow.chunks().to_vec())
        };
        if !chunks.is_empty() {
            let hash = off_runtime(move || {
                let mut hasher = blake3::Hasher::new();
                for chunk in &chunks {
                    hasher.update(chunk);
                }
                *hasher.finalize().as_bytes()
            });
            came.push((at, hash.await));
        }
        came
    }
}

impl Written {
    /// Where it lies in the blob.
    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// Its BLAKE3.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Its bytes, checked against that.
    pub async fn read(self) -> Result<Bytes, ReadError> {
        if let Some(entry) = &self.entry
            && let Ok(bytes) = entry.read(self.piece).await
        {
            return Ok(bytes);
        }
        let Self { digest, file, piece, range, hash, .. } = self;
        let read = off_runtime(move || {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("a piece's length fits")];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok::<_, io::Error>((*blake3::hash(&bytes).as_bytes() == hash).then(|| Bytes::from(bytes)))
        });
        match read.await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(ReadError::Damaged { digest, piece }),
            Err(source) => Err(ReadError::Io { digest, source }),
        }
    }
}
