use std::time::Duration;

/// What bounds a tracker, and how long what it says and hears holds.
#[derive(Clone, Debug)]
pub struct TrackerSettings {
    /// How long an announcement holds that is not renewed, from 30 s to 60 s. Peers are asked to renew it three times in that.
    pub lease: Duration,
    /// The most peers that one answer tells of.
    pub most_told: u16,
    /// The most topics.
    pub most_topics: usize,
    /// The most peers, and so records.
    pub most_peers: usize,
    /// The most peers of a topic.
    pub most_peers_of_topic: usize,
    /// The most topics that one peer announces.
    pub most_topics_of_peer: usize,
    /// The most announcements in all. One takes about 300 bytes, and each peer 1,400 besides.
    pub most_announcements: usize,
    /// Into how many stripes a blob's pieces fall for those of a zone that fetch from the origin, to 32.
    pub stripes: u8,
    /// For how long a stripe is leased, and how soon who makes no progress with it loses it.
    pub origin_term: Duration,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(45),
            most_told: 32,
            most_topics: 100_000,
            most_peers: 20_000,
            most_peers_of_topic: 16_384,
            most_topics_of_peer: 4_096,
            most_announcements: 1_000_000,
            stripes: 4,
            origin_term: Duration::from_secs(5),
        }
    }
}

impl TrackerSettings {
    /// How soon an announcement is renewed of which nothing more is expected.
    pub(super) fn renewal(&self) -> Duration {
        self.lease / 3
    }
}
