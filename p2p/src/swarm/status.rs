//! How things are, for whoever asks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use longshore_oci::Digest;

use super::task::Task;
use crate::{locality::Nearness, moment::Moment, plane::Direction, topic::Topic};

/// How things are with a node's swarm.
#[derive(Clone, Debug)]
pub struct Status {
    /// The peers that it is connected to.
    pub peers: Vec<PeerStatus>,
    /// The blobs that it gets.
    pub fetches: Vec<FetchStatus>,
    /// The trackers, but for this node itself.
    pub trackers: Vec<TrackerStatus>,
    /// What others may know to be here: blobs, and whatever else topics are made for. Each once, be it of several repositories.
    pub shared: Vec<Digest>,
    /// The peers that are shunned, and for how long yet.
    pub banned: Vec<(PeerId, Duration)>,
}

/// A tracker that the node announces to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackerStatus {
    /// Where it is: `10.0.0.7:5203`.
    pub address: String,
    /// Who should be there, where that is known.
    pub peer: Option<PeerId>,
    /// The registry that told of it, whose blobs alone are announced to it.
    pub registry: Option<Arc<str>>,
    /// Whether it answered when it was last asked; `None` where it was not yet.
    pub answers: Option<bool>,
}

/// A peer that there is a connection to.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Who it is.
    pub peer: PeerId,
    /// The address at the other end.
    pub remote: SocketAddr,
    /// Who made the connection.
    pub direction: Direction,
    /// How near it is.
    pub nearness: Nearness,
    /// Bytes of pieces that came of it.
    pub received_bytes: u64,
    /// Bytes of pieces that it was sent.
    pub sent_bytes: u64,
}

/// A blob that is being got.
#[derive(Clone, Debug)]
pub struct FetchStatus {
    /// Which.
    pub topic: Topic,
    /// How long it is.
    pub size_bytes: u64,
    /// How many pieces that is.
    pub pieces: u32,
    /// How many are here.
    pub here: u32,
    /// How many peers share it now.
    pub peers: usize,
    /// Bytes from neighbours of the own zone.
    pub near_bytes: u64,
    /// Bytes from other zones.
    pub far_bytes: u64,
    /// Bytes from the origin.
    pub origin_bytes: u64,
}

impl Task {
    pub(super) fn status(&self, now: Moment) -> Status {
        let peer = |link: &super::link::Link| PeerStatus {
            peer: link.peer.id,
            remote: link.peer.remote,
            direction: link.peer.direction,
            nearness: link.nearness,
            received_bytes: link.sender.traffic().received_piece_bytes(),
            sent_bytes: link.sender.traffic().sent_piece_bytes(),
        };
        Status {
            peers: self.links.iter().map(|(_, link)| peer(link)).collect(),
            fetches: self.fetches.values().map(super::fetching::Fetch::status).collect(),
            trackers: self.announcing.status().collect(),
            shared: self.shared.digests(),
            banned: self.book.report(now).banned.iter().map(|(peer, ban)| (*peer, ban.until.since(now))).collect(),
        }
    }
}
