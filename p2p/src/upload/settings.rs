//! How much a node serves at once, and how it shares that out.

use std::time::Duration;

use longshore_oci::piece::PIECE_BYTES;

use super::limits::LimitSettings;

/// How a node serves others.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// How many pieces are served at once.
    pub slots: usize,
    /// How many of them to one peer.
    pub slots_per_peer: usize,
    /// How many of them to peers of other zones.
    pub far_slots: usize,
    /// Of so many pieces one goes to another zone while peers of both wait.
    pub far_every: u32,
    /// How many requests wait, of all peers.
    pub queued: usize,
    /// How long a request may have to wait, by this node's own pace: more of them are turned away, as whoever gets the piece sooner can
    /// send it sooner. Some wait in any case.
    pub queued_for: Duration,
    /// How many requests of one peer wait.
    pub queued_per_peer: usize,
    /// How many peers are kept in mind.
    pub peers: usize,
    /// Of how many pieces it is kept in mind how often they were sent.
    pub counted_pieces: usize,
    /// How far first pieces may bring a peer ahead of its share, in bytes.
    pub newcomer_lead_bytes: u64,
    /// The shortest time after which one that is turned away is to come again.
    pub least_retry: Duration,
    /// The longest.
    pub most_retry: Duration,
    /// How long a piece may take to be read and sent; one that takes longer is cut short, as others wait for its slot.
    pub serve_timeout: Duration,
    /// The node's limits; those of what goes up are obeyed here.
    pub limits: LimitSettings,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            slots: 4,
            slots_per_peer: 2,
            far_slots: 3,
            far_every: 8,
            queued: 4096,
            queued_for: Duration::from_millis(50),
            queued_per_peer: 64,
            peers: 512,
            counted_pieces: 1 << 18,
            newcomer_lead_bytes: 4 * PIECE_BYTES,
            least_retry: Duration::from_millis(50),
            most_retry: Duration::from_secs(5),
            serve_timeout: Duration::from_secs(30),
            limits: LimitSettings::default(),
        }
    }
}
