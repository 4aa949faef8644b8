//! Pieces that are here: in memory, or on the disk, read once for all who want them now.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_oci::Digest;
use longshore_service::budget::NoBudget;

use super::{Blobs, Shared};
use crate::{
    hot::{Piece, PieceKey},
    piece::PieceIndex,
    store::{Entry, ReadError},
};

/// Why a piece was not read from the disk.
#[derive(Clone, Debug)]
pub enum NotRead {
    /// It is not there, or not right, or can't be read: it is to be fetched.
    Fetch,
    /// See [`NoBudget`].
    NoBudget(NoBudget),
}

impl Blobs {
    /// A blob of which something is here or is about to be, as this source has it by its address: who asks has to know who may have it. Not as
    /// asking for it.
    pub fn kept(&self, digest: &Digest, source: &str) -> Option<Arc<Entry>> {
        let is_its_own = self.0.provenance.is_of(digest, source);
        self.0.store.peek(digest).filter(|entry| is_its_own && !self.0.checks.are_wrong(digest, entry.hashes()))
    }

    /// A piece of such a blob that is here, in memory or on the disk, and was found right; no source is asked for it. `None` where it is
    /// not here, or can't be read now; an error where there is no memory for it.
    pub async fn read_kept(&self, digest: &Digest, source: &str, piece: PieceIndex) -> Result<Option<Bytes>, NoBudget> {
        let Some(entry) = self.kept(digest, source) else { return Ok(None) };
        let Some(key) = entry.hashes().get(piece).filter(|_| entry.has(piece)) else { return Ok(None) };
        if let Some(held) = self.0.hot.get(&key) {
            return Ok(Some(held.bytes()));
        }
        match self.0.read_from_disk(&entry, key, piece).await {
            Ok(held) => Ok(Some(held.bytes())),
            Err(NotRead::Fetch) => Ok(None),
            Err(NotRead::NoBudget(error)) => Err(error),
        }
    }
}

impl Shared {
    /// Reads a piece from the disk, once for all who want it now.
    pub async fn read_from_disk(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        key: PieceKey,
        piece: PieceIndex,
    ) -> Result<Piece, NotRead> {
        let read = || {
            let (shared, entry) = (self.clone(), entry.clone());
            async move {
                let Range { start, end } = entry.geometry().bytes_of(piece);
                let room = shared.hot.room_for(end - start).await.map_err(NotRead::NoBudget)?;
                match entry.read_vec(piece).await {
                    Ok(bytes) => Ok(shared.hot.put(key, bytes, room)),
                    Err(ReadError::Missing { .. }) => Err(NotRead::Fetch),
                    Err(_) => {
                        shared.hot.forget(&key);
                        Err(NotRead::Fetch)
                    }
                }
            }
        };
        self.reads.run_once(key, read).await.unwrap_or(Err(NotRead::Fetch))
    }
}
