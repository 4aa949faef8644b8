//! The end of a request: what came is noted, or becomes a blob.

use futures_util::StreamExt as _;
use jiff::Timestamp;
use longshore_oci::{Digest, Hasher};
use tokio::time::Instant;

use super::{super::UploadError, Writer};
use crate::{
    state::{BlobCommit, Checkpoint},
    storage::{Content, ObjectKey, PartTag},
};

impl Writer {
    /// Ends a request that leaves the upload open. What came is stored and noted when this returns, so that the end of this process
    /// takes nothing of it, and the claim is given up.
    ///
    /// `is_last` tells that no more is expected before the end: the bytes after the last part then become a part themselves.
    pub async fn pause(mut self, is_last: bool) -> Result<u64, UploadError> {
        self.await_part().await?;
        if self.buffered_bytes > 0 && (self.offset_bytes != self.claimed.offset_bytes || self.replaces_parts) {
            if self.buffered_bytes == self.claimed.part_bytes && (self.assembly.is_some() || !is_last) {
                self.send_part().await?;
                self.await_part().await?;
            } else if is_last && self.assembly.is_some() {
                self.send_last_part().await?;
            } else {
                self.put_tail().await?;
            }
        }
        self.checkpoint(true).await?;
        Ok(self.offset_bytes)
    }

    pub(super) async fn checkpoint(&mut self, release: bool) -> Result<(), UploadError> {
        let is_untouched =
            self.offset_bytes == self.claimed.offset_bytes && !self.replaces_parts && self.noted_parts == self.parts();
        let garbage = std::mem::take(&mut self.garbage);
        let assembly = self.assembly.as_ref();
        let checkpoint = Checkpoint {
            offset_bytes: self.offset_bytes,
            hash_state: self.hasher.state(),
            new_parts: assembly.map_or_else(Vec::new, |assembly| assembly.parts[self.noted_parts..].to_vec()),
            replaces_parts: self.replaces_parts,
            assembly: assembly.map(|assembly| (assembly.generation, assembly.id.clone(), assembly.is_sealed)),
            tail: self.tail,
            pieces: if is_untouched { self.claimed.pieces.clone() } else { self.pieces.so_far() },
            garbage,
            release,
            lease_us: self.lease_us(),
            garbage_due_at: Timestamp::now(),
        };
        if !self.state.checkpoint_upload(self.claimed.id, self.claimed.claim, checkpoint).await? {
            return Err(UploadError::ClaimLost);
        }
        (self.noted_parts, self.replaces_parts) = (self.parts(), false);
        self.checkpointed_bytes = self.offset_bytes;
        self.renewed_at = Instant::now();
        Ok(())
    }

    fn parts(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.parts.len())
    }

    /// Makes the upload a blob, if its digest is `expected`. Where the blob is there already its object stays, unless that is `damaged`.
    pub async fn commit(mut self, expected: &Digest, damaged: Option<ObjectKey>) -> Result<(), UploadError> {
        self.await_part().await?;
        let actual = self.hasher.digest();
        if actual.algorithm() == expected.algorithm() && actual != *expected {
            return Err(UploadError::DigestMismatch { expected: expected.clone(), actual });
        }
        let (key, pieces) = self.assemble().await?;
        if actual.algorithm() != expected.algorithm() {
            self.verify(&key, expected).await?;
        }
        let commit = BlobCommit {
            id: self.claimed.id,
            claim: self.claimed.claim,
            repository: self.claimed.repository.clone(),
            digest: expected.clone(),
            size_bytes: self.offset_bytes,
            key,
            pieces,
            damaged,
            garbage: self.garbage,
            garbage_due_at: self.settings.garbage_due_at(),
        };
        if self.state.commit_blob(commit).await? { Ok(()) } else { Err(UploadError::ClaimLost) }
    }

    /// Makes one object of what there is, and answers with its key and all of its piece hashes.
    async fn assemble(&mut self) -> Result<(ObjectKey, Vec<u8>), UploadError> {
        if self.assembly.is_none() {
            return self.assemble_whole().await;
        }
        if self.tail.is_some() && self.buffered_bytes == 0 || self.claimed.is_taken_over {
            self.load_tail().await?;
        }
        if self.buffered_bytes > 0 {
            self.send_last_part().await?;
        } else if self.offset_bytes == self.claimed.offset_bytes && !self.is_tail_loaded {
            // Nothing was read in this request: the short last part's hashes are the ones that the database has.
            return self.complete(self.claimed.pieces.clone()).await;
        }
        self.await_part().await?;
        self.complete(self.pieces.so_far()).await
    }

    async fn complete(&self, last_pieces: Vec<u8>) -> Result<(ObjectKey, Vec<u8>), UploadError> {
        let assembly = self.assembly.as_ref().expect("only an object in parts is completed");
        let key = self.claimed.parts_key(assembly.generation);
        let tags: Vec<PartTag> = assembly.parts.iter().map(|part| part.tag.clone()).collect();
        self.store.complete(&key, &assembly.id, &tags).await?;
        let mut pieces: Vec<u8> = assembly.parts.iter().flat_map(|part| part.pieces.iter().copied()).collect();
        pieces.extend(last_pieces);
        Ok((key, pieces))
    }

    /// The blob is one object: the tail that is there already, or what the buffer holds.
    async fn assemble_whole(&mut self) -> Result<(ObjectKey, Vec<u8>), UploadError> {
        let is_stored = self.tail.is_some() && self.offset_bytes == self.claimed.offset_bytes;
        let pieces = if is_stored { self.claimed.pieces.clone() } else { self.pieces.so_far() };
        if !is_stored {
            self.put_tail().await?;
        }
        let tail = self.tail.expect("the bytes are in an object of their own");
        Ok((self.claimed.tail_key(tail.generation), pieces))
    }

    /// Reads the object back to hash it another way than it was hashed while it came, for a client that named its digest's
    /// algorithm only at the end.
    async fn verify(&self, key: &ObjectKey, expected: &Digest) -> Result<(), UploadError> {
        let mut hasher = Hasher::new(expected.algorithm());
        match self.store.read(key, self.offset_bytes, 0..self.offset_bytes).await? {
            Content::Mapped(mapping) => {
                let bytes = mapping.slice(0..self.offset_bytes);
                hasher = tokio::task::spawn_blocking(move || {
                    hasher.update(&bytes);
                    hasher
                })
                .await?;
            }
            Content::Stream(mut stream) => {
                while let Some(bytes) = stream.next().await {
                    hasher.update(&bytes?);
                }
            }
        }
        let actual = hasher.digest();
        if actual == *expected { Ok(()) } else { Err(UploadError::DigestMismatch { expected: expected.clone(), actual }) }
    }
}
