use std::{io, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;

use super::Entry;
use crate::{
    piece::PieceIndex,
    store::{
        charge::piece_charge,
        error::StoreError,
        folder::plain,
        room::Room,
        shared::{Shared, off_runtime},
    },
};

impl Entry {
    /// Keeps a piece, which can be read at once, and outlasts a crash after the next batch. Bytes that are not the piece are
    /// refused.
    ///
    /// Fails with [`StoreError::NoRoom`] where the quota has none, and with [`StoreError::DiskFull`] where the disk has none.
    pub async fn write(self: &Arc<Self>, piece: PieceIndex, bytes: Bytes) -> Result<(), StoreError> {
        if self.has(piece) {
            return Ok(());
        }
        let Some(shared) = self.shared.upgrade() else { return Err(self.gone()) };
        let entry = self.clone();
        off_runtime(move || {
            entry.require_right(&shared, piece, &bytes)?;
            entry.write_now(&shared, piece, &bytes)
        })
        .await
    }

    /// As [`Self::write`], for bytes that were just now found to be the piece. Blocks.
    pub(crate) fn write_checked(&self, piece: PieceIndex, bytes: &[u8]) -> Result<(), StoreError> {
        if self.has(piece) {
            return Ok(());
        }
        let Some(shared) = self.shared.upgrade() else { return Err(self.gone()) };
        self.write_now(&shared, piece, bytes)
    }

    fn require_right(&self, shared: &Shared, piece: PieceIndex, bytes: &[u8]) -> Result<(), StoreError> {
        if self.hashes.is_right(piece, bytes) {
            return Ok(());
        }
        shared.metrics.mismatched.inc();
        tracing::warn!(digest = %self.digest, piece = piece.0, "a piece that came is not what its hash says, and is not kept");
        Err(StoreError::WrongPiece { digest: self.digest.clone(), piece })
    }

    fn write_now(&self, shared: &Arc<Shared>, piece: PieceIndex, bytes: &[u8]) -> Result<(), StoreError> {
        let needed_bytes = piece_charge(self.geometry, piece);
        for is_last in [false, true] {
            // Before the file is held: to make room, others' files are.
            let room = shared.reserve(needed_bytes)?;
            match self.write_file(shared, piece, bytes, room) {
                Ok(()) => return Ok(()),
                Err(NotWritten::Gone) => return Err(self.gone()),
                Err(NotWritten::Failed(error)) if plain::is_not_plain(&error) && !is_last => self.replace_what_is_no_file(shared),
                Err(NotWritten::Failed(error)) => {
                    // Some of it may be there.
                    self.clear_missing(shared);
                    if !is_full(&error) {
                        return Err(StoreError::file("write", &shared.folder.blob(&self.digest))(error));
                    }
                    if !is_last {
                        shared.note_full_disk(needed_bytes);
                    }
                }
            }
        }
        Err(shared.no_room(needed_bytes))
    }

    fn write_file(&self, shared: &Shared, piece: PieceIndex, bytes: &[u8], room: Room) -> Result<(), NotWritten> {
        let Some(_held) = self.hold() else { return Err(NotWritten::Gone) };
        let file = shared.folder.open_to_write(&self.digest, || self.set_unnamed());
        let written = file.and_then(|file| file.write_all_at(bytes, self.geometry.bytes_of(piece).start));
        written.map_err(NotWritten::Failed)?;
        {
            // Together, so that what is here is charged at any time.
            let mut state = shared.state();
            let mut pieces = self.pieces();
            if pieces.present.insert(piece) {
                pieces.unsynced.insert(piece);
                room.spend(&mut state);
                state.mark_changed(&self.digest);
            }
        }
        shared.changed.notify_one();
        Ok(())
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone { digest: self.digest.clone() }
    }
}

/// Why a piece was not written.
enum NotWritten {
    /// The blob was dropped meanwhile.
    Gone,
    /// The file system refused.
    Failed(io::Error),
}

/// Whether it is the disk that has no room.
pub(in crate::store) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
