//! The object in the making: its parts, and the bytes after them.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::HashState;

use super::{super::UploadError, Writer};
use crate::{
    state::{Assembly, Checkpoint, Garbage, Tail, UploadPart},
    storage::{ObjectKey, PartTag, Unfinished},
};

impl Writer {
    /// Has the buffer written as the next part, while the one after it is being read.
    pub(super) async fn send_part(&mut self) -> Result<(), UploadError> {
        self.await_part().await?;
        if self.assembly.is_none() {
            let key = self.claimed.parts_key(self.claimed.generation);
            let id = self.store.begin(&key).await?;
            self.assembly = Some(Assembly { generation: self.claimed.generation, id, parts: Vec::new(), is_sealed: false });
            // From here on there is something to be cleaned up that only the row can tell of.
            self.note_assembly().await?;
        }
        let assembly = self.assembly.as_ref().expect("an object in parts was just begun");
        let number = u32::try_from(assembly.parts.len() + 1).unwrap_or(u32::MAX);
        let (key, id) = (self.claimed.parts_key(assembly.generation), assembly.id.clone());
        let content = std::mem::take(&mut self.buffer);
        let permits = std::mem::take(&mut self.permits);
        (self.buffered_bytes, self.permitted_bytes) = (0, 0);
        let pieces = self.pieces.take();
        if let Some(tail) = self.tail.take() {
            self.discard_tail(tail);
        }
        let store = self.store.clone();
        self.in_flight = Some(tokio::spawn(async move {
            let tag = store.put_part(&key, &id, number, content).await?;
            drop(permits);
            Ok(UploadPart { number, tag, pieces })
        }));
        Ok(())
    }

    /// Notes the new object in parts before it has any, with the offset as it was.
    async fn note_assembly(&mut self) -> Result<(), UploadError> {
        let assembly = self.assembly.as_ref().map(|assembly| (assembly.generation, assembly.id.clone(), false));
        let unchanged = Checkpoint {
            offset_bytes: self.claimed.offset_bytes,
            hash_state: self.claimed.hash_state.clone().unwrap_or(HashState(Vec::new())),
            assembly,
            new_parts: Vec::new(),
            replaces_parts: false,
            tail: self.claimed.tail,
            pieces: self.claimed.pieces.clone(),
            garbage: Vec::new(),
            release: false,
            lease_us: self.lease_us(),
            garbage_due_at: Timestamp::now(),
        };
        if self.state.checkpoint_upload(self.claimed.id, self.claimed.claim, unchanged).await? {
            Ok(())
        } else {
            Err(UploadError::ClaimLost)
        }
    }

    pub(super) async fn await_part(&mut self) -> Result<(), UploadError> {
        if let Some(part) = self.in_flight.take() {
            let part = part.await??;
            self.assembly.as_mut().expect("parts are written to an object in parts").parts.push(part);
        }
        Ok(())
    }

    /// Brings the bytes after the last part back into the buffer, so that more can follow them.
    pub(super) async fn load_tail(&mut self) -> Result<(), UploadError> {
        if self.is_tail_loaded {
            return Ok(());
        }
        self.is_tail_loaded = true;
        if self.claimed.is_taken_over && self.assembly.as_ref().is_some_and(|assembly| !assembly.is_sealed) {
            // The writer before may still write to its object, so this one goes on in another.
            self.reopen().await?;
        }
        let (content, size_bytes, key) = match (self.tail, &self.assembly) {
            (Some(tail), _) => {
                let key = self.claimed.tail_key(tail.generation);
                self.permits.push(self.budget.take(tail.size_bytes).await?);
                let whole = 0..tail.size_bytes;
                (self.store.read(&key, tail.size_bytes, whole.clone()).await?.collect(whole).await?, tail.size_bytes, key)
            }
            (None, Some(assembly)) if assembly.is_sealed => self.reopen().await?,
            _ => (Vec::new(), 0, self.claimed.parts_key(self.claimed.generation)),
        };
        for bytes in &content {
            self.pieces.update(bytes);
        }
        if self.pieces.so_far() != self.claimed.pieces {
            return Err(UploadError::Damaged { key });
        }
        (self.buffer, self.buffered_bytes, self.permitted_bytes) = (content, size_bytes, size_bytes);
        Ok(())
    }

    /// Goes on in a new object: the full parts of the one before go into it, the short one, if there is one, into the buffer.
    async fn reopen(&mut self) -> Result<(Vec<Bytes>, u64, ObjectKey), UploadError> {
        let mut assembly = self.assembly.take().expect("only an object in parts is reopened");
        let last = if assembly.is_sealed { assembly.parts.pop() } else { None };
        let full_bytes = assembly.parts.len() as u64 * self.claimed.part_bytes;
        let tail_bytes = if last.is_some() { self.offset_bytes - full_bytes } else { 0 };
        self.permits.push(self.budget.take(tail_bytes).await?);
        let old_key = self.claimed.parts_key(assembly.generation);
        let new_key = self.claimed.parts_key(self.claimed.generation);
        let unfinished = Unfinished { key: old_key.clone(), id: assembly.id };
        let mut tags: Vec<PartTag> = assembly.parts.iter().map(|part| part.tag.clone()).collect();
        tags.extend(last.map(|part| part.tag));
        let reopened = self.store.reopen(&unfinished, &tags, tail_bytes, &new_key).await?;
        for (part, tag) in assembly.parts.iter_mut().zip(reopened.parts) {
            part.tag = tag;
        }
        self.assembly =
            Some(Assembly { generation: self.claimed.generation, id: reopened.id, parts: assembly.parts, is_sealed: false });
        (self.replaces_parts, self.noted_parts) = (true, 0);
        self.garbage.push(Garbage { key: old_key.clone(), parts: None });
        self.garbage.push(Garbage { key: old_key.clone(), parts: Some(unfinished.id) });
        Ok((reopened.tail, tail_bytes, old_key))
    }

    /// Writes the buffer as a part though it is short. Its piece hashes stay the upload's, since the part may yet be replaced.
    pub(super) async fn send_last_part(&mut self) -> Result<(), UploadError> {
        let pieces = self.pieces.clone();
        self.send_part().await?;
        self.await_part().await?;
        self.pieces = pieces;
        let assembly = self.assembly.as_mut().expect("a part was just written to it");
        assembly.is_sealed = true;
        if let Some(part) = assembly.parts.last_mut() {
            part.pieces.clear();
        }
        Ok(())
    }

    /// Writes the buffer as an object of its own.
    pub(super) async fn put_tail(&mut self) -> Result<(), UploadError> {
        let key = self.claimed.tail_key(self.claimed.generation);
        self.store.put(&key, std::mem::take(&mut self.buffer)).await?;
        let tail = Tail { generation: self.claimed.generation, size_bytes: self.buffered_bytes };
        if let Some(before) = self.tail.replace(tail) {
            self.discard_tail(before);
        }
        self.permits.clear();
        (self.buffered_bytes, self.permitted_bytes) = (0, 0);
        Ok(())
    }

    fn discard_tail(&mut self, tail: Tail) {
        self.garbage.push(Garbage { key: self.claimed.tail_key(tail.generation), parts: None });
    }
}
