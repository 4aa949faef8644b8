use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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

impl UploadSettings {
    /// When what becomes garbage now may go.
    pub fn garbage_due_at(&self) -> Timestamp {
        let grace = SignedDuration::try_from(self.garbage_grace).unwrap_or(SignedDuration::MAX);
        Timestamp::now().saturating_add(grace).unwrap_or(Timestamp::MAX)
    }
}
