use std::time::Duration;

/// How blobs are fetched and held.
#[derive(Clone, Copy, Debug)]
pub struct BlobSettings {
    /// How many bytes of pieces stay in memory because they are asked for often.
    pub hot_bytes: u64,
    /// How many bytes may be in memory beside those, on their way from a source or the disk to clients.
    pub in_flight_bytes: u64,
    /// How long a request waits for such memory.
    pub budget_wait: Duration,
    /// How many pieces are asked of a source at once, at most.
    pub run_pieces: u32,
    /// How many pieces ahead of a reader are fetched.
    pub read_ahead_pieces: u32,
    /// How often a piece is asked for anew where a source broke off or sent what is wrong, at most.
    pub attempts: u32,
    /// How long a source gathers what is missing of a blob when nobody waits for any of it any more and a client did who may come again. What
    /// has come by then stays.
    pub gathering_idle: Duration,
}

impl BlobSettings {
    /// How long that is where nothing else is said.
    pub const GATHERING_IDLE: Duration = Duration::from_secs(30);
}
