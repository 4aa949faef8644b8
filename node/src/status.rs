//! The swarm as the node's own API tells of it.

use longshore_client::{SwarmBan, SwarmDownload, SwarmLocality, SwarmPeer, SwarmRecord, SwarmStatus, SwarmTracker};
use longshore_oci::Digest;
use longshore_p2p::{
    locality::Locality,
    plane::Direction,
    swarm::{FetchStatus, PeerStatus, Status, Swarm, TrackerStatus},
};

/// Who this node is there, for whoever reaches it: in a closed fleet no more than who joins it there has to know.
pub fn told(swarm: &Swarm) -> SwarmRecord {
    let record = record(swarm);
    if swarm.is_closed() { SwarmRecord { peer: record.peer, control: record.control, ..SwarmRecord::default() } } else { record }
}

/// Who this node is there.
fn record(swarm: &Swarm) -> SwarmRecord {
    let record = swarm.record();
    let Locality { region, zone, rack, host } = record.locality;
    SwarmRecord {
        peer: record.peer.to_string(),
        pieces: record.pieces,
        control: swarm.control_addresses().to_vec(),
        locality: SwarmLocality { region, zone, rack, host },
    }
}

/// How things are; `None` where the swarm is left. Of what is shared `is_blob` says what is one: a tag is shared, too, and is none.
pub async fn status(swarm: &Swarm, is_blob: impl Fn(&Digest) -> bool) -> Option<SwarmStatus> {
    let Status { peers, fetches, trackers, shared, banned, .. } = swarm.status().await?;
    Some(SwarmStatus {
        node: record(swarm),
        shared: shared.iter().filter(|digest| is_blob(digest)).count() as u64,
        peers: peers.iter().map(peer).collect(),
        downloads: fetches.into_iter().map(download).collect(),
        trackers: trackers.into_iter().map(tracker).collect(),
        banned: banned.iter().map(|(peer, left)| SwarmBan { peer: peer.to_string(), left_seconds: left.as_secs() }).collect(),
    })
}

fn tracker(tracker: TrackerStatus) -> SwarmTracker {
    let TrackerStatus { address, peer, registry, answers } = tracker;
    let (peer, registry) = (peer.map(|peer| peer.to_string()), registry.map(|registry| registry.to_string()));
    SwarmTracker { address, peer, registry, answers, is_unreachable: false }
}

fn peer(peer: &PeerStatus) -> SwarmPeer {
    SwarmPeer {
        peer: peer.peer.to_string(),
        address: peer.remote,
        nearness: peer.nearness.name().to_owned(),
        is_inbound: peer.direction == Direction::Accepted,
        received_bytes: peer.received_bytes,
        sent_bytes: peer.sent_bytes,
    }
}

fn download(fetch: FetchStatus) -> SwarmDownload {
    SwarmDownload {
        registry: fetch.topic.registry.to_string(),
        repository: fetch.topic.repository.to_string(),
        digest: fetch.topic.digest,
        size_bytes: fetch.size_bytes,
        pieces: fetch.pieces,
        pieces_here: fetch.here,
        peers: fetch.peers as u64,
        near_bytes: fetch.near_bytes,
        far_bytes: fetch.far_bytes,
        origin_bytes: fetch.origin_bytes,
    }
}
