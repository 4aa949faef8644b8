mod finish;
mod parts;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use longshore_oci::Hasher;
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle, time::Instant};
use uuid::Uuid;

use super::{Budget, PieceHasher, UploadError, UploadSettings};
use crate::{
    state::{Assembly, Claimed, Garbage, SharedState, Tail, UploadPart},
    storage::{SharedStore, StorageError},
};

/// How many bytes may pass before where the upload stands is noted: what a crash can cost a client at most.
const CHECKPOINT_BYTES: u64 = 32 << 20;

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

    /// The upload and the proof that this writer holds it.
    pub fn held(&self) -> (Uuid, Uuid) {
        (self.claimed.id, self.claimed.claim)
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
            if end_bytes != Some(self.offset_bytes) && self.buffered_bytes < self.claimed.part_bytes {
                self.make_room(end_bytes).await?;
            }
            let Some(frame) = self.next_frame(&mut body).await? else { break };
            let frame = frame.map_err(|error| interrupted(self.offset_bytes, error.to_string()))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if self.offset_bytes + bytes.len() as u64 > end_bytes.unwrap_or(limit_bytes) {
                return Err(UploadError::TooLarge { limit_bytes: end_bytes.unwrap_or(limit_bytes) });
            }
            self.append(bytes, end_bytes).await?;
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
        if self.buffered_bytes == self.claimed.part_bytes {
            return Ok(());
        }
        let to_part_end = self.claimed.part_bytes - self.buffered_bytes;
        let to_come = end_bytes.map_or(to_part_end, |end| end - self.offset_bytes).min(to_part_end);
        self.permits.push(self.budget.take(to_come).await?);
        self.permitted_bytes = self.buffered_bytes + to_come;
        Ok(())
    }

    async fn append(&mut self, mut bytes: Bytes, end_bytes: Option<u64>) -> Result<(), UploadError> {
        while !bytes.is_empty() {
            // A full buffer waits for what follows it: where nothing does, it is an object of its own, which is cheaper than a part.
            if self.buffered_bytes == self.claimed.part_bytes {
                self.send_part().await?;
                self.settle_part().await?;
                self.make_room(end_bytes).await?;
            }
            let room = self.claimed.part_bytes - self.buffered_bytes;
            let head = bytes.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            self.hasher.update(&head);
            self.pieces.update(&head);
            self.offset_bytes += head.len() as u64;
            self.buffered_bytes += head.len() as u64;
            self.buffer.push(head);
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
