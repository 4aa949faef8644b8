use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use longshore_oci::{Digest, Hasher, InvalidHashState};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::{JoinError, JoinHandle},
    time::Instant,
};

use super::{Budget, NoBudget, PieceHasher};
use crate::{
    state::{Assembly, BlobCommit, Checkpoint, Claimed, Garbage, SharedState, StateError, Tail, UploadPart},
    storage::{Content, ObjectKey, PartTag, SharedStore, StorageError, Unfinished},
};

/// How many bytes may pass before where the upload stands is noted: what a crash can cost a client at most.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// What bounds an upload.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// How long a claim lasts unless renewed.
    pub claim_lease: Duration,
    /// How long a client may send nothing.
    pub body_idle_timeout: Duration,
    /// The largest blob taken, in bytes.
    pub max_blob_bytes: u64,
    /// How long an object that nothing needs is kept for those who may still be reading it.
    pub garbage_grace: Duration,
}

/// Why bytes could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The connection broke off, or stood still for too long; what came before is kept.
    #[error("the body broke off after byte {offset_bytes} of the upload: {reason}")]
    Interrupted {
        /// How many bytes the upload has.
        offset_bytes: u64,
        /// What happened.
        reason: String,
    },
    /// More came than was announced or is taken.
    #[error("the blob is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The content has another digest.
    #[error("the content's digest is {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The claim ran out, and somebody else may hold the upload now.
    #[error("the upload was taken over by another request")]
    ClaimLost,
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// See [`StorageError`].
    #[error("the upload's bytes could not be stored")]
    Storage(#[from] StorageError),
    /// See [`StateError`].
    #[error("the upload could not be noted")]
    State(#[from] StateError),
    /// A hash in the database can't be gone on with.
    #[error("the upload's hash state can't be read")]
    HashState(#[from] InvalidHashState),
    /// What was stored of the upload reads back differently.
    #[error("the upload's stored bytes at {key} are damaged")]
    Damaged {
        /// Where.
        key: ObjectKey,
    },
    /// A task ended before its work was done.
    #[error("a task of the upload failed")]
    Task(#[from] JoinError),
}

/// The one that writes to an upload.
pub struct Writer {
    state: SharedState,
    store: SharedStore,
    budget: Budget,
    settings: UploadSettings,
    claimed: Claimed,
    hasher: Hasher,
    pieces: PieceHasher,
    offset_bytes: u64,
    checkpointed_bytes: u64,
    renewed_at: Instant,
    /// The bytes after the last part that were not written yet, and their memory.
    buffer: Vec<Bytes>,
    buffered_bytes: u64,
    permits: Vec<OwnedSemaphorePermit>,
    permitted_bytes: u64,
    in_flight: Option<JoinHandle<Result<UploadPart, StorageError>>>,
    assembly: Option<Assembly>,
    /// How many of the assembly's parts the database knows.
    noted_parts: usize,
    replaces_parts: bool,
    /// The object with the bytes after the last part, as long as these are nowhere else.
    tail: Option<Tail>,
    /// Whether the tail's bytes are in the buffer.
    is_tail_loaded: bool,
    garbage: Vec<Garbage>,
}

impl Writer {
    /// Goes on with an upload that was claimed.
    pub fn resume(
        state: SharedState,
        store: SharedStore,
        budget: Budget,
        settings: UploadSettings,
        mut claimed: Claimed,
    ) -> Result<Self, UploadError> {
        let hasher = match &claimed.hash_state {
            Some(hash_state) => Hasher::resume(claimed.algorithm, hash_state)?,
            None => Hasher::new(claimed.algorithm),
        };
        let assembly = claimed.assembly.take();
        Ok(Self {
            hasher,
            pieces: PieceHasher::default(),
            offset_bytes: claimed.offset_bytes,
            checkpointed_bytes: claimed.offset_bytes,
            renewed_at: Instant::now(),
            buffer: Vec::new(),
            buffered_bytes: 0,
            permits: Vec::new(),
            permitted_bytes: 0,
            in_flight: None,
            noted_parts: assembly.as_ref().map_or(0, |assembly| assembly.parts.len()),
            assembly,
            replaces_parts: false,
            tail: claimed.tail,
            is_tail_loaded: false,
            garbage: Vec::new(),
            state,
            store,
            budget,
            settings,
            claimed,
        })
    }

    /// How many bytes the upload has.
    pub fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Takes in a body, all of it. `expected_bytes` is its length where it was announced.
    pub async fn take_in<B>(&mut self, mut body: B, expected_bytes: Option<u64>) -> Result<(), UploadError>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let limit_bytes = self.settings.max_blob_bytes;
        let end_bytes = expected_bytes.map(|length| self.offset_bytes.saturating_add(length));
        if end_bytes.is_some_and(|end| end > limit_bytes) {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        let interrupted = |offset_bytes, reason: String| UploadError::Interrupted { offset_bytes, reason };
        loop {
            if end_bytes != Some(self.offset_bytes) {
                self.make_room(end_bytes).await?;
            }
            let Some(frame) = self.next_frame(&mut body).await? else { break };
            let frame = frame.map_err(|error| interrupted(self.offset_bytes, error.to_string()))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if self.offset_bytes + bytes.len() as u64 > end_bytes.unwrap_or(limit_bytes) {
                return Err(UploadError::TooLarge { limit_bytes: end_bytes.unwrap_or(limit_bytes) });
            }
            self.append(bytes).await?;
        }
        match end_bytes {
            Some(end) if end != self.offset_bytes => Err(interrupted(self.offset_bytes, "it was shorter than announced".into())),
            _ => Ok(()),
        }
    }

    /// The body's next frame, waited for as long as a client may be silent; the claim is renewed meanwhile.
    async fn next_frame<B>(&mut self, body: &mut B) -> Result<Option<Result<http_body::Frame<Bytes>, B::Error>>, UploadError>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let silent_until = Instant::now() + self.settings.body_idle_timeout;
        loop {
            let renew_at = self.renewed_at + self.settings.claim_lease / 3;
            if Instant::now() >= renew_at {
                self.renew().await?;
                continue;
            }
            match tokio::time::timeout_at(renew_at.min(silent_until), body.frame()).await {
                Ok(frame) => return Ok(frame),
                Err(_) if Instant::now() >= silent_until => {
                    let reason = format!("nothing came for {:?}", self.settings.body_idle_timeout);
                    return Err(UploadError::Interrupted { offset_bytes: self.offset_bytes, reason });
                }
                Err(_) => {}
            }
        }
    }

    async fn renew(&mut self) -> Result<(), UploadError> {
        if !self.state.renew_claim(self.claimed.id, self.claimed.claim, self.lease_us()).await? {
            return Err(UploadError::ClaimLost);
        }
        self.renewed_at = Instant::now();
        Ok(())
    }

    fn lease_us(&self) -> i64 {
        i64::try_from(self.settings.claim_lease.as_micros()).unwrap_or(i64::MAX)
    }

    /// Takes memory for the bytes up to the next part's end, or as many as are still to come.
    async fn make_room(&mut self, end_bytes: Option<u64>) -> Result<(), UploadError> {
        if self.buffered_bytes < self.permitted_bytes {
            return Ok(());
        }
        self.load_tail().await?;
        let to_part_end = self.claimed.part_bytes - self.buffered_bytes;
        let to_come = end_bytes.map_or(to_part_end, |end| end - self.offset_bytes).min(to_part_end);
        self.permits.push(self.budget.take(to_come).await?);
        self.permitted_bytes = self.buffered_bytes + to_come;
        Ok(())
    }

    async fn append(&mut self, mut bytes: Bytes) -> Result<(), UploadError> {
        while !bytes.is_empty() {
            let room = self.claimed.part_bytes - self.buffered_bytes;
            let head = bytes.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            self.hasher.update(&head);
            self.pieces.update(&head);
            self.offset_bytes += head.len() as u64;
            self.buffered_bytes += head.len() as u64;
            self.buffer.push(head);
            if self.buffered_bytes == self.claimed.part_bytes {
                self.send_part().await?;
                self.settle_part().await?;
                if !bytes.is_empty() {
                    self.make_room(None).await?;
                }
            }
        }
        Ok(())
    }

    /// Notes the part before the one now under way, now and then.
    async fn settle_part(&mut self) -> Result<(), UploadError> {
        if self.offset_bytes - self.checkpointed_bytes >= CHECKPOINT_BYTES {
            self.await_part().await?;
            self.checkpoint(false).await?;
        }
        Ok(())
    }

    /// Has the buffer written as the next part, while the one after it is being read.
    async fn send_part(&mut self) -> Result<(), UploadError> {
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
            hash_state: self.claimed.hash_state.clone().unwrap_or(longshore_oci::HashState(Vec::new())),
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

    async fn await_part(&mut self) -> Result<(), UploadError> {
        if let Some(part) = self.in_flight.take() {
            let part = part.await??;
            self.assembly.as_mut().expect("parts are written to an object in parts").parts.push(part);
        }
        Ok(())
    }

    /// Brings the bytes after the last part back into the buffer, so that more can follow them.
    async fn load_tail(&mut self) -> Result<(), UploadError> {
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
                (read_all(&self.store, &key, tail.size_bytes).await?, tail.size_bytes, key)
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
        if self.buffered_bytes == self.claimed.part_bytes {
            self.send_part().await?;
        }
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

    /// Ends a request that leaves the upload open. What came is durable and noted when this returns, and the claim is given up.
    ///
    /// `is_last` tells that no more is expected before the end: the bytes after the last part then become a part themselves.
    pub async fn pause(mut self, is_last: bool) -> Result<u64, UploadError> {
        self.await_part().await?;
        if self.buffered_bytes > 0 && (self.offset_bytes != self.claimed.offset_bytes || self.replaces_parts) {
            if is_last && self.assembly.is_some() {
                self.send_last_part().await?;
            } else {
                self.put_tail().await?;
            }
        }
        self.checkpoint(true).await?;
        Ok(self.offset_bytes)
    }

    /// Writes the buffer as a part though it is short. Its piece hashes stay the upload's, since the part may yet be replaced.
    async fn send_last_part(&mut self) -> Result<(), UploadError> {
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
    async fn put_tail(&mut self) -> Result<(), UploadError> {
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

    async fn checkpoint(&mut self, release: bool) -> Result<(), UploadError> {
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
        let grace = SignedDuration::try_from(self.settings.garbage_grace).unwrap_or(SignedDuration::MAX);
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
            garbage_due_at: Timestamp::now().saturating_add(grace).unwrap_or(Timestamp::MAX),
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
        } else if self.offset_bytes == self.claimed.offset_bytes && self.pieces.so_far().is_empty() {
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

    /// Lets go of the upload as the database knows it. What was under way is waited for, since it must not land any later.
    pub async fn let_go(mut self) {
        if let Err(error) = self.await_part().await {
            tracing::debug!(upload = %self.claimed.id, %error, "the last part was not written");
        }
    }

    /// Ends the upload, whose bytes nobody will want.
    pub async fn abandon(mut self) -> Result<(), UploadError> {
        // A part on its way would otherwise land after its object was dropped.
        let awaited = self.await_part().await;
        self.state.cancel_upload(&self.claimed.repository, self.claimed.id, Some(self.claimed.claim)).await?;
        awaited
    }
}

async fn read_all(store: &SharedStore, key: &ObjectKey, size_bytes: u64) -> Result<Vec<Bytes>, StorageError> {
    match store.read(key, size_bytes, 0..size_bytes).await? {
        Content::Mapped(mapping) => Ok(vec![Bytes::copy_from_slice(&mapping.slice(0..size_bytes))]),
        Content::Stream(mut stream) => {
            let mut content = Vec::new();
            while let Some(bytes) = stream.next().await {
                content.push(bytes?);
            }
            Ok(content)
        }
    }
}
