use std::{path::PathBuf, time::Duration};

/// How a store keeps what it has.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where everything lies. One process at a time has it.
    pub folder: PathBuf,
    /// How many bytes of blobs may be on the disk together.
    pub quota_bytes: u64,
    /// After how long without a request a blob is dropped; `None`: only where room is needed.
    pub max_idle: Option<Duration>,
    /// How long pieces are gathered before they are synced and noted together. A crash loses what was written meanwhile.
    pub sync_delay: Duration,
    /// How much is read again a second to find damage, in bytes; 0: nothing is, but by hand.
    pub scrub_bytes_per_second: u64,
    /// How many blobs are kept at most.
    pub max_entries: usize,
    /// How many pins there may be.
    pub max_pins: usize,
    /// How many records others may keep here.
    pub max_records: usize,
}

impl StoreSettings {
    /// A store in that folder, with the other settings as they suit most.
    pub fn new(folder: impl Into<PathBuf>, quota_bytes: u64) -> Self {
        Self {
            folder: folder.into(),
            quota_bytes,
            max_idle: None,
            sync_delay: Duration::from_secs(1),
            scrub_bytes_per_second: 4 << 20,
            max_entries: 200_000,
            max_pins: 50_000,
            max_records: 500_000,
        }
    }
}
