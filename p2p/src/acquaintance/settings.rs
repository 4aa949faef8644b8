//! How many peers a node knows, and how long it believes what it was told.

use std::time::Duration;

/// Bounds and times of a node's book of peers.
#[derive(Clone, Debug)]
pub struct AcquaintanceSettings {
    /// How many peers a blob is wanted from.
    pub peers_per_topic: usize,
    /// How many of them at least are beyond the own rack or zone, if there are such.
    pub beyond_per_topic: usize,
    /// With fewer connections than these, known peers are dialed though nobody says that they have what is wanted.
    pub blind_connections: usize,
    /// The most connections, those that others made among them.
    pub connections: usize,
    /// The most dials at once.
    pub dials: usize,
    /// How long a dial may take; one of which nothing more is heard counts as none from then on.
    pub dial_timeout: Duration,
    /// How long a connection lies idle before it is closed.
    pub idle_after: Duration,
    /// The same where there is no room for another connection.
    pub idle_when_full: Duration,
    /// A connection that did not live so long counts as a failure.
    pub steady_after: Duration,
    /// The most records.
    pub records: usize,
    /// The most records that one peer told of, by hearsay.
    pub records_per_teller: usize,
    /// How long a record holds.
    pub record_for: Duration,
    /// The most that is known of who has what: pairs of a peer and a blob.
    pub sayings: usize,
    /// Of how many peers it is known that they have a blob.
    pub sayings_per_topic: usize,
    /// Of how many blobs it is known that a peer has them.
    pub sayings_per_peer: usize,
    /// How long it holds that a peer has a blob.
    pub saying_for: Duration,
    /// How long a peer is let be after a failure; twice as long after each.
    pub least_backoff: Duration,
    /// The longest.
    pub most_backoff: Duration,
    /// The most bans.
    pub bans: usize,
    /// How long a ban lasts; twice as long each time.
    pub least_ban: Duration,
    /// The longest. So long after its end it is remembered.
    pub most_ban: Duration,
    /// The most peers that another is told of at once.
    pub introduced: usize,
}

impl Default for AcquaintanceSettings {
    fn default() -> Self {
        Self {
            peers_per_topic: 24,
            beyond_per_topic: 2,
            blind_connections: 8,
            connections: 256,
            dials: 16,
            dial_timeout: Duration::from_secs(10),
            idle_after: Duration::from_mins(1),
            idle_when_full: Duration::from_secs(5),
            steady_after: Duration::from_secs(5),
            records: 4096,
            records_per_teller: 256,
            record_for: Duration::from_mins(10),
            sayings: 1 << 14,
            sayings_per_topic: 128,
            sayings_per_peer: 256,
            saying_for: Duration::from_mins(1),
            least_backoff: Duration::from_millis(200),
            most_backoff: Duration::from_secs(30),
            bans: 4096,
            least_ban: Duration::from_mins(1),
            most_ban: Duration::from_hours(1),
            introduced: 16,
        }
    }
}
