use std::{sync::Arc, time::Duration};

use crate::{record::PeerRecord, topic::TopicKey};

/// How much of a blob a peer has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holds {
    /// How many pieces.
    pub pieces: u32,
    /// Of how many; 0 while it does not know.
    pub of: u32,
}

impl Holds {
    /// Whether it has all: it is a seed, not a downloader.
    pub fn has_all(self) -> bool {
        self.of > 0 && self.pieces >= self.of
    }
}

/// What a peer says of itself and one blob. Who may pull the blob may announce it; whoever calls the tracker has checked that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announcement {
    /// Which blob.
    pub topic: TopicKey,
    /// How much of it the peer has. That this grows is its progress.
    pub holds: Holds,
    /// How many peers it would hear of.
    pub wants_peers: u16,
    /// How many stripes it would fetch from the origin; 0 where it would not or has all.
    pub wants_origin: u8,
}

/// What a tracker answers to an announcement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Others that announced the topic, the nearest first.
    pub peers: Vec<Told>,
    /// What the peer may fetch from the origin.
    pub origin: Lease,
    /// When it should announce again.
    pub again_in: Duration,
}

/// A peer that another is told of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Who it is.
    pub record: Arc<PeerRecord>,
    /// Whether it has the whole blob.
    pub has_all: bool,
}

/// The right to fetch some of a blob's stripes from the origin, for the peer's zone. It takes the place of whatever was leased to the
/// peer before.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lease {
    /// Which stripes, counted from 0, in order.
    pub stripes: Vec<u8>,
    /// Of how many.
    pub of: u8,
    /// For how long. The peer counts from when it asked and the tracker from when it answered, so the peer stops first.
    pub term: Duration,
}

/// Why an announcement does not count. Nothing of it is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The record is larger than any should be.
    #[error("the peer's record has too many addresses or too long names")]
    LargeRecord,
    /// See [`TrackerSettings::most_peers`](super::TrackerSettings::most_peers).
    #[error("the tracker has all the peers it takes, {0}")]
    ManyPeers(usize),
    /// See [`TrackerSettings::most_topics`](super::TrackerSettings::most_topics).
    #[error("the tracker has all the topics it takes, {0}")]
    ManyTopics(usize),
    /// See [`TrackerSettings::most_topics_of_peer`](super::TrackerSettings::most_topics_of_peer).
    #[error("the peer announces all the topics it may, {0}: it should withdraw one")]
    ManyOfPeer(usize),
    /// See [`TrackerSettings::most_announcements`](super::TrackerSettings::most_announcements).
    #[error("the tracker has all the announcements it takes, {0}")]
    ManyAnnouncements(usize),
    /// The topic has [`TrackerSettings::most_peers_of_topic`](super::TrackerSettings::most_peers_of_topic), and none of those looked at
    /// could go.
    #[error("the topic has all the peers it takes, {0}")]
    FullTopic(usize),
}

impl Refusal {
    /// One word for it, as a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::LargeRecord => "large_record",
            Self::ManyPeers(_) => "many_peers",
            Self::ManyTopics(_) => "many_topics",
            Self::ManyOfPeer(_) => "many_of_peer",
            Self::ManyAnnouncements(_) => "many_announcements",
            Self::FullTopic(_) => "full_topic",
        }
    }
}
